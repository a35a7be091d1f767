// Softmax cross entropy of a batch whose rows share their classes, from the vectors to all
// gradients: row r's target is class targets[r], every other class (the other rows' targets and the
// sampled items) is its negative.
//
//   scores = states · table[classes]ᵀ + shift                                [rows, classes]
//   loss = Σ_r -log(softmax(scores)[r, targets[r]] + tiny) / batch
//
//   double loss = shared_softmax({64, 2112, 100, states, table, classes, shift, targets},
//                                {d_states, d_classes, d_shift});
//
// Classes are taken in chunks. A thread makes the scores of its chunks and, once all know the rows'
// maxima and sums, the gradients from them, so that scores stay in the cache of one core. They
// stand transposed: class by class, the rows side by side. The result does not depend on the number
// of threads. No class is masked when it happens to be the target. Room that lasts: columns · rows
// · (1 + dim / 384) floats. softmax_cross_entropy.h takes any number of rows, in blocks.
//
// Threads: uses those of base/parallel.h. Source: Hidasi & Karatzoglou, Recurrent Neural Networks
// with Top-k Gains for Session-based Recommendations, CIKM 2018 (specs/baselines.md A).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct SharedSoftmax {
  std::size_t rows;
  std::size_t columns;  // classes
  std::size_t dim;
  const float* states;           // [rows, dim]
  const float* table;            // [.., dim]
  const std::int64_t* classes;   // [columns] rows of the table; null: all, in order
  const float* shift;            // [columns]; null: 0
  const std::uint32_t* targets;  // [rows] below columns
  std::size_t batch = 0;         // what the rows' sum is divided by; 0: rows
  double tiny = 1e-24;           // 0: the plain loss, also where the target's share is no float

  float shift_of(std::size_t column) const { return shift == nullptr ? 0.0F : shift[column]; }
  double divisor() const { return static_cast<double>(batch == 0 ? rows : batch); }
};

// Each may be null when it is not wanted. A class that occurs twice has two gradients.
struct SharedSoftmaxGradients {
  float* states;     // [rows, dim], overwritten
  float* classes;    // [columns, dim]
  float* shift;      // [columns]
  bool add = false;  // to what stands in classes and shift, in place of overwriting it
};

double shared_softmax(const SharedSoftmax& problem, const SharedSoftmaxGradients& gradients);

// Floats that a row needs while it is worked on; they are kept for the next call.
std::size_t shared_softmax_room(std::size_t columns, std::size_t dim);

// The same plainly, sums in double: the answer the other is held to.
double shared_softmax_reference(const SharedSoftmax& problem,
                                const SharedSoftmaxGradients& gradients);

}  // namespace kindling::kernels
