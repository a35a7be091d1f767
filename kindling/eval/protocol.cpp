#include "kindling/eval/protocol.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <unordered_set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/data/history_lengths.h"

namespace kindling {

namespace {

std::vector<bool> items_in(const Dataset& train) {
  std::vector<bool> present(train.item_count(), false);
  for (const Event& event : train.events()) present[event.item] = true;
  return present;
}

// Weights that make the mean over queries a mean over users.
std::vector<double> query_weights(const Evaluation& evaluation) {
  std::vector<double> weights(evaluation.queries.size(), 1.0);
  if (!evaluation.options.mean_over_users) return weights;
  std::map<UserId, std::size_t> counts;
  for (const QueryResult& query : evaluation.queries) ++counts[query.user];
  for (std::size_t q = 0; q < weights.size(); ++q) {
    weights[q] = 1.0 / static_cast<double>(counts[evaluation.queries[q].user]);
  }
  return weights;
}

Json slices_of(const Evaluation& evaluation) {
  const std::vector<double> weights = query_weights(evaluation);
  std::vector<std::string> order = history_slices();
  for (const char* name : {"warm item", "cold item", "new item", "repeated item"}) {
    order.emplace_back(name);
  }
  std::map<std::string, MetricTable> tables;
  for (const auto& name : order) tables.emplace(name, MetricTable(evaluation.options.cutoffs));
  for (std::size_t q = 0; q < weights.size(); ++q) {
    const QueryResult& query = evaluation.queries[q];
    const double rank = evaluation.rank(query);
    for (const std::string& name :
         {history_slice(query.history), std::string(query.cold ? "cold item" : "warm item"),
          std::string(query.repeat ? "repeated item" : "new item")}) {
      tables.at(name).add(rank, weights[q]);
    }
  }
  Json slices = Json::object();
  for (const auto& name : order) {
    const MetricTable& table = tables.at(name);
    if (table.queries() == 0) continue;
    slices[name] = {{"queries", table.queries()}, {"metrics", table.to_json()}};
  }
  return slices;
}

// Results that no honest recommender reaches: usually a leak or broken ties (ecosystem C4.6, R4).
Json alarms_of(const Evaluation& evaluation) {
  double ndcg = 0.0;
  double first = 0.0;
  double ten = 0.0;
  for (const QueryResult& query : evaluation.queries) {
    ndcg += ndcg_at(evaluation.rank(query), 10);
    first += hit_at(evaluation.rank(query), 1);
    ten += hit_at(evaluation.rank(query), 10);
  }
  const auto count = static_cast<double>(evaluation.queries.size());
  Json alarms = Json::array();
  if (evaluation.candidates < 20) return alarms;  // ten of a handful is no feat
  if (ndcg > 0.6 * count) {
    alarms.push_back(fmt::format("NDCG@10 is {:.3f}: too good to be true?", ndcg / count));
  }
  if (ten > 0.0 && first > 0.9 * ten) {
    alarms.push_back(fmt::format("{:.0f} % of the hits at 10 are at rank 1: too good to be true?",
                                 100.0 * first / ten));
  }
  return alarms;
}

Json describe_candidates(const CandidateOptions& candidates) {
  Json facts = {{"draw", name_of(candidates)}};
  if (candidates.draw == "full") return facts;
  facts["negatives"] = candidates.negatives;
  if (candidates.draw != "file") facts["seed"] = candidates.seed;
  facts["released"] = candidates.released;
  return facts;
}

// Ranks among the candidates that are asked for; `lists` is empty for the whole catalogue.
std::vector<RankedQuery> rank_by(const std::optional<CandidateLists>& lists,
                                 const Recommender& model, const Domain& target,
                                 std::span<const RankingQuery> queries,
                                 const RankingOptions& options) {
  return lists ? rank_among(model, target, queries, *lists, options)
               : rank_targets(model, target, queries, options);
}

std::optional<CandidateLists> lists_for(const Dataset& target, const CandidateOptions& options,
                                        const std::string& stream) {
  if (options.draw == "full") return std::nullopt;
  return std::make_optional<CandidateLists>(target, options, stream);
}

struct Prepared {
  std::vector<RankingQuery> queries;
  std::vector<QueryResult> results;
  std::size_t repeats_left_out = 0;
  std::vector<std::vector<Event>> collapsed;  // the contexts that lost events; queries point here
};

bool has_item(std::span<const Event> events, ItemId item) {
  return std::any_of(events.begin(), events.end(),
                     [item](const Event& event) { return event.item == item; });
}

// Whether `item` behind `before` is a repeat [Z3].
bool is_repeat(std::span<const Event> before, ItemId item, const std::string& collapse) {
  if (before.empty() || collapse == "off") return false;
  return collapse == "any" ? has_item(before, item) : before.back().item == item;
}

// The context without its repeats: itself when there are none.
std::span<const Event> without_repeats(std::span<const Event> context, const std::string& collapse,
                                       std::vector<std::vector<Event>>& storage) {
  std::vector<Event> kept;
  std::unordered_set<ItemId> seen;  // of "any"
  for (const Event& event : context) {
    const bool repeat =
        collapse == "any" ? !seen.insert(event.item).second : is_repeat(kept, event.item, collapse);
    if (!repeat) kept.push_back(event);
  }
  if (kept.size() == context.size()) return context;
  return storage.emplace_back(std::move(kept));
}

void check_choice(const char* option, const std::string& value,
                  const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  throw Error(Kind::kBadOption, fmt::format("option {} cannot be {}; expected one of {}", option,
                                            quote(value), join(allowed, ", ")));
}

Prepared prepare(const Dataset& target, const TargetSplit& split,
                 const std::vector<TestEvent>& tests, const EvaluationOptions& options) {
  const std::string& context = options.context;
  check_choice("context", context, {"all", "train", "test"});
  check_choice("collapse", options.collapse, {"off", "runs", "any"});
  check(split.train.item_count() == target.item_count(),
        "a split must keep the ids of its dataset");
  const std::vector<bool> warm = items_in(split.train);
  Prepared prepared;
  for (const TestEvent& test : tests) {
    const auto history = target.history(test.user);
    check(test.position < history.size(), "a test event lies outside the history");
    auto before = history.first(test.position);
    const ItemId item = history[test.position].item;
    if (is_repeat(before, item, options.collapse)) {
      ++prepared.repeats_left_out;
      continue;
    }
    const std::size_t known = split.events_before(test.user);
    if (context == "train") before = before.first(known);
    if (context == "test") before = before.subspan(known);
    if (options.collapse != "off") {
      before = without_repeats(before, options.collapse, prepared.collapsed);
    }
    const bool repeat = has_item(before, item);
    // Asked when the target happened: of the future only its time is known.
    const auto time = target.has_times ? std::make_optional(history[test.position].time)
                                       : std::optional<std::int64_t>();
    prepared.queries.push_back({before, item, test.user, time});
    prepared.results.push_back({test.user, test.position, item,
                                static_cast<std::uint32_t>(before.size()), !warm[item], repeat,
                                RankedQuery{}});
  }
  return prepared;
}

}  // namespace

TargetSplit make_split(const Dataset& target, const EvaluationOptions& options) {
  return split_by_protocol(target, options.protocol, options.test_start);
}

MetricTable Evaluation::table(bool mask_seen) const {
  MetricTable result(options.cutoffs);
  const std::vector<double> weights = query_weights(*this);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    result.add(mask_seen ? queries[q].ranks.rank_unseen : queries[q].ranks.rank, weights[q]);
  }
  return result;
}

