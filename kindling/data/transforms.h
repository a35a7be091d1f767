// From what the files hold to what models learn from: each step gives a new Dataset.
//
//   Dataset clean = apply_transforms(raw, {.collapse = "runs", .min_user_length = 2}, steps);
//   Dataset source = remove_overlap(games, scientific);          // [Z4]
//
// Users and items get new ids, in their old order; ids outside stay. matching_items() finds the
// rows of vectors that were made for the dataset before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/data/dataset.h"

namespace kindling {

struct TransformOptions {
  std::string collapse = "runs";
  std::string include_categories;
  std::string exclude_categories;
  std::string user_part;
  std::string drop_textless = "auto";
  std::int64_t keep_last = 0;
  std::int64_t user_core = 0;
  std::int64_t item_core = 0;
  std::string core_passes = "repeat";
  std::string item_order = "first";
  std::int64_t min_user_length = 2;
  std::int64_t max_users = 0;
  bool keep_unseen_items = false;
  std::int64_t transform_seed = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("user_part", user_part, kAny,
          "keep part i of n of the users, as i/n from 1/n to n/n, by a hash of their ids");
    field("include_categories", include_categories, kAny,
          "keep items that have one of these categories, separated by |");
    field("exclude_categories", exclude_categories, kAny,
          "then drop items that have one of these categories");
    field("drop_textless", drop_textless, one_of({"auto", "yes", "no"}),
          "drop items without text and their interactions; auto: when any item has text [Z5]");
    field("collapse", collapse, one_of({"runs", "any", "off"}),
          "repeats: runs of one item become one event, or only a user's first event with an item "
          "counts, or all stay [Z3]");
    field("keep_last", keep_last, kNotNegative, "keep a user's last events; 0: all");
    field("user_core", user_core, kNotNegative,
          "with item_core: repeat until every user has so many events [S1]");
    field("item_core", item_core, kNotNegative, "… and every item so many");
    field(
        "core_passes", core_passes, one_of({"repeat", "once"}),
        "once: items first, then users, one pass each, after which items may be rarer again [R1]");
    field("min_user_length", min_user_length, kNotNegative,
          "drop users with fewer events, after all that");
    field("max_users", max_users, kNotNegative, "keep a random subset of the users; 0: all");
    field("keep_unseen_items", keep_unseen_items, kAny,
          "keep items without interactions as candidates (always when there are none at all)");
    field("item_order", item_order, one_of({"first", "lexicographic"}),
          "numbers of items: by first appearance, or by their outside ids [R1]");
    field("transform_seed", transform_seed, kNotNegative, "seed of max_users");
  }
};

// The steps in the order of fields(). `steps` gets one entry for each that changed something:
// {"step", "users", "items", "events"} with what is left.
Dataset apply_transforms(const Dataset& data, const TransformOptions& options, Json& steps);

// What of the target leaves the source [Z4].
enum class Overlap { kBoth, kUsers, kItems, kNone };
// "both", "users", "items" or "none"; Error{kBadOption} for another word.
Overlap overlap_named(const std::string& name);

// The source without every user and item (or one of the two, or neither) whose outside id occurs in
// the target, and without users who are then left with fewer than `min_user_length` events [Z4].
Dataset remove_overlap(const Dataset& source, const Dataset& target,
                       std::int64_t min_user_length = 2, Overlap removed = Overlap::kBoth);

// The dataset of the users that are marked, without the items that only others took.
Dataset keep_users(const Dataset& data, const std::vector<bool>& users);

// For each item of `part` its ItemId in `whole`, by outside id. Errors: Error{kBadInput} for an
// item that `whole` does not have.
std::vector<ItemId> matching_items(const Dataset& part, const Dataset& whole);

}  // namespace kindling
