#include "kindling/kernels/gru.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/tile_gemm.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

// Room to work in. Small rooms are kept for the thread's next call: the C library may give freed
// memory back to the system, which clears every page anew.
class Floats {
 public:
  explicit Floats(std::size_t count) : kept_(count <= kKept) {
    if (kept_ && !spare().empty()) {
      values_ = std::move(spare().back());
      spare().pop_back();
    } else {
      values_ = std::make_unique_for_overwrite<float[]>(kept_ ? kKept : count);
    }
  }
  ~Floats() {
    if (kept_) spare().push_back(std::move(values_));
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  float* get() const { return values_.get(); }
  float& operator[](std::size_t i) const { return values_[i]; }

 private:
  static constexpr std::size_t kKept = 1 << 15;
  static std::vector<std::unique_ptr<float[]>>& spare() {
    static thread_local std::vector<std::unique_ptr<float[]>> rooms;
    return rooms;
  }

  std::unique_ptr<float[]> values_;
  bool kept_;
};

// A product whose A or C has `rows` rows. Few of them leave a general BLAS little to share between
// threads.
constexpr std::size_t kFewRows = 256;
void product(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
             const float* b, float beta, float* c) {
  if (m * n * k <= kFewRows * kFewRows * kFewRows && std::max(m, k) <= 4 * kFewRows) {
    tile_gemm(op_a, op_b, m, n, k, a, b, beta, c);
  } else {
    gemm(op_a, op_b, m, n, k, 1.0F, a, b, beta, c);
  }
}

// One row's gates. `in` and `re` [3D]: input and recurrent parts without biases; `h` [D] is
// replaced by h'; `gates` [4D] receives r, z, n, U_n h + c_n.
void forward_row(std::size_t dim, const float* __restrict in, const float* __restrict re,
                 const float* __restrict b, const float* __restrict c, float* __restrict h,
                 float* __restrict gates) {
  for (std::size_t d = 0; d < dim; ++d) {
    const float r = fast_sigmoid(in[d] + b[d] + re[d] + c[d]);
    const std::size_t e = dim + d;
    const float z = fast_sigmoid(in[e] + b[e] + re[e] + c[e]);
    const std::size_t f = 2 * dim + d;
    const float q = re[f] + c[f];
    const float n = fast_tanh(in[f] + b[f] + r * q);
    h[d] = n + z * (h[d] - n);
    gates[d] = r;
    gates[e] = z;
    gates[f] = n;
    gates[3 * dim + d] = q;
  }
}

// One row's gradients before the gates. `dh` [D] comes in as the gradient of h' and leaves as its
// direct part z·dh for the step before; `d_in`, `d_re` [3D] differ in the n block only.
void backward_row(std::size_t dim, const float* __restrict gates, const float* __restrict previous,
                  const float* __restrict d_state, float* __restrict dh, float* __restrict d_in,
                  float* __restrict d_re) {
  for (std::size_t d = 0; d < dim; ++d) {
    const float r = gates[d];
    const float z = gates[dim + d];
    const float n = gates[2 * dim + d];
    const float q = gates[3 * dim + d];
    const float g = dh[d] + d_state[d];
    const float d_n = g * (1.0F - z) * (1.0F - n * n);
    const float d_r = d_n * q * r * (1.0F - r);
    const float d_z = g * (previous[d] - n) * z * (1.0F - z);
    d_in[d] = d_r;
    d_in[dim + d] = d_z;
    d_in[2 * dim + d] = d_n;
    d_re[d] = d_r;
    d_re[dim + d] = d_z;
    d_re[2 * dim + d] = d_n * r;
    dh[d] = g * z;
  }
}

void sum_rows(const float* rows, std::size_t count, std::size_t width, float* sum) {
  std::fill_n(sum, width, 0.0F);
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t c = 0; c < width; ++c) sum[c] += rows[r * width + c];
  }
}

// Rows of gates worth waking a thread for.
std::size_t gate_grain(std::size_t dim) { return 8192 / (dim + 1) + 8; }

// [B, D] with the sequences longest first.
void start_states(const PackedSteps& steps, std::size_t dim, const float* start, float* state) {
  for (std::size_t k = 0; k < steps.sequences(); ++k) {
    if (start == nullptr) {
      std::fill_n(&state[k * dim], dim, 0.0F);
    } else {
      std::copy_n(start + steps.by_length()[k] * dim, dim, &state[k * dim]);
    }
  }
}

}  // namespace