std::vector<double> Evaluation::values(const std::string& metric) const {
  std::vector<double> all;
  all.reserve(queries.size());
  for (const QueryResult& query : queries) all.push_back(metric_value(metric, rank(query)));
  return all;
}

Json Evaluation::to_json() const {
  Json document;
  document["protocol"] = options.protocol;
  document["queries"] = queries.size();
  document["candidates"] = candidates;
  document["cutoffs"] = options.cutoffs;
  document["metrics"] = metrics().to_json();
  document["slices"] = slices_of(*this);
  document["seconds"] = seconds;
  document["flags"] = {{"mask_seen", options.mask_seen},
                       {"mean_over", options.mean_over_users ? "users" : "queries"},
                       {"context", options.context},
                       {"collapse", options.collapse},
                       {"sampled_candidates", options.candidates.draw != "full"}};
  document["candidate_lists"] = describe_candidates(options.candidates);
  if (!beside.empty()) {
    Json others = Json::object();
    for (const auto& [name, metrics] : beside) others[name] = metrics.to_json();
    document["metrics_among"] = others;
  }
  document[options.mask_seen ? "metrics_seen_kept" : "metrics_seen_masked"] =
      table(!options.mask_seen).to_json();
  Json random = Json::object();
  for (const std::int64_t k : options.cutoffs) {
    random[fmt::format("ndcg@{}", k)] = random_ndcg_at(k, candidates);
    random[fmt::format("recall@{}", k)] = random_recall_at(k, candidates);
  }
  document["random_expectation"] = random;
  const auto repeats = std::count_if(queries.begin(), queries.end(),
                                     [](const QueryResult& query) { return query.repeat; });
  document["seen_repeat_share"] =
      queries.empty() ? 0.0 : static_cast<double>(repeats) / static_cast<double>(queries.size());
  if (queries_in_all > queries.size()) document["queries_in_all"] = queries_in_all;
  if (options.collapse != "off") document["repeats_left_out"] = repeats_left_out;
  if (split_time) document["split_time"] = *split_time;
  document["alarms"] = alarms_of(*this);
  return document;
}

