#include "kindling/kernels/feed_forward.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/dropout_bits.h"
#include "kindling/kernels/erf_polynomial.h"
#include "kindling/kernels/exp.h"
#include "kindling/kernels/gemm.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kBlock = 256;  // rows: 256 x 512 floats fit the second-level cache

constexpr float kSqrt2OverPi = 0.79788456F;
constexpr float kCubic = 0.044715F;
constexpr float kSqrtHalf = 0.70710678F;
constexpr float kInverseSqrt2Pi = 0.39894228F;

// The value and the slope of an activation at one point.
struct Point {
  float value;
  float slope;
};

// Types rather than functions, and no choice inside a loop over them: what the compiler needs to
// make vector instructions of it.
struct Relu {
  static Point at(float x) { return {x > 0.0F ? x : 0.0F, x > 0.0F ? 1.0F : 0.0F}; }
};

struct GeluTanh {
  static Point at(float x) {
    // (1 + tanh(u)) / 2 is the logistic function of 2u.
    const float square = x * x;
    const float u = kSqrt2OverPi * x * (1.0F + kCubic * square);
    const float s = 1.0F / (1.0F + fast_exp(-2.0F * u));
    const float slope = 2.0F * kSqrt2OverPi * (1.0F + 3.0F * kCubic * square);
    return {x * s, s + x * s * (1.0F - s) * slope};
  }
};

struct Gelu {
  static Point at(float x) {
    const float z = std::fabs(x) * kSqrtHalf;
    const float t = 1.0F / (1.0F + kErfStep * z);
    const float bell = fast_exp(-z * z);
    const float tail = 0.5F * erf_polynomial(t) * t * bell;
    const float phi = x < 0.0F ? tail : 1.0F - tail;
    return {x < 0.0F ? x * tail : x - x * tail, phi + x * kInverseSqrt2Pi * bell};
  }
};

class Worker {
 public:
  Worker(const FeedForward& problem, const FeedForwardWeights& weights)
      : problem_(problem),
        weights_(weights),
        bits_(problem.seed, problem.dropout),
        mask_(problem.hidden, 1.0F) {}

  void forward(std::size_t begin, std::size_t rows, const float* x, float* middle, float* y) {
    const std::size_t hidden = problem_.hidden;
    values_.resize(kBlock * hidden);
    float* inner = middle != nullptr ? middle + begin * hidden : values_.data();
    gemm(Op::kPlain, Op::kTransposed, rows, hidden, problem_.dim, 1.0F, x + begin * problem_.dim,
         weights_.w1, 0.0F, inner);
    for (std::size_t r = 0; r < rows; ++r) {
      float* row = inner + r * hidden;
#pragma omp simd
      for (std::size_t c = 0; c < hidden; ++c) row[c] += weights_.b1[c];
      draw_mask(begin + r);
      activate(row, values_.data() + r * hidden, nullptr);
    }
    float* out = y + begin * problem_.dim;
    gemm(Op::kPlain, Op::kTransposed, rows, problem_.dim, hidden, 1.0F, values_.data(), weights_.w2,
         0.0F, out);
    for (std::size_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (std::size_t c = 0; c < problem_.dim; ++c) out[r * problem_.dim + c] += weights_.b2[c];
    }
  }

  void backward(std::size_t begin, std::size_t rows, const float* x, const float* middle,
                const float* d_y, const FeedForwardGradients& g) {
    const std::size_t hidden = problem_.hidden;
    const std::size_t dim = problem_.dim;
    values_.resize(kBlock * hidden);
    slopes_.resize(kBlock * hidden);
    const float* d_out = d_y + begin * dim;
    gemm(Op::kPlain, Op::kPlain, rows, hidden, dim, 1.0F, d_out, weights_.w2, 0.0F, slopes_.data());
    for (std::size_t r = 0; r < rows; ++r) {
      draw_mask(begin + r);
      float* d_inner = slopes_.data() + r * hidden;
      activate(middle + (begin + r) * hidden, values_.data() + r * hidden, d_inner);
#pragma omp simd
      for (std::size_t c = 0; c < hidden; ++c) g.b1[c] += d_inner[c];
#pragma omp simd
      for (std::size_t c = 0; c < dim; ++c) g.b2[c] += d_out[r * dim + c];
    }
    const float* rows_of_x = x + begin * dim;
    gemm(Op::kTransposed, Op::kPlain, dim, hidden, rows, 1.0F, d_out, values_.data(), 1.0F, g.w2);
    gemm(Op::kTransposed, Op::kPlain, hidden, dim, rows, 1.0F, slopes_.data(), rows_of_x, 1.0F,
         g.w1);
    gemm(Op::kPlain, Op::kPlain, rows, dim, hidden, 1.0F, slopes_.data(), weights_.w1, 0.0F,
         g.x + begin * dim);
  }

 private:
  void draw_mask(std::size_t row) {
    if (problem_.dropout > 0.0) bits_.fill(row * problem_.hidden, mask_.data(), problem_.hidden);
  }

  // One row: values <- f(middle); d, where not null, is multiplied by the derivative of f.
  void activate(const float* middle, float* values, float* d) const {
    switch (problem_.activation) {
      case Activation::kGeluTanh:
        return apply<GeluTanh>(middle, values, d);
      case Activation::kGelu:
        return apply<Gelu>(middle, values, d);
      case Activation::kRelu:
        return apply<Relu>(middle, values, d);
    }
  }

