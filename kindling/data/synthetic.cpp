#include "kindling/data/synthetic.h"

#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling {

namespace {

constexpr std::int64_t kStart = 1'600'000'000;  // 2020-09-13
constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kSpreadHours = 600;  // 25 days
constexpr std::uint32_t kWordsPerTopic = 5;

void check_options(const SyntheticOptions& options) {
  check(options.topics >= 2 && options.items >= options.topics && options.dim >= 1 &&
            options.min_length >= 1 && options.max_length >= options.min_length &&
            options.shared_users <= options.users,
        "a synthetic world needs topics, items and lengths");
}

// Centres come from the world's seed alone: both domains share them.
Matrix topic_centres(const SyntheticOptions& options, std::uint64_t seed) {
  Rng rng = Rng(seed).fork("centres");
  Matrix centres(options.topics, options.dim);
  for (std::size_t t = 0; t < centres.rows(); ++t) {
    double sum = 0.0;
    for (float& value : centres.row(t)) {
      value = static_cast<float>(rng.normal());
      sum += static_cast<double>(value) * value;
    }
    for (float& value : centres.row(t)) value = static_cast<float>(value / std::sqrt(sum));
  }
  return centres;
}

std::string topic_text(std::uint32_t topic, Rng& rng) {
  std::string text;
  for (int word = 0; word < 4; ++word) {
    text += fmt::format("{}topic{}word{}", word == 0 ? "" : " ", topic, rng.below(kWordsPerTopic));
  }
  return text;
}

// Rank r (0-based) of a topic's items is drawn with weight 1 / (r + 1).
ItemId draw_item(std::uint32_t topic, const SyntheticOptions& options, Rng& rng) {
  const std::uint32_t count = (options.items - topic + options.topics - 1) / options.topics;
  double total = 0.0;
  for (std::uint32_t r = 0; r < count; ++r) total += 1.0 / (r + 1);
  double left = rng.uniform() * total;
  std::uint32_t rank = 0;
  while (rank + 1 < count && (left -= 1.0 / (rank + 1)) >= 0.0) ++rank;
  return rank * options.topics + topic;
}

std::uint32_t next_topic(std::uint32_t topic, const SyntheticOptions& options, Rng& rng) {
  const double choice = rng.uniform();
  if (choice < options.stay) return topic;
  if (choice < options.stay + options.advance) return (topic + 1) % options.topics;
  return static_cast<std::uint32_t>(rng.below(options.topics));
}

}  // namespace

SyntheticDomain make_synthetic_domain(const std::string& name, const SyntheticOptions& options,
                                      std::uint64_t seed) {
  check_options(options);
  const Rng root = Rng(seed).fork(name);
  DatasetBuilder builder(options.has_times);
  SyntheticDomain domain;
  const Matrix centres = topic_centres(options, seed);
  domain.vectors.values = Matrix(options.items, options.dim);
  domain.vectors.encoder = "synthetic";
  domain.vectors.fingerprint = fmt::format("synthetic-{}-{}", options.dim, seed);
  Rng texts = root.fork("items");
  const double spread = options.noise / std::sqrt(static_cast<double>(options.dim));
  for (std::uint32_t j = 0; j < options.items; ++j) {
    const std::uint32_t topic = j % options.topics;
    Item item;
    item.title = fmt::format("{} item {}", name, j);
    item.text = topic_text(topic, texts);
    item.categories = {fmt::format("topic {}", topic)};
    builder.set_item(builder.item(fmt::format("{}-i{}", name, j)), std::move(item));
    for (std::size_t c = 0; c < options.dim; ++c) {
      domain.vectors.values(j, c) = static_cast<float>(centres(topic, c) + spread * texts.normal());
    }
  }
  for (std::uint32_t u = 0; u < options.users; ++u) {
    Rng rng = root.fork("user", u);
    const bool shared = u < options.shared_users;
    const UserId user = builder.user(fmt::format("{}-u{}", shared ? "shared" : name, u));
    const auto length =
        options.min_length +
        static_cast<std::uint32_t>(rng.below(options.max_length - options.min_length + 1));
    auto topic = static_cast<std::uint32_t>(rng.below(options.topics));
    if (shared) {
      Rng taste = Rng(seed).fork("shared user", u);
      topic = static_cast<std::uint32_t>(taste.below(options.topics));
    }
    std::int64_t time = kStart + static_cast<std::int64_t>(rng.below(kSpreadHours)) * kHour;
    for (std::uint32_t n = 0; n < length; ++n) {
      builder.add(user, draw_item(topic, options, rng), time);
      topic = next_topic(topic, options, rng);
      time += static_cast<std::int64_t>(1 + rng.below(9)) * kHour;
    }
  }
  domain.data = std::move(builder).build(name);
  domain.data.origin = {{"format", "synthetic"}, {"seed", seed}};
  return domain;
}

SyntheticWorld make_synthetic_world(const SyntheticOptions& options, std::uint64_t seed) {
  return {make_synthetic_domain("source", options, seed),
          make_synthetic_domain("target", options, seed)};
}

}  // namespace kindling
