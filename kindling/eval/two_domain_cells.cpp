#include "kindling/eval/two_domain_cells.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/data/domains.h"
#include "kindling/eval/protocol.h"

namespace kindling {

namespace {

const std::vector<std::int64_t> kCutoffs{5, 10, 20};
const std::string kWarm = "warm:";  // metrics of the queries whose true item was trained on

struct PairSettings {
  std::string candidates = "popularity:199";
  bool released_candidates = false;
  bool beside = true;
  double overlap = 1.0;
  std::string overlap_of = "shared";
  std::int64_t max_users = 0;
  std::int64_t data_seed = 1;
  std::string collapse = "off";
  std::int64_t max_queries = 0;
  bool plots = false;

  template <class Visitor>
  void fields(Visitor& field) {
    field("candidates", candidates, kAny, "full, popularity:N or uniform:N [R12]");
    field("released_candidates", released_candidates, kAny,
          "lists drawn with repeats, the validation item among them, as in RecGURU's code [R12]");
    field("beside", beside, kAny,
          "rank the same queries also among uniform lists and the whole catalogue");
    field("overlap", overlap, between(0.0, 1.0),
          "share of the common users who stay in both domains; 1: the data as they are");
    field("overlap_of", overlap_of, one_of({"shared", "first"}),
          "a share of the common users, or of all users of the first domain");
    field("max_users", max_users, kNotNegative,
          "of each domain, common users first, then at random; 0: all");
    field("data_seed", data_seed, kNotNegative, "of overlap, users and candidate lists");
    field("collapse", collapse, one_of({"off", "runs", "any"}),
          "repeats in queries alone; what is learnt keeps them [Z3]");
    field("max_queries", max_queries, kNotNegative,
          "the first so many users are asked; 0: all; RecGURU's code: 2048 [R15]");
    field("plots", plots, kAny, "keep the curves of a model that trains in phases as plots");
  }
};

struct LoadedPair {
  Dataset source;
  Dataset target;
  std::size_t shared = 0;
};

// The same people whichever domain is the target: the two are taken in the order of their names.
LoadedPair load_pair(const CellTask& task, const PairSettings& settings) {
  LoadedPair pair;
  pair.target = load_dataset(task.data.at("target"));
  if (!task.data.contains("source")) return pair;
  pair.source = load_dataset(task.data.at("source"));
  const bool swapped = pair.target.name < pair.source.name;
  if (swapped) std::swap(pair.source, pair.target);
  const Rng rng = Rng(static_cast<std::uint64_t>(settings.data_seed)).fork("two domains");
  if (settings.max_users > 0) {
    DomainPair capped = cap_users(pair.source, pair.target,
                                  static_cast<std::size_t>(settings.max_users), rng.fork("cap"));
    pair.source = std::move(capped.first);
    pair.target = std::move(capped.second);
  }
  if (settings.overlap < 1.0) {
    DomainPair thin = thin_overlap(pair.source, pair.target,
                                   {.keep = settings.overlap, .of = settings.overlap_of}, rng);
    pair.source = std::move(thin.first);
    pair.target = std::move(thin.second);
  }
  if (swapped) std::swap(pair.source, pair.target);
  pair.shared = shared_users(pair.source, pair.target).size();
  return pair;
}

EvaluationOptions evaluation_of(const PairSettings& settings) {
  EvaluationOptions options;
  options.protocol = "leave-two-out";
  options.cutoffs = kCutoffs;
  options.collapse = settings.collapse;
  options.max_queries = settings.max_queries;
  const auto seeded = [&](const std::string& text) {
    CandidateOptions candidates = parse_candidates(text);
    candidates.seed = static_cast<std::uint64_t>(settings.data_seed);
    candidates.released = settings.released_candidates;
    return candidates;
  };
  options.candidates = seeded(settings.candidates);
  if (options.candidates.draw == "file") {
    throw Error(Kind::kBadOption, "lists from a file fit one dataset only", "candidates",
                "popularity:199, uniform:199 or full");
  }
  if (settings.beside && options.candidates.draw == "popularity") {
    options.beside.push_back(seeded(fmt::format("uniform:{}", options.candidates.negatives)));
  }
  if (settings.beside && options.candidates.draw != "full")
    options.beside.push_back(seeded("full"));
  return options;
}

// The curves of RecGURU's figure 2, by what they measure.
Json plots_of(const Json& curves) {
  const auto plot = [&](const char* title, const char* y,
                        const std::vector<std::pair<const char*, const char*>>& lines) {
    Json all = {{"title", title}, {"x", "step"}, {"y", y}, {"lines", Json::array()}};
    for (const auto& [name, label] : lines) {
      if (curves.contains(name))
        all["lines"].push_back({{"label", label}, {"points", curves[name]}});
    }
    return all;
  };
  Json plots = Json::array();
  for (Json& one : std::vector<Json>{
           plot("reconstruction", "loss",
                {{"reconstruction_a", "source"}, {"reconstruction_b", "target"}}),
           plot("adversary", "distance, loss",
                {{"wasserstein", "Wasserstein distance"}, {"critic", "critic's loss"}}),
           plot("fine-tuning", "loss", {{"finetune", "target"}}),
           plot("validation", "HR@10", {{"validation_hr@10", "target"}})}) {
    if (!one["lines"].empty()) plots.push_back(std::move(one));
  }
  return plots;
}

// What a figure needs besides the metrics.
void add_stories(const FitContext& context, const Recommender& model, bool plots,
                 CellResult& result) {
  Json details = model.details();
  if (details.contains("curves")) {
    if (plots) result.more["plots"] = plots_of(details["curves"]);
    details.erase("curves");
  }
  result.more["details"] = details;
  Json curve = Json::array();
  double best = -1.0;
  for (const EpochRecord& epoch : context.history) {
    curve.push_back({{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}});
    if (!epoch.validation_hr) continue;
    curve.back()["validation_hr@10"] = *epoch.validation_hr;
    best = std::max(best, *epoch.validation_hr);
  }
  result.more["training"] = curve;
  // A model may have kept what it was before the first of these, or at the last.
  best = details.value("validation_hr@10", best);
  if (best >= 0.0) result.metrics["validation_hr@10"] = best;
}

std::string queries_fingerprint(const Dataset& target, const Evaluation& result) {
  std::string text = target.fingerprint();
  for (const QueryResult& query : result.queries) {
    text += fmt::format(" {}.{}", query.user, query.position);
  }
  return sha256(text);
}

class TwoDomainCells final : public CellRunner {
 public:
  std::vector<std::string> protocols() const override { return {"leave-two-out"}; }
  std::vector<OptionInfo> settings() const override { return describe_options(PairSettings{}); }
  bool has_metric(const std::string& metric) const override {
    if (metric == "validation_hr@10") return true;
    std::string plain = metric;
    for (const char* among : {"full:", "uniform:", "popularity:", kWarm.c_str()}) {
      if (plain == metric && metric.starts_with(among)) plain = metric.substr(metric.find(':') + 1);
    }
    return is_metric_at(plain, kCutoffs);
  }
  void check_setting(const std::string& name, const Json& value) const override {
    if (name != "candidates") return;
    const std::string text = options_detail::text_of(value);
    if (parse_candidates(text).draw != "file") return;
    throw Error(Kind::kBadOption, fmt::format("cannot rank among {}", quote(text)), {},
                "full, popularity:N or uniform:N");
  }
  std::vector<std::string> roles(const std::string&) const override { return {"source", "target"}; }
  bool reads(const std::string& role, const std::string& model,
             const Json& settings) const override {
    PairSettings all;
    options_from_json(all, settings);
    // Thinned and capped domains are made together.
    return role == "target" || find_model(model).needs_source || all.overlap < 1.0 ||
           all.max_users > 0;
  }
  void check(const std::string& model, const OptionValues& options) const override {
    if (find_model(model).needs_text) {
      throw Error(Kind::kBadInput, fmt::format("{} reads texts", model), {},
                  "cells of kind two-domain have none");
    }
    CellRunner::check(model, options);
  }

