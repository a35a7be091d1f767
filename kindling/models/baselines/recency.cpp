// Recency: what the target's users took up lately.
//
//   decay   score = sum over the item's training events of 0.5^(age / half life)
//   last    the items in the order of their last training event, newest first
//
// `age` is the time from the event to the last training event of the whole domain. Data with order
// only has no common clock: there the age is the number of events of the same user that follow, and
// the half life is counted in events.
// Source: ecosystem D4.4 (a popularity prior blended with time, PrepRec). The paper has no such
// baseline; on news POP falls below Random because it is stale, this one does not.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kindling/models/item_prior.h"
#include "kindling/models/registry.h"

namespace kindling::recency {

namespace {

struct Options {
  std::string kind = "decay";
  double half_life_days = 30.0;
  double half_life_events = 4.0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("kind", kind, one_of({"decay", "last"}),
          "decayed count of events, or time of the last event");
    field("half_life_days", half_life_days, kPositive,
          "age at which an event counts half; data with times");
    field("half_life_events", half_life_events, kPositive,
          "the same in events of the user; data with order only");
  }
};

class Recency : public ItemPrior {
 public:
  explicit Recency(Options options) : ItemPrior("recency"), options_(std::move(options)) {}

 protected:
  std::vector<float> learn(const Dataset& train) const override {
    return options_.kind == "last" ? by_last_event(train) : by_decayed_count(train);
  }

 private:
  static constexpr double kSecondsPerDay = 86400.0;

  // Calls visit(item, age); age in seconds or, without times, in events.
  template <class Visit>
  static void for_each_age(const Dataset& train, const Visit& visit) {
    std::int64_t now = std::numeric_limits<std::int64_t>::min();
    for (const Event& event : train.events()) now = std::max(now, event.time);
    for (UserId user = 0; user < train.user_count(); ++user) {
      const auto history = train.history(user);
      for (std::size_t at = 0; at < history.size(); ++at) {
        const double age = train.has_times
                               ? static_cast<double>(now) - static_cast<double>(history[at].time)
                               : static_cast<double>(history.size() - 1 - at);
        visit(history[at].item, age);
      }
    }
  }

  std::vector<float> by_decayed_count(const Dataset& train) const {
    const double half_life =
        train.has_times ? options_.half_life_days * kSecondsPerDay : options_.half_life_events;
    std::vector<double> sums(train.item_count(), 0.0);
    for_each_age(train,
                 [&](ItemId item, double age) { sums[item] += std::exp2(-age / half_life); });
    return {sums.begin(), sums.end()};
  }

  // Places instead of times: a float cannot hold seconds since 1970.
  static std::vector<float> by_last_event(const Dataset& train) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    std::vector<double> youngest(train.item_count(), kNever);
    for_each_age(train,
                 [&](ItemId item, double age) { youngest[item] = std::min(youngest[item], age); });
    std::vector<double> ages = youngest;
    std::sort(ages.begin(), ages.end(), std::greater<>());
    ages.erase(std::unique(ages.begin(), ages.end()), ages.end());
    std::vector<float> places(train.item_count());
    for (std::size_t j = 0; j < places.size(); ++j) {
      const auto place =
          std::lower_bound(ages.begin(), ages.end(), youngest[j], std::greater<>()) - ages.begin();
      places[j] = static_cast<float>(place);
    }
    return places;
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Recency>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::recency
