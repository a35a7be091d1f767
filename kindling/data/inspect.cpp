#include "kindling/data/inspect.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/data/negatives.h"
#include "kindling/data/split.h"

namespace kindling {

namespace {

Json quantiles(std::vector<std::uint64_t> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(
        std::llround(share * static_cast<double>(values.size() - 1)))];
  };
  double sum = 0.0;
  for (const std::uint64_t value : values) sum += static_cast<double>(value);
  return {{"mean", sum / static_cast<double>(values.size())},
          {"min", values.front()},
          {"median", at(0.5)},
          {"p90", at(0.9)},
          {"p99", at(0.99)},
          {"max", values.back()}};
}

// "2016-10-01" for a time in seconds.
std::string date_of(std::int64_t time) {
  constexpr std::int64_t kDay = 86400;
  std::int64_t days = time / kDay - (time % kDay < 0 ? 1 : 0) + 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month = (5 * day_of_year + 2) / 153;
  const std::int64_t civil_month = month < 10 ? month + 3 : month - 9;
  return fmt::format("{:04}-{:02}-{:02}", year_of_era + era * 400 + (civil_month <= 2 ? 1 : 0),
                     civil_month, day_of_year - (153 * month + 2) / 5 + 1);
}

Json time_range(const Dataset& data) {
  if (!data.has_times || data.event_count() == 0) return nullptr;
  const auto [first, last] =
      std::minmax_element(data.events().begin(), data.events().end(),
                          [](const Event& a, const Event& b) { return a.time < b.time; });
  std::uint64_t ties = 0;
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    for (std::size_t at = 1; at < history.size(); ++at) {
      if (history[at].time == history[at - 1].time) ++ties;
    }
  }
  return {{"first", first->time},
          {"last", last->time},
          {"first_date", date_of(first->time)},
          {"last_date", date_of(last->time)},
          {"neighbours_at_the_same_time", ties}};
}

Json repeats(const Dataset& data) {
  std::uint64_t runs = 0;
  std::uint64_t any = 0;
  std::vector<UserId> seen_by(data.item_count(), ~UserId{0});
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    for (std::size_t at = 0; at < history.size(); ++at) {
      if (at > 0 && history[at].item == history[at - 1].item) ++runs;
      if (seen_by[history[at].item] == user) ++any;
      seen_by[history[at].item] = user;
    }
  }
  return {{"same_item_twice_in_a_row", runs}, {"same_item_again", any}};
}

// The first bytes of a text, cut between characters.
std::string head_of(const std::string& text) {
  std::size_t end = std::min<std::size_t>(text.size(), 80);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

Json pairs_json(const DuplicateReport& report, const Dataset& a, const Dataset& b) {
  Json pairs = Json::array();
  for (const auto& [first, second] : report.examples) {
    pairs.push_back({{"items", {a.item_ids().name(first), b.item_ids().name(second)}},
                     {"texts", {head_of(a.items()[first].text), head_of(b.items()[second].text)}}});
  }
  return pairs;
}

Json texts(const Dataset& data) {
  std::uint64_t with_text = 0;
  std::uint64_t with_title = 0;
  std::uint64_t with_categories = 0;
  std::vector<std::uint64_t> bytes;
  for (const Item& item : data.items()) {
    with_text += item.text.empty() ? 0 : 1;
    with_title += item.title.empty() ? 0 : 1;
    with_categories += item.categories.empty() ? 0 : 1;
    if (!item.text.empty()) bytes.push_back(item.text.size());
  }
  const DuplicateReport duplicates = duplicate_texts(data);
  return {{"with_text", with_text},
          {"empty", data.item_count() - with_text},
          {"with_title", with_title},
          {"with_categories", with_categories},
          {"bytes", quantiles(std::move(bytes))},
          {"repeat_an_earlier_text", duplicates.same_text_items},
          {"near_duplicate_pairs", duplicates.near_pairs},
          {"examples", pairs_json(duplicates, data, data)}};
}

Json leakage(const Dataset& target, const Dataset& source) {
  if (!target.has_times || !source.has_times || target.event_count() == 0) return nullptr;
  const std::int64_t time = *split_by_time(target).time;
  const auto late = std::count_if(source.events().begin(), source.events().end(),
                                  [&](const Event& event) { return event.time > time; });
  return {{"target_split", time},
          {"target_split_date", date_of(time)},
          {"source_events_after_split", late},
          {"source_events_until_split", source.event_count() - static_cast<std::uint64_t>(late)}};
}

std::uint64_t shared(const Vocabulary& a, const Vocabulary& b) {
  std::uint64_t count = 0;
  for (std::uint32_t id = 0; id < a.size(); ++id) count += b.find(a.name(id)) ? 1 : 0;
  return count;
}

}  // namespace

Json inspect_dataset(const Dataset& data) {
  std::vector<std::uint64_t> lengths;
  for (UserId user = 0; user < data.user_count(); ++user) {
    lengths.push_back(data.history(user).size());
  }
  const double cells =
      static_cast<double>(data.user_count()) * static_cast<double>(data.item_count());
  return {{"name", data.name},
          {"fingerprint", data.fingerprint()},
          {"users", data.user_count()},
          {"items", data.item_count()},
          {"interactions", data.event_count()},
          {"density", cells > 0 ? static_cast<double>(data.event_count()) / cells : 0.0},
          {"history_lengths", quantiles(std::move(lengths))},
          {"item_counts", quantiles(item_counts(data))},
          {"repeats", repeats(data)},
          {"times", time_range(data)},
          {"texts", texts(data)},
          {"origin", data.origin}};
}

Json inspect_against(const Dataset& target, const Dataset& source) {
  const DuplicateReport duplicates = duplicate_texts(target, source);
  return {{"name", source.name},
          {"shared_users", shared(target.user_ids(), source.user_ids())},
          {"shared_items", shared(target.item_ids(), source.item_ids())},
          {"same_texts", duplicates.same_text_items},
          {"near_texts", duplicates.near_pairs},
          {"examples", pairs_json(duplicates, target, source)},
          {"time", leakage(target, source)}};
}

}  // namespace kindling