  CellResult run(const CellTask& task) const override {
    PairSettings settings;
    options_from_json(settings, task.settings);
    const ModelInfo& info = find_model(task.model);
    const LoadedPair pair = load_pair(task, settings);
    const EvaluationOptions options = evaluation_of(settings);
    const TargetSplit split = make_split(pair.target, options);
    const bool alone = !task.data.contains("source");
    const Dataset source = alone ? Dataset() : split_leave_two_out(pair.source).train;
    const Domain target{&pair.target, nullptr};
    TrainTask learn;
    if (info.needs_source) learn.source = Domain{&source, nullptr};
    learn.target_train = Domain{&split.train, nullptr};
    learn.test_items = [&] {
      TestItems items{{}, items_of(pair.target, split.tests)};
      if (!alone) items.source = items_of(pair.source, split_leave_two_out(pair.source).tests);
      return items;
    };
    FitContext context;
    context.seed = task.seed;
    context.checkpoint = (std::filesystem::path(task.work) / "checkpoint").string();
    context.resume = true;
    context.should_stop = task.should_stop;
    if (info.asks_validation) context.validate = make_validator(target, split, options);
    const auto model = info.make(task.options);
    model->fit(learn, context);
    CellResult result = results_of(evaluate(*model, target, split, options), pair);
    add_stories(context, *model, settings.plots, result);
    return result;
  }

 private:
  static CellResult results_of(const Evaluation& evaluation, const LoadedPair& pair) {
    CellResult result;
    result.metrics = evaluation.metrics().to_json();
    for (const auto& [name, table] : evaluation.beside) {
      // "uniform:199" -> "uniform:hr@10"
      const std::string among = name.substr(0, name.find(':'));
      const Json beside = table.to_json();
      for (const auto& [metric, value] : beside.items()) {
        result.metrics[fmt::format("{}:{}", among, metric)] = value;
      }
    }
    MetricTable warm(kCutoffs);
    for (const QueryResult& query : evaluation.queries) {
      result.ranks.push_back(static_cast<float>(evaluation.rank(query)));
      if (!query.cold) warm.add(evaluation.rank(query));
    }
    if (warm.queries() > 0) {
      const Json among = warm.to_json();
      for (const auto& [metric, value] : among.items()) result.metrics[kWarm + metric] = value;
    }
    result.more["warm_queries"] = warm.queries();
    result.queries = queries_fingerprint(pair.target, evaluation);
    result.more["queries"] = evaluation.queries.size();
    if (evaluation.queries_in_all > evaluation.queries.size()) {
      result.more["queries_in_all"] = evaluation.queries_in_all;
    }
    result.more["candidates"] = evaluation.candidates;
    Json& data = result.more["data"];
    data = {{"target_users", pair.target.user_count()}, {"target_items", pair.target.item_count()}};
    if (pair.source.user_count() > 0) {
      data["source_users"] = pair.source.user_count();
      data["source_items"] = pair.source.item_count();
      data["shared_users"] = pair.shared;
    }
    return result;
  }
};

}  // namespace

const CellRunner& two_domain_cells() {
  static const TwoDomainCells cells;
  return cells;
}

}  // namespace kindling