  template <class F>
  void apply(const float* middle, float* values, float* d) const {
    if (problem_.dropout_first) {
      apply_in_order<F, true>(middle, values, d);
    } else {
      apply_in_order<F, false>(middle, values, d);
    }
  }
  template <class F, bool kMaskFirst>
  void apply_in_order(const float* middle, float* values, float* d) const {
    const float* mask = mask_.data();
    const std::size_t hidden = problem_.hidden;
    if (d == nullptr) {
#pragma omp simd
      for (std::size_t c = 0; c < hidden; ++c) {
        values[c] =
            kMaskFirst ? F::at(mask[c] * middle[c]).value : mask[c] * F::at(middle[c]).value;
      }
      return;
    }
#pragma omp simd
    for (std::size_t c = 0; c < hidden; ++c) {
      const Point point = F::at(kMaskFirst ? mask[c] * middle[c] : middle[c]);
      values[c] = kMaskFirst ? point.value : mask[c] * point.value;
      d[c] *= mask[c] * point.slope;
    }
  }

  const FeedForward& problem_;
  const FeedForwardWeights& weights_;
  DropoutBits bits_;
  std::vector<float> mask_;
  std::vector<float> values_;
  std::vector<float> slopes_;
};

// Rows of part t of `parts`: whole blocks, the same for every run.
std::size_t part_begin(std::size_t rows, std::size_t parts, std::size_t t) {
  const std::size_t blocks = (rows + kBlock - 1) / kBlock;
  return std::min(rows, blocks * t / parts * kBlock);
}

template <class Body>
void for_blocks(std::size_t rows, std::size_t parts, std::size_t t, const Body& body) {
  const std::size_t end = part_begin(rows, parts, t + 1);
  for (std::size_t begin = part_begin(rows, parts, t); begin < end; begin += kBlock) {
    body(begin, std::min(kBlock, end - begin));
  }
}

double activation_reference(Activation activation, double v) {
  auto x = static_cast<float>(v);
  const float zero = 0.0F;
  add_bias_activate_reference(activation, &zero, 1, 1, &x);
  return static_cast<double>(x);
}

}  // namespace

void feed_forward(const FeedForward& problem, const FeedForwardWeights& weights, const float* x,
                  float* middle, float* y) {
  const auto parts = static_cast<std::size_t>(threads());
  parallel_for(parts, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      Worker worker(problem, weights);
      for_blocks(problem.rows, parts, t, [&](std::size_t begin, std::size_t rows) {
        worker.forward(begin, rows, x, middle, y);
      });
    }
  });
}

void feed_forward_reference(const FeedForward& problem, const FeedForwardWeights& weights,
                            const float* x, float* y) {
  const DropoutBits bits(problem.seed, problem.dropout);
  std::vector<double> inner(problem.hidden);
  for (std::size_t r = 0; r < problem.rows; ++r) {
    for (std::size_t c = 0; c < problem.hidden; ++c) {
      double sum = weights.b1[c];
      for (std::size_t d = 0; d < problem.dim; ++d) {
        sum += static_cast<double>(x[r * problem.dim + d]) * weights.w1[c * problem.dim + d];
      }
      const double factor = bits.kept(r * problem.hidden + c) ? 1.0 / (1.0 - problem.dropout) : 0.0;
      inner[c] = problem.dropout_first ? activation_reference(problem.activation, factor * sum)
                                       : factor * activation_reference(problem.activation, sum);
    }
    for (std::size_t d = 0; d < problem.dim; ++d) {
      double sum = weights.b2[d];
      for (std::size_t c = 0; c < problem.hidden; ++c) {
        sum += inner[c] * weights.w2[d * problem.hidden + c];
      }
      y[r * problem.dim + d] = static_cast<float>(sum);
    }
  }
}

void feed_forward_backward(const FeedForward& problem, const FeedForwardWeights& weights,
                           const float* x, const float* middle, const float* d_y,
                           const FeedForwardGradients& gradients) {
  const auto parts = static_cast<std::size_t>(threads());
  const std::size_t matrix = problem.hidden * problem.dim;
  const std::size_t size = 2 * matrix + problem.hidden + problem.dim;
  // Part t sums into its own weights' gradients; added up in the order of the parts.
  std::vector<float> sums(parts * size, 0.0F);
  const auto own = [&](std::size_t t) {
    float* w1 = sums.data() + t * size;
    return FeedForwardGradients{gradients.x, w1, w1 + 2 * matrix, w1 + matrix,
                                w1 + 2 * matrix + problem.hidden};
  };
  parallel_for(parts, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      Worker worker(problem, weights);
      for_blocks(problem.rows, parts, t, [&](std::size_t begin, std::size_t rows) {
        worker.backward(begin, rows, x, middle, d_y, own(t));
      });
    }
  });
  for (std::size_t t = 1; t < parts; ++t) {
    for (std::size_t i = 0; i < size; ++i) sums[i] += sums[t * size + i];
  }
  const FeedForwardGradients sum = own(0);
  std::copy_n(sum.w1, matrix, gradients.w1);
  std::copy_n(sum.w2, matrix, gradients.w2);
  std::copy_n(sum.b1, problem.hidden, gradients.b1);
  std::copy_n(sum.b2, problem.dim, gradients.b2);
}

}  // namespace kindling::kernels
