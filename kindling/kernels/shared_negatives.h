// BPR-max over a batch whose rows share their negatives: row r's target is one column, every other
// column (the other rows' targets, then the sampled items) is its negative.
//
//   double loss = bpr_max(scores, {.rows = 64, .columns = 2112}, {.elu = 0.5F, .regularisation
//   = 1.0F});                                                        // scores <- gradient
//
// With s = elu(score) and weights w = softmax of s over the negatives:
// -log(Σ w_j σ(s_r - s_j) + 1e-24) + regularisation · Σ w_j s_j², summed over rows and divided by
// `batch`. No column is masked when it happens to be the target. The softmax cross entropy of such
// a batch is in shared_softmax.h.
//
// Threads: uses those of base/parallel.h. Source: Hidasi & Karatzoglou, Recurrent Neural Networks
// with Top-k Gains for Session-based Recommendations, CIKM 2018 (specs/baselines.md A).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct SharedShape {
  std::size_t rows;
  std::size_t columns;
  const std::uint32_t* targets = nullptr;  // [rows] a row's target; null: column r
  std::size_t batch = 0;                   // what the rows' sum is divided by; 0: rows

  std::size_t target(std::size_t r) const { return targets == nullptr ? r : targets[r]; }
  double divisor() const { return static_cast<double>(batch == 0 ? rows : batch); }
};

struct BprMaxOptions {
  float elu = 0.5F;             // 0: the scores as they are
  float regularisation = 1.0F;  // bpreg
};

// scores [rows, columns] are overwritten by the gradient of the returned loss.
double bpr_max(float* scores, const SharedShape& shape, const BprMaxOptions& options);

// sums[c] = Σ_r scores[r, c]: the gradient of a column's bias.
void column_sums(const float* scores, const SharedShape& shape, float* sums);

// The loss alone, plainly in double: the answer the other is held to.
double bpr_max_reference(const float* scores, const SharedShape& shape,
                         const BprMaxOptions& options);

}  // namespace kindling::kernels