void gru_forward(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                 const GruInput& input, const GruOutput& output) {
  const std::size_t dim = size.hidden;
  const Floats in(steps.steps() * 3 * dim);  // packed
  product(Op::kPlain, Op::kTransposed, steps.steps(), 3 * dim, size.inputs, input.x, weights.input,
          0.0F, in.get());
  const Floats state(steps.sequences() * dim);
  start_states(steps, dim, input.start, state.get());
  const Floats recurrent(steps.sequences() * 3 * dim);
  const bool keep = output.gates != nullptr;
  const Floats scratch(keep ? 0 : steps.sequences() * 4 * dim);

  for (std::size_t t = 0; t < steps.longest(); ++t) {
    const std::size_t alive = steps.alive(t);
    const std::size_t first = steps.first(t);
    float* gates = keep ? output.gates + first * 4 * dim : scratch.get();
    if (output.previous != nullptr) {
      std::copy_n(state.get(), alive * dim, output.previous + first * dim);
    }
    product(Op::kPlain, Op::kTransposed, alive, 3 * dim, dim, state.get(), weights.hidden, 0.0F,
            recurrent.get());
    parallel_for(alive, gate_grain(dim), [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k < end; ++k) {
        const std::size_t row = steps.packed_row()[first + k];
        forward_row(dim, &in[row * 3 * dim], &recurrent[k * 3 * dim], weights.input_bias,
                    weights.hidden_bias, &state[k * dim], gates + k * 4 * dim);
        std::copy_n(&state[k * dim], dim, output.states + row * dim);
      }
    });
  }
  if (output.last == nullptr) return;
  for (std::size_t k = 0; k < steps.sequences(); ++k) {
    std::copy_n(&state[k * dim], dim, output.last + steps.by_length()[k] * dim);
  }
}

void gru_backward(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                  const float* x, const float* gates, const float* previous, const float* d_states,
                  const GruGradients& gradients) {
  const std::size_t dim = size.hidden;
  const std::size_t rows = steps.steps();
  const Floats d_in(rows * 3 * dim);         // packed
  const Floats d_recurrent(rows * 3 * dim);  // time-major
  const Floats dh(steps.sequences() * dim);  // longest first
  std::fill_n(dh.get(), steps.sequences() * dim, 0.0F);

  for (std::size_t t = steps.longest(); t-- > 0;) {
    const std::size_t alive = steps.alive(t);
    const std::size_t first = steps.first(t);
    parallel_for(alive, gate_grain(dim), [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k < end; ++k) {
        const std::size_t row = steps.packed_row()[first + k];
        backward_row(dim, gates + (first + k) * 4 * dim, previous + (first + k) * dim,
                     d_states + row * dim, &dh[k * dim], &d_in[row * 3 * dim],
                     &d_recurrent[(first + k) * 3 * dim]);
      }
    });
    if (t == 0 && gradients.start == nullptr) break;
    product(Op::kPlain, Op::kPlain, alive, dim, 3 * dim, &d_recurrent[first * 3 * dim],
            weights.hidden, 1.0F, dh.get());
  }

  if (gradients.start != nullptr) {
    for (std::size_t k = 0; k < steps.sequences(); ++k) {
      std::copy_n(&dh[k * dim], dim, gradients.start + steps.by_length()[k] * dim);
    }
  }
  if (gradients.x != nullptr) {
    product(Op::kPlain, Op::kPlain, rows, size.inputs, 3 * dim, d_in.get(), weights.input, 0.0F,
            gradients.x);
  }
  if (gradients.input != nullptr) {
    product(Op::kTransposed, Op::kPlain, 3 * dim, size.inputs, rows, d_in.get(), x, 0.0F,
            gradients.input);
  }
  if (gradients.hidden != nullptr) {
    product(Op::kTransposed, Op::kPlain, 3 * dim, dim, rows, d_recurrent.get(), previous, 0.0F,
            gradients.hidden);
  }
  if (gradients.input_bias != nullptr) sum_rows(d_in.get(), rows, 3 * dim, gradients.input_bias);
  if (gradients.hidden_bias != nullptr) {
    sum_rows(d_recurrent.get(), rows, 3 * dim, gradients.hidden_bias);
  }
}

}  // namespace kindling::kernels
