// Why a recommendation was right: query users of the target and the source users nearest to them.
//
// Source: ZESRec, section 4.6 (specs/zesrec.md 9). A user is right when the sixth item is among the
// first `rank` [Z: 20] after the first five; neighbours are source users by the inner product of
// their vectors after the same number of events, with v = m on both sides.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/eval/next_item_cells.h"
#include "kindling/kernels/dot.h"
#include "kindling/models/vectors.h"

namespace kindling {

namespace {

struct CaseSettings {
  std::int64_t users = 4;
  std::int64_t neighbours = 2;
  std::int64_t events = 5;
  std::int64_t rank = 20;
  std::string similarity = "dot";
  std::string remove_overlap = "both";

  template <class Visitor>
  void fields(Visitor& field) {
    field("users", users, between(1, 100), "query users that are shown, drawn at random");
    field("neighbours", neighbours, between(1, 20), "source users beside each");
    field("events", events, between(1, 100), "of a history; the next one is to be predicted");
    field("rank", rank, kPositive, "the next item is right up to this rank");
    field("similarity", similarity, one_of({"dot", "cosine"}), "of user vectors");
    field("remove_overlap", remove_overlap, one_of({"both", "users", "items", "none"}),
          "what of the target is left out of the source [Z4]");
  }
};

Json item_json(const Dataset& data, ItemId item) {
  const Item& described = data.items()[item];
  return {{"id", data.item_ids().name(item)},
          {"title", described.title.empty() ? described.text : described.title}};
}

Json items_json(const Dataset& data, std::span<const Event> events) {
  Json all = Json::array();
  for (const Event& event : events) all.push_back(item_json(data, event.item));
  return all;
}

// Users with more events than `events`, in random order; with a split, those that it tests.
std::vector<UserId> query_users(const NextItemCell& cell, std::size_t events, Rng rng) {
  std::vector<bool> tested(cell.data.target.user_count(), false);
  for (const TestEvent& test : cell.data.split->tests) tested[test.user] = true;
  std::vector<UserId> users;
  for (const std::uint32_t user : permutation(tested.size(), rng)) {
    if (tested[user] && cell.data.target.history(user).size() > events) users.push_back(user);
  }
  return users;
}

struct Vectors {
  std::vector<UserId> users;
  Matrix values;
};

Vectors user_vectors(const VectorRecommender& model, const Domain& domain,
                     std::vector<UserId> users, std::size_t events, bool cosine) {
  std::vector<Query> queries;
  queries.reserve(users.size());
  for (const UserId user : users) queries.push_back({domain.data->history(user).first(events)});
  Vectors all{std::move(users), model.user_vectors(domain, queries)};
  if (cosine) normalise_rows(all.values);
  return all;
}

Json neighbours_of(std::span<const float> query, const Vectors& source, const Dataset& data,
                   const CaseSettings& settings) {
  std::vector<double> similarity;
  for (std::size_t n = 0; n < source.users.size(); ++n) {
    similarity.push_back(kernels::dot(query.data(), source.values.row(n).data(), query.size()));
  }
  std::vector<std::size_t> order(similarity.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto shown = std::min(order.size(), static_cast<std::size_t>(settings.neighbours));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return std::pair(-similarity[a], a) < std::pair(-similarity[b], b);
                    });
  Json all = Json::array();
  for (std::size_t n = 0; n < shown; ++n) {
    const UserId user = source.users[order[n]];
    const auto history = data.history(user);
    const auto events = static_cast<std::size_t>(settings.events);
    all.push_back(
        {{"user", data.user_ids().name(user)},
         {"similarity", similarity[order[n]]},
         {"history", items_json(data, history.first(events))},
         {"next", items_json(data, history.subspan(events, history.size() > events ? 1 : 0))}});
  }
  return all;
}

class CaseStudyCells final : public CellRunner {
 public:
  bool has_metric(const std::string& metric) const override {
    return metric == "right" || metric == "users";
  }
  std::vector<std::string> protocols() const override { return protocol_names(); }
  std::vector<OptionInfo> settings() const override { return describe_options(CaseSettings{}); }
  std::vector<std::string> roles(const std::string&) const override { return {"source", "target"}; }
  void check(const std::string& model, const OptionValues& options) const override {
    if (!find_model(model).needs_source) {
      throw Error(Kind::kBadInput, fmt::format("{} learns from no source domain", model), {},
                  "a case study compares users of two domains");
    }
    CellRunner::check(model, options);
  }

  CellResult run(const CellTask& task) const override {
    CaseSettings settings;
    options_from_json(settings, task.settings);
    NextItemCell cell;
    CellTask plain = task;
    plain.settings = {{"remove_overlap", settings.remove_overlap}};
    open_next_item_cell(plain, cell);
    fit_next_item_cell(task, cell);
    const auto* model = dynamic_cast<const VectorRecommender*>(cell.model.get());
    if (model == nullptr) {
      throw Error(Kind::kUnsupported, fmt::format("{} has no user vectors", task.model));
    }
    return study(*model, cell, settings, Rng(task.seed).fork("cases"));
  }

 private:
  static CellResult study(const VectorRecommender& model, const NextItemCell& cell,
                          const CaseSettings& settings, const Rng& rng) {
    const auto events = static_cast<std::size_t>(settings.events);
    const bool cosine = settings.similarity == "cosine";
    const std::vector<UserId> users = query_users(cell, events, rng);
    if (users.empty()) {
      throw Error(Kind::kBadInput, fmt::format("no test user has more than {} events", events),
                  cell.data.target.name);
    }
    std::vector<RankingQuery> queries;
    for (const UserId user : users) {
      const auto history = cell.data.target.history(user);
      queries.push_back({history.first(events), history[events].item});
    }
    const auto ranks = rank_targets(model, cell.target(), queries);
    std::vector<UserId> known;
    for (UserId user = 0; user < cell.data.source.user_count(); ++user) {
      if (cell.data.source.history(user).size() >= events) known.push_back(user);
    }
    const Vectors source =
        user_vectors(model, *cell.data.task.source, std::move(known), events, cosine);
    const Vectors target = user_vectors(model, cell.target(), users, events, cosine);
    CellResult result;
    Json cases = Json::array();
    std::size_t right = 0;
    for (std::size_t q = 0; q < users.size(); ++q) {
      if (ranks[q].rank > static_cast<double>(settings.rank)) continue;
      if (++right > static_cast<std::size_t>(settings.users)) continue;
      cases.push_back(case_of(model, cell, queries[q], users[q], ranks[q].rank));
      cases.back()["neighbours"] =
          neighbours_of(target.values.row(q), source, cell.data.source, settings);
    }
    result.metrics["users"] = users.size();
    result.metrics["right"] = static_cast<double>(right) / static_cast<double>(users.size());
    result.more["cases"] = cases;
    result.more["history"] = history_json(cell.context.history);
    return result;
  }

  static Json case_of(const VectorRecommender& model, const NextItemCell& cell,
                      const RankingQuery& query, UserId user, double rank) {
    const Dataset& data = cell.data.target;
    Json recommended = Json::array();
    for (const Recommendation& best : recommend(model, cell.target(), query.history, 5, true)) {
      recommended.push_back(item_json(data, best.item));
    }
    return {{"user", data.user_ids().name(user)},
            {"history", items_json(data, query.history)},
            {"recommended", recommended},
            {"next", Json::array({item_json(data, query.target)})},
            {"rank", rank}};
  }
};

}  // namespace

const CellRunner& case_study_cells() {
  static const CaseStudyCells cells;
  return cells;
}

}  // namespace kindling
