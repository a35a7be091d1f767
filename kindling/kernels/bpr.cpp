#include "kindling/kernels/bpr.h"

#include <cmath>

#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kAhead = 6;  // triples whose rows the memory is asked for

// p · (q - r), sixteen sums at a time.
float difference_dot(const float* p, const float* q, const float* r, std::size_t dim) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += p[i + l] * (q[i + l] - r[i + l]);
  }
  float sum = 0.0F;
  for (; i < dim; ++i) sum += p[i] * (q[i] - r[i]);
  for (const float lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double bpr_batch(const BprTriple* triples, std::size_t count, TableOptimizer& users,
                 TableOptimizer& items) {
  const std::size_t dim = users.dim();
  double loss = 0.0;
  for (std::size_t n = 0; n < count; ++n) {
    const BprTriple& triple = triples[n];
    if (n + kAhead < count) {
      users.prefetch(triples[n + kAhead].user);
      items.prefetch(triples[n + kAhead].item);
      items.prefetch(triples[n + kAhead].negative);
    }
    // Rows change in apply() only, so a row touched earlier in the batch is still as it was.
    float* user_gradient = users.gradient(users.touch(triple.user));
    float* item_gradient = items.gradient(items.touch(triple.item));
    float* negative_gradient = items.gradient(items.touch(triple.negative));
    const float* p = users.row(triple.user);
    const float* q = items.row(triple.item);
    const float* r = items.row(triple.negative);
    const float s = difference_dot(p, q, r, dim);
    const float small = fast_exp(s < 0.0F ? s : -s);  // exp(-|s|)
    const float pull = (s < 0.0F ? 1.0F : small) / (1.0F + small);
    loss += static_cast<double>((s < 0.0F ? -s : 0.0F) + std::log1p(small));
    for (std::size_t i = 0; i < dim; ++i) {
      const float step = pull * p[i];
      user_gradient[i] -= pull * (q[i] - r[i]);
      item_gradient[i] -= step;
      negative_gradient[i] += step;
    }
  }
  return loss;
}

}  // namespace kindling::kernels