Evaluation evaluate(const Recommender& model, const Domain& target, const TargetSplit& split,
                    const EvaluationOptions& options) {
  check(target.data != nullptr, "an evaluation needs a dataset");
  MetricTable checked(options.cutoffs);  // refuses bad cut-offs before the work
  const auto start = std::chrono::steady_clock::now();
  Prepared prepared = prepare(*target.data, split, split.tests, options);
  if (prepared.queries.empty()) {
    throw Error(Kind::kBadInput,
                fmt::format("protocol {} leaves no test interaction in dataset {}{}",
                            options.protocol, quote(target.data->name),
                            prepared.repeats_left_out > 0 ? " without its repeats" : ""),
                {}, why_nothing_is_asked(*target.data, options.protocol));
  }
  const std::size_t in_all = prepared.queries.size();
  if (options.max_queries < 0) {
    throw Error(Kind::kBadOption, fmt::format("option max_queries cannot be {}; expected 0 or more",
                                              options.max_queries));
  }
  if (options.max_queries > 0 && static_cast<std::size_t>(options.max_queries) < in_all) {
    prepared.queries.resize(static_cast<std::size_t>(options.max_queries));
    prepared.results.resize(prepared.queries.size());
  }
  const auto lists = lists_for(*target.data, options.candidates, "test");
  const std::vector<RankedQuery> ranks =
      rank_by(lists, model, target, prepared.queries, options.ranking);
  Evaluation result;
  result.options = options;
  if (lists) result.options.candidates = lists->options();
  result.candidates = lists ? lists->options().negatives + 1 : target.data->item_count();
  result.split_time = split.time;
  result.queries = std::move(prepared.results);
  result.repeats_left_out = prepared.repeats_left_out;
  result.queries_in_all = in_all;
  for (std::size_t q = 0; q < ranks.size(); ++q) result.queries[q].ranks = ranks[q];
  for (const CandidateOptions& other : options.beside) {
    Evaluation again = result;
    const auto among = rank_by(lists_for(*target.data, other, "test"), model, target,
                               prepared.queries, options.ranking);
    for (std::size_t q = 0; q < among.size(); ++q) again.queries[q].ranks = among[q];
    result.beside.emplace_back(name_of(other), again.metrics());
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::function<double(const Recommender&)> make_validator(const Domain& target,
                                                         const TargetSplit& split,
                                                         const EvaluationOptions& options) {
  if (split.validation.empty()) return {};
  struct Asked {
    Prepared prepared;
    std::optional<CandidateLists> lists;
  };
  CandidateOptions candidates = options.candidates;
  // A file holds the lists of the test; validation draws its own of the same length.
  if (candidates.draw == "file") {
    const std::size_t negatives = CandidateLists(*target.data, candidates).options().negatives;
    candidates = {.draw = "popularity", .negatives = negatives, .path = {}};
  }
  const auto asked =
      std::make_shared<const Asked>(Asked{prepare(*target.data, split, split.validation, options),
                                          lists_for(*target.data, candidates, "validation")});
  if (asked->prepared.queries.empty()) return {};
  return [asked, target, ranking = options.ranking](const Recommender& model) {
    constexpr std::int64_t kCutoff = 10;  // [R14]
    double hits = 0.0;
    for (const RankedQuery& query :
         rank_by(asked->lists, model, target, asked->prepared.queries, ranking)) {
      hits += hit_at(query.rank, kCutoff);
    }
    return hits / static_cast<double>(asked->prepared.queries.size());
  };
}

}  // namespace kindling
