#include "kindling/data/synthetic_scenarios.h"

#include <string>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

// Item `rank * topics + topic`, rank r (0-based) with weight 1 / (r + 1).
std::uint32_t draw_item(std::uint32_t topic, std::uint32_t items, std::uint32_t topics, Rng& rng) {
  const std::uint32_t count = (items - topic + topics - 1) / topics;
  double total = 0.0;
  for (std::uint32_t r = 0; r < count; ++r) total += 1.0 / (r + 1);
  double left = rng.uniform() * total;
  std::uint32_t rank = 0;
  while (rank + 1 < count && (left -= 1.0 / (rank + 1)) >= 0.0) ++rank;
  return rank * topics + topic;
}

void add_choices(const std::string& place, std::uint32_t user, std::uint32_t items,
                 std::uint32_t events, const SyntheticScenarioOptions& options, Rng& rng,
                 DatasetBuilder& builder) {
  const UserId id = builder.user(fmt::format("u{}", user));
  for (std::uint32_t n = 0; n < events; ++n) {
    const std::uint32_t topic = rng.uniform() < options.loyalty
                                    ? user % options.topics
                                    : static_cast<std::uint32_t>(rng.below(options.topics));
    const std::uint32_t item = draw_item(topic, items, options.topics, rng);
    builder.add(id, builder.item(fmt::format("{}-i{}", place, item)), 0);
  }
}

Dataset make_side(const char* side, std::uint32_t scenarios,
                  const SyntheticScenarioOptions& options, const Rng& root) {
  DatasetBuilder builder(false);
  for (std::uint32_t s = 0; s < scenarios; ++s) {
    const std::string name = fmt::format("{} {}", side, s);
    const std::string place = fmt::format("{}-s{}", side, s);
    for (std::uint32_t j = 0; j < options.scenario_items; ++j) {
      Item item;
      item.title = fmt::format("{} item {}", name, j);
      item.text = fmt::format("topic{} {}", j % options.topics, name);
      item.categories = {side, name};
      builder.set_item(builder.item(fmt::format("{}-i{}", place, j)), std::move(item));
    }
    Rng rng = root.fork(name);
    for (std::uint32_t u = 0; u < options.shared_users + options.target_users; ++u) {
      if (rng.uniform() >= options.presence) continue;
      add_choices(place, u, options.scenario_items, options.scenario_events, options, rng, builder);
    }
  }
  return std::move(builder).build(side);
}

}  // namespace

SyntheticScenarios make_synthetic_scenarios(const SyntheticScenarioOptions& options,
                                            std::uint64_t seed) {
  check(options.topics >= 2 && options.source_items >= options.topics &&
            options.scenario_items >= options.topics,
        "synthetic scenarios need topics and items of each");
  const Rng root = Rng(seed).fork("synthetic scenarios");
  DatasetBuilder source(false);
  Rng rng = root.fork("source");
  for (std::uint32_t u = 0; u < options.shared_users; ++u) {
    add_choices("source", u, options.source_items, options.source_events, options, rng, source);
  }
  return {std::move(source).build("source"),
          make_side("train", options.train_scenarios, options, root),
          make_side("test", options.test_scenarios, options, root)};
}

std::uint32_t synthetic_topic(std::string_view id, std::uint32_t topics) {
  const auto letter = id.find_last_not_of("0123456789");
  const auto number = to_int(id.substr(letter == std::string_view::npos ? 0 : letter + 1));
  check(number.has_value(), "an id of a synthetic world ends with a number");
  return static_cast<std::uint32_t>(*number) % topics;
}

}  // namespace kindling
