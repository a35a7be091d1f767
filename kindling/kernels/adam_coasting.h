// Many steps of Adam without a gradient, in one: what a row makes up for that was left alone.
//
//   AdamCoasting past({.learning_rate = 0.006, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9});
//   past.next();                                    // once a step
//   const AdamCoasting::Move& move = past.between(first, last);
//   move.apply(p, m, v, dim);                       // steps first + 1 … last
//
// Without a gradient m and v shrink by beta1 and beta2 a step, so steps t = first + j move p by
//   m Σ_j r_t beta1^j / (√v beta2^(j/2) s_t + eps),   r_t rate, s_t root of the second correction,
// which is m/eps times Σ_j w_j / (√v/eps + h_j) with w and h the same for every float of a row.
// That is a Stieltjes function: three nodes of a Gauss quadrature over z = 1 / (h + h_1) give it
// for every v from 0 up, with beta1 0.9 and beta2 0.98 to 3e-6 of the move, closer with a larger
// beta2. As a fraction of polynomials in τ = shift / (√v + shift), shift = h_1 eps, nothing
// overflows, and no node has to be found. It holds where weights fade well before h has grown,
// beta1 <= beta2^5, and behind the first kBegin steps, whose corrections change fast; elsewhere the
// steps are taken one by one. After kMemory steps momentum has died out: what lies further back
// moves nothing that a float could show. Source: Kingma & Ba 2015, corrections as PyTorch's Adam;
// Golub & Welsch 1969. Threads: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindling::kernels {

class AdamCoasting {
 public:
  struct Options {
    double learning_rate = 0.006;
    double beta1 = 0.9;
    double beta2 = 0.98;
    double eps = 1e-9;
  };
  static constexpr std::int64_t kMemory = 256;
  static constexpr std::int64_t kBegin = 48;
  static constexpr std::size_t kNodes = 3;

  // p -= m / (√v + shift) · over(τ) / under(τ); m *= fade_m; v *= fade_v.
  struct Move {
    void apply(float* p, float* m, float* v, std::size_t dim) const;
    float over[kNodes] = {};
    float under[kNodes + 1] = {1.0F};
    float shift = 0.0F;
    float fade_m = 1.0F;
    float fade_v = 1.0F;
    std::int64_t first = -1;  // the step that it begins behind, kSteady: any
  };

  explicit AdamCoasting(const Options& options);

  // Begins step steps() + 1: its rate and the factor of √v.
  void next();
  std::int64_t steps() const { return static_cast<std::int64_t>(rate_.size()) - 1; }
  float rate() const { return rate_.back(); }
  float correction() const { return correction_.back(); }

  // Steps first + 1 … last (last - first in 1 … kMemory, last <= steps()) for a row.
  void catch_up(float* p, float* m, float* v, std::size_t dim, std::int64_t first,
                std::int64_t last);
  // The same as a fraction, for beta1 <= beta2^5, first >= kBegin; valid until the next call.
  const Move& between(std::int64_t first, std::int64_t last);

 private:
  static constexpr std::int64_t kSteady = -2;
  void measure(std::int64_t first, std::int64_t last, Move& move) const;
  void one_by_one(float* p, float* m, float* v, std::size_t width, std::int64_t first,
                  std::int64_t last) const;

  Options options_;
  bool fades_fast_;                // beta1 <= beta2^5
  std::vector<float> rate_;        // [steps + 1] lr / (1 - beta1^t)
  std::vector<float> correction_;  // [steps + 1] 1 / sqrt(1 - beta2^t)
  std::vector<Move> moves_;        // [kMemory + 1] by the number of steps, those asked for last
};

}  // namespace kindling::kernels
