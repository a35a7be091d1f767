// Random numbers that do not depend on the standard library, the platform or the order of threads.
//
//   Rng root(seed);
//   Rng negatives = root.fork("negatives");   // an independent stream; the same name gives the
//   same stream
//
// Source: Blackman & Vigna, xoshiro256++ 1.0, seeded by splitmix64 (public domain algorithms).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kindling {

class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  // A stream of its own for each name and number, whatever was drawn from this one before.
  Rng fork(std::string_view name, std::uint64_t number = 0) const;
  // A seed for another library's generator; equal for equal streams.
  std::uint64_t seed() const { return seed_; }

  std::uint64_t next();
  // Uniform in [0, bound); bound > 0. Unbiased (Lemire 2019).
  std::uint64_t below(std::uint64_t bound);
  double uniform();                         // [0, 1)
  double uniform(double low, double high);  // [low, high)
  double normal();                          // N(0, 1), Box-Muller

  // UniformRandomBitGenerator, for std::shuffle's signature only: std distributions differ between
  // platforms.
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return next(); }

 private:
  std::uint64_t seed_;
  std::array<std::uint64_t, 4> state_;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

// Fisher-Yates.
template <class T>
void shuffle(std::span<T> values, Rng& rng) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[rng.below(i)]);
  }
}

// 0 … count-1 in random order.
std::vector<std::uint32_t> permutation(std::size_t count, Rng& rng);

}  // namespace kindling
