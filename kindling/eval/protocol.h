// What is asked of a model on a target domain, and what came out.
//
//   const TargetSplit split = make_split(shop, {.protocol = "time-split"});
//   model->fit({.target_train = Domain{&split.train, &vectors}}, context);      // or zero-shot
//   const Evaluation result = evaluate(*model, {&shop, &vectors}, split, options);
//   Json document = result.to_json();
//
// Protocols:
//   time-split       the paper's: 80 % of the interactions are train, every later one is a query
//   leave-last-out   for data with order only: each user's last event is the query
//   leave-two-out    two-domain papers': a user's last event is the query, the last but one is for
//                    validation, the rest is train (specs/recguru.md 2.3)
//   mind-week        the last seven days are the test week (the submission's set-up)
//   mind-day         the first day of that week
// Candidates are all items of the target, or each user's fixed list (candidates.h); the same
// queries may be ranked among other candidates `beside`, and every table says which. The context of
// a query is everything the user did before it, also after the split [Z21]; `context` = "test"
// keeps to what came after the split, "train" to what came before it. `collapse` takes repeats out
// of the evaluation alone [Z3]: a query whose target repeats the user's event before it ("runs") or
// any earlier one ("any") is not asked, and of a context's repeats the first event stays. What
// models learn from keeps its repeats. `max_queries` asks the first so many only, in the order of
// the users, as RecGURU's code does [R15]; validation asks all. Source: specs/zesrec.md 2.2 and 7.
// Errors: Error{kBadOption} for an unknown protocol, Error{kUnsupported} for a time split of data
// without times, Error{kBadInput} without any query.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kindling/data/split.h"
#include "kindling/eval/candidates.h"
#include "kindling/eval/metrics.h"
#include "kindling/eval/ranking.h"

namespace kindling {

struct EvaluationOptions {
  std::string protocol = "time-split";
  std::vector<std::int64_t> cutoffs{10, 20};
  bool mask_seen = false;        // items of the history are no candidates (the target always is)
  bool mean_over_users = false;  // instead of the mean over queries
  std::string context = "all";   // "all" earlier events [Z21], or those of "train" or "test" only
  std::string collapse = "off";  // repeats in queries: "off", "runs" or "any" [Z3]
  std::int64_t max_queries = 0;  // the first so many; 0: all [R15]
  std::optional<std::int64_t> test_start;  // mind-*: start of the week; default: by the last event
  RankingOptions ranking;
  CandidateOptions candidates;           // full, or lists
  std::vector<CandidateOptions> beside;  // further tables of the same queries, test only
};

// split_by_protocol with the options' protocol and test_start.
TargetSplit make_split(const Dataset& target, const EvaluationOptions& options);

// HR@10 of a model on the split's validation events, among candidates drawn like those of the test
// but from a stream of their own: what FitContext::validate wants [R14]. Empty when the split has
// no validation events. `target` and `split` must outlive it.
std::function<double(const Recommender&)> make_validator(const Domain& target,
                                                         const TargetSplit& split,
                                                         const EvaluationOptions& options);

// One query and where its target came out.
struct QueryResult {
  UserId user = 0;
  std::uint32_t position = 0;  // of the target in the user's history
  ItemId target = 0;
  std::uint32_t history = 0;  // events in the context
  bool cold = false;          // the target has no event in the target's train part
  bool repeat = false;        // the target is in the context
  RankedQuery ranks;
};

struct Evaluation {
  std::vector<QueryResult> queries;
  std::size_t repeats_left_out = 0;  // queries that `collapse` took out [Z3]
  std::size_t queries_in_all = 0;    // of which `max_queries` were asked [R15]
  std::size_t candidates = 0;
  double seconds = 0.0;
  EvaluationOptions options;
  std::optional<std::int64_t> split_time;
  std::vector<std::pair<std::string, MetricTable>> beside;  // by name_of(candidates)

  // The rank that counts under `mask_seen`.
  double rank(const QueryResult& query) const {
    return options.mask_seen ? query.ranks.rank_unseen : query.ranks.rank;
  }
  MetricTable metrics() const { return table(options.mask_seen); }
  // With or without the items of the history, whatever the options say.
  MetricTable table(bool mask_seen) const;
  // One value for each query, in order: what compare.h takes.
  std::vector<double> values(const std::string& metric) const;
  // {"protocol","queries","candidates","metrics","slices","seconds",…}; the caller adds "model" and
  // "target" in front.
  Json to_json() const;
};

Evaluation evaluate(const Recommender& model, const Domain& target, const TargetSplit& split,
                    const EvaluationOptions& options);

}  // namespace kindling
