// A domain: what its users did, in order, and what its items are.
//
//   Dataset shop = load_dataset("data/games");
//   std::span<const Event> history = shop.history(user);     // oldest first; ties keep file order
//   const Item& item = shop.items()[history.back().item];
//
// Immutable after building; every transformation (k-core, splits, overlap removal) gives a new
// Dataset. The directory format is described in docs/file_formats.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/data/ids.h"
#include "kindling/data/vocabulary.h"

namespace kindling {

// One interaction of a user. `time` is in seconds since 1970 (UTC) when the dataset has times, and
// otherwise the position in the user's sequence. `value` is a rating when there was one, else 1.
struct Event {
  ItemId item = 0;
  float value = 1.0F;
  std::int64_t time = 0;

  friend bool operator==(const Event&, const Event&) = default;
};

// What is known of an item besides its id. `text` is what encoders read, made by item_text()
// (item_text.h).
struct Item {
  std::string title;
  std::string text;
  std::vector<std::string> categories;  // broad to narrow
  std::string brand;

  friend bool operator==(const Item&, const Item&) = default;
};

class Dataset {
 public:
  std::string name;
  bool has_times = false;
  Json origin = Json::object();  // how it was made: format, files, options, steps; saved with it

  std::size_t user_count() const { return users_.size(); }
  std::size_t item_count() const { return items_.size(); }
  std::size_t event_count() const { return events_.size(); }
  const Vocabulary& user_ids() const { return users_; }
  const Vocabulary& item_ids() const { return item_ids_; }
  const std::vector<Item>& items() const { return items_; }
  std::span<const Event> history(UserId user) const {
    return {events_.data() + offsets_[user], offsets_[user + 1] - offsets_[user]};
  }
  std::span<const Event> events() const { return events_; }            // grouped by user
  std::span<const std::uint64_t> offsets() const { return offsets_; }  // users + 1

  // SHA-256 over ids, events and texts: the same data gives the same fingerprint whatever made it.
  std::string fingerprint() const;

 private:
  friend class DatasetBuilder;
  Vocabulary users_;
  Vocabulary item_ids_;
  std::vector<Item> items_;
  std::vector<Event> events_;
  std::vector<std::uint64_t> offsets_{0};
};

// Collects events in any order and items in any order, then sorts each user's events by time
// (stable).
class DatasetBuilder {
 public:
  explicit DatasetBuilder(bool has_times);

  UserId user(std::string_view id, std::string_view place = {});
  ItemId item(std::string_view id,
              std::string_view place = {});  // adds an item without text when new
  void set_item(ItemId item, Item description);
  // Without times, events of one user must come oldest first; `time` is then ignored.
  void add(UserId user, ItemId item, std::int64_t time, float value = 1.0F);
  std::size_t event_count() const { return events_.size(); }
  std::size_t item_count() const { return items_.size(); }
  const Vocabulary& item_ids() const { return item_ids_; }
  const std::vector<Item>& items() const { return items_; }
  // Room for `events` rows: saves moving them while a large file is read.
  void reserve(std::size_t events) { events_.reserve(events); }

  Dataset build(std::string name) &&;

  // `base` with other events and the same users and items, so that ids (and item vectors) stay
  // valid. `offsets` has user_count() + 1 entries; without times the events are numbered anew.
  static Dataset replace_events(const Dataset& base, std::vector<std::uint64_t> offsets,
                                std::vector<Event> events);

 private:
  struct Row {
    UserId user;
    Event event;
  };
  bool has_times_;
  Vocabulary users_;
  Vocabulary item_ids_;
  std::vector<Item> items_;
  std::vector<Row> events_;
};

// The dataset directory. save refuses to replace a directory that is not a dataset; load checks
// versions, sizes and ranges before use. Errors: kNotFound, kCorrupt with file and cause.
void save_dataset(const Dataset& dataset, const std::string& directory, bool force = false);
Dataset load_dataset(const std::string& directory);
// The name of the file that marks a dataset directory.
inline constexpr const char* kDatasetMarker = "dataset.json";

}  // namespace kindling
