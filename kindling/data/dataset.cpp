#include "kindling/data/dataset.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"

namespace kindling {

namespace {

// Every piece goes in behind its length, so that no two different datasets give the same bytes.
class Digest {
 public:
  Digest& number(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      buffer_ += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xffU);
    }
    if (buffer_.size() > kFlush) flush();
    return *this;
  }
  Digest& text(std::string_view value) {
    number(value.size());
    buffer_ += value;
    return *this;
  }
  std::string hex() {
    flush();
    return hash_.hex();
  }

 private:
  static constexpr std::size_t kFlush = std::size_t{1} << 16U;
  void flush() {
    hash_.add(std::string_view(buffer_));
    buffer_.clear();
  }
  std::string buffer_;
  Sha256 hash_;
};

void number_events(const std::vector<std::uint64_t>& offsets, std::vector<Event>& events) {
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    for (std::uint64_t at = offsets[user]; at < offsets[user + 1]; ++at) {
      events[at].time = static_cast<std::int64_t>(at - offsets[user]);
    }
  }
}

}  // namespace

std::string Dataset::fingerprint() const {
  Digest digest;
  digest.text("kindling dataset 1").number(has_times ? 1 : 0);
  digest.number(user_count()).number(item_count()).number(event_count());
  for (UserId user = 0; user < user_count(); ++user) {
    digest.text(users_.name(user)).number(history(user).size());
    for (const Event& event : history(user)) {
      std::uint32_t value = 0;
      static_assert(sizeof value == sizeof event.value);
      std::copy_n(reinterpret_cast<const char*>(&event.value), sizeof value,
                  reinterpret_cast<char*>(&value));
      digest.number((static_cast<std::uint64_t>(event.item) << 32U) | value);
      digest.number(static_cast<std::uint64_t>(event.time));
    }
  }
  for (ItemId item = 0; item < item_count(); ++item) {
    const Item& known = items_[item];
    digest.text(item_ids_.name(item)).text(known.title).text(known.text).text(known.brand);
    digest.number(known.categories.size());
    for (const auto& category : known.categories) digest.text(category);
  }
  return digest.hex();
}

DatasetBuilder::DatasetBuilder(bool has_times) : has_times_(has_times) {}

UserId DatasetBuilder::user(std::string_view id, std::string_view place) {
  return users_.add(id, place);
}

ItemId DatasetBuilder::item(std::string_view id, std::string_view place) {
  const ItemId item = item_ids_.add(id, place);
  if (item == items_.size()) items_.emplace_back();
  return item;
}

void DatasetBuilder::set_item(ItemId item, Item description) {
  items_.at(item) = std::move(description);
}

void DatasetBuilder::add(UserId user, ItemId item, std::int64_t time, float value) {
  events_.push_back({user, {item, value, time}});
}

Dataset DatasetBuilder::build(std::string name) && {
  Dataset data;
  data.name = std::move(name);
  data.has_times = has_times_;
  // A counting sort by user keeps the file's order within a user, which the sort by time then
  // keeps for ties.
  data.offsets_.assign(users_.size() + 1, 0);
  for (const Row& row : events_) ++data.offsets_.at(row.user + 1);
  for (std::size_t user = 0; user < users_.size(); ++user) {
    data.offsets_[user + 1] += data.offsets_[user];
  }
  data.events_.resize(events_.size());
  std::vector<std::uint64_t> next(data.offsets_.begin(), data.offsets_.end() - 1);
  for (const Row& row : events_) {
    check(row.event.item < items_.size(), "event of an item that was not added");
    data.events_[next[row.user]++] = row.event;
  }
  std::vector<Row>().swap(events_);
  if (has_times_) {
    const auto earlier = [](const Event& a, const Event& b) { return a.time < b.time; };
    for (std::size_t user = 0; user < users_.size(); ++user) {
      const auto begin = data.events_.begin() + static_cast<std::ptrdiff_t>(data.offsets_[user]);
      const auto end = data.events_.begin() + static_cast<std::ptrdiff_t>(data.offsets_[user + 1]);
      if (!std::is_sorted(begin, end, earlier)) std::stable_sort(begin, end, earlier);
    }
  } else {
    number_events(data.offsets_, data.events_);
  }
  data.users_ = std::move(users_);
  data.item_ids_ = std::move(item_ids_);
  data.items_ = std::move(items_);
  return data;
}

Dataset DatasetBuilder::replace_events(const Dataset& base, std::vector<std::uint64_t> offsets,
                                       std::vector<Event> events) {
  check(offsets.size() == base.user_count() + 1 && offsets.back() == events.size(),
        "offsets do not fit the events");
  Dataset data;
  data.name = base.name;
  data.has_times = base.has_times;
  data.origin = base.origin;
  data.users_ = base.users_;
  data.item_ids_ = base.item_ids_;
  data.items_ = base.items_;
  if (!data.has_times) number_events(offsets, events);
  data.offsets_ = std::move(offsets);
  data.events_ = std::move(events);
  return data;
}

}  // namespace kindling
