// Running means of packed sequences, older steps counting less.
//
// Step n at place t of its sequence:   y[n] = sum_a decay^a x[n - a] / sum_a decay^a,
// a = 0 … t over the steps marked `known`; steps that are not known (the dummy in front of a
// history) are left out, and give y[n] = x[n] as long as nothing known has come. decay 0: y[n] =
// x[n] of the last known step.
//
// Shapes: x, y [N, dim] row-major; known [N]; offsets [B + 1]. What a window hands to the next one
// of the same sequences: sums [B, dim] and weights [B], the numerator and denominator after its
// last step. Source: the recency weights of Emb-kNN's later package (specs/baselines.md A).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kindling::kernels {

// The sums after the last step of B sequences; null pointers: start from nothing, or keep nothing.
template <class Real>
struct DecayedSums {
  Real* sums = nullptr;     // [B, dim]
  Real* weights = nullptr;  // [B]
};

// Real is float or double. total_weight [N] is the denominator of each step, for the backward pass
// (0: nothing known yet).
template <class Real>
void decayed_mean_forward(std::span<const std::int64_t> offsets, std::size_t dim, Real decay,
                          const Real* x, const std::uint8_t* known, const DecayedSums<Real>& start,
                          Real* y, Real* total_weight, const DecayedSums<Real>& last);

// d_x [N, dim] from d_y [N, dim]; nothing flows into `start`.
template <class Real>
void decayed_mean_backward(std::span<const std::int64_t> offsets, std::size_t dim, Real decay,
                           const Real* d_y, const std::uint8_t* known, const Real* total_weight,
                           Real* d_x);

}  // namespace kindling::kernels
