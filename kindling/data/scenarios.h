// Scenarios: small recommendation tasks beside one large source, for few-shot models (s2Meta).
//
//   ScenarioSet set = build_scenarios({.source = {&clothing}, .meta_train = {&sports},
//                                      .meta_test = {&beauty}}, {.by = "leaf"});
//   for (const Scenario& task : set.meta_train) learn_from(task.pairs);
//   for (const Scenario& task : set.meta_test) rank(task.candidates, task.support, …);
//   save_scenarios(set, "scenarios/beauty");
//
// A scenario is a set of items (a leaf category, a genre, a tag, a theme) and the pairs (user,
// item) of *shared* users, who also have interactions in the source. Its other users are
// target-only: their interactions serve the frozen vectors and the baselines, never the tasks [S4].
// `world` holds exactly what may be learnt from beside the tasks: the source's interactions and
// those of target-only users. A shared user's pair with a scenario's item is never in it.
//
// Splits are drawn once and saved, so that all methods see the same (S5): support and evaluation
// users are disjoint, the support is the first 64 pairs of its pool in a fixed order.
// Source: specs/s2meta.md 2; Du et al., KDD 2019, 4.1; decisions S2–S5.
// Differs: items of the scenarios' datasets leave the source, and items of meta-test scenarios
// leave meta-train and validation, those of validation leave meta-train (after the bounds are
// checked), so that no review counts on both sides. Genres and tags overlap: with overlap=keep,
// most of what is asked on MovieLens is a meta-train pair of the same user. Errors:
// Error{kBadInput} for options that leave no scenario (with the counts), Error{kCorrupt} for a
// damaged directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/base/options.h"
#include "kindling/base/random.h"
#include "kindling/data/dataset.h"

namespace kindling {

// One positive pair.
struct UserItem {
  UserId user = 0;
  ItemId item = 0;

  friend bool operator==(const UserItem&, const UserItem&) = default;
};

// Who has chosen what, for negatives that are none of it.
class ChosenItems {
 public:
  explicit ChosenItems(std::vector<UserItem> pairs);
  bool has(UserId user, ItemId item) const;

 private:
  std::vector<UserItem> pairs_;  // sorted
};

// Ids are those of ScenarioSet::world.
struct Scenario {
  std::string name;
  std::vector<ItemId> candidates;    // ascending: the items that occur in the pairs below
  std::vector<UserItem> pairs;       // meta-train: all pairs of shared users, no pair twice
  std::vector<UserItem> support;     // validation, meta-test: what a method adapts to
  std::vector<UserItem> evaluation;  // … and what it is asked about; other users than support's

  friend bool operator==(const Scenario&, const Scenario&) = default;
};

struct ScenarioSet {
  Dataset world;                     // one id space; its events as said above
  std::uint32_t source_items = 0;    // items [0, source_items) are the source's, the others the
                                     // scenarios'
  std::vector<Scenario> meta_train;  // `pairs`
  std::vector<Scenario> validation;  // a part of the meta-train scenarios: `support`, `evaluation`
  std::vector<Scenario> meta_test;   // the same
  Json recipe = Json::object();      // options, datasets with fingerprints, counts

  // The interactions of target-only users with the scenario's candidates.
  std::vector<UserItem> target_only(const Scenario& scenario) const;
  // SHA-256 over the world and all tasks.
  std::string fingerprint() const;
};

struct ScenarioOptions {
  std::string by = "leaf";
  std::int64_t min_items = 20;
  std::int64_t max_items = 0;
  std::int64_t min_users = 100;
  std::int64_t min_pairs = 64;
  double vector_users = 0.0;
  double train_share = 0.7;
  double validation_share = 0.05;
  std::string overlap = "separate";
  std::int64_t support = 64;
  std::int64_t support_pool = 512;
  std::int64_t split_seed = 1;

  template <class Visitor>
  void fields(Visitor& field) {
    field(
        "by", by, one_of({"leaf", "category"}),
        "a scenario is the last category of an item's path (\"(root)\" for items without one), or "
        "each of its categories (genres, tags, themes) [S2]");
    field("min_items", min_items, kPositive, "scenarios have at least so many items (paper: 100)");
    field("max_items", max_items, kNotNegative, "… and at most so many; 0: any (paper: 1000)");
    field("min_users", min_users, kPositive, "… and so many users on either side");
    field("min_pairs", min_pairs, kPositive, "… and so many pairs of users shared with the source");
    field("vector_users", vector_users, kRate,
          "share of the users that is set aside for the vectors: their interactions with scenarios "
          "count as target-only; for data whose users all are in the source [S4]");
    field("train_share", train_share, kUnit,
          "meta-train's share of the scenarios when they are split at random [S3]");
    field("validation_share", validation_share, kUnit,
          "share of the meta-train scenarios that is set aside for validation, rounded [S3]");
    field("overlap", overlap, one_of({"separate", "keep"}),
          "an item of a test scenario that is in others too leaves those (and validation's leaves "
          "meta-train), or stays, and what is asked may have been learnt [S3]");
    field("support", support, kPositive, "pairs that a method adapts to [S5]");
    field("support_pool", support_pool, kPositive,
          "support users are drawn until half of the users or so many pairs are reached [S5]");
    field("split_seed", split_seed, kNotNegative, "seed of all splits");
  }
};

// Datasets of each side; outside ids name the same user or item everywhere. Without `meta_test` the
// scenarios of `meta_train` are split at random [S3]; without `source` the source is every item
// that is in no scenario.
struct ScenarioSources {
  std::vector<const Dataset*> source;
  std::vector<const Dataset*> meta_train;
  std::vector<const Dataset*> meta_test;
};

// The items of the pairs, ascending, each once.
std::vector<ItemId> items_of(const std::vector<UserItem>& pairs);

ScenarioSet build_scenarios(const ScenarioSources& sources, const ScenarioOptions& options);

// Splits `pairs` of a scenario into support and evaluation by users (S5): shuffles the users and
// gives their pairs to the support's pool while fewer than half of the users are used and fewer
// than `support_pool` pairs collected, the rest to evaluation; support = the first pairs of the
// pool. The candidates stay: all items of the pool and of the evaluation.
Scenario split_scenario(const Scenario& scenario, const ScenarioOptions& options, const Rng& rng);

// The scenario directory: scenarios.json (recipe, tasks) beside world/ (a dataset directory), see
// docs/file_formats.md. load checks versions, fingerprints and every id before use.
void save_scenarios(const ScenarioSet& set, const std::string& directory, bool force = false);
ScenarioSet load_scenarios(const std::string& directory);
inline constexpr const char* kScenarioMarker = "scenarios.json";

}  // namespace kindling
