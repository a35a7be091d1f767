// Random: a fresh random order of the items for every query.
//
// Its expectation is known in closed form (R@20 = 20/J, N@20 = 7.0403/J), which makes it the
// standing test of the evaluator. Source: specs/baselines.md section A.
// Differs: the score of an item is a hash of the seed, the history and the item, so that it depends
//          neither on the batch nor on the order of queries. Users with equal histories (two empty
//          ones, say) get the same order.
#include "kindling/base/random.h"

#include "kindling/base/parallel.h"
#include "kindling/models/registry.h"

namespace kindling::random {

namespace {

struct Options {
  template <class Visitor>
  void fields(Visitor&) {}
};

// splitmix64's finaliser: every bit of the input changes about half of the output's.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

std::uint64_t hash_history(std::uint64_t seed, std::span<const Event> history) {
  std::uint64_t hash = mix(seed);
  for (const Event& event : history) {
    hash = mix(hash ^ event.item);
    hash = mix(hash ^ static_cast<std::uint64_t>(event.time));
  }
  return hash;
}

class Random : public Recommender {
 public:
  void fit(const TrainTask&, FitContext& context) override { seed_ = context.seed; }

  Matrix score(const Domain&, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    Matrix scores(queries.size(), candidates.size());
    parallel_for(queries.size(), 8, [&](std::size_t begin, std::size_t end) {
      for (std::size_t q = begin; q < end; ++q) {
        const std::uint64_t stream = hash_history(seed_, queries[q].history);
        for (std::size_t c = 0; c < candidates.size(); ++c) {
          // 24 bits: all that a float in [0, 1) holds.
          scores(q, c) = static_cast<float>(mix(stream ^ mix(candidates[c])) >> 40U) * 0x1p-24F;
        }
      }
    });
    return scores;
  }

  ModelState state() const override { return {}; }
  Json details() const override { return {{"seed", seed_}}; }
  void load_state(const ModelState&, const Json& details) override {
    seed_ = json_get<std::uint64_t>(details, "seed", "details of model random");
  }

 private:
  std::uint64_t seed_ = 0;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Random>();
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::random
