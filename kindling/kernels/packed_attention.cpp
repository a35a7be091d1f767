#include "kindling/kernels/packed_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/dropout_bits.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kGrain = 16;  // sequences worked on by one thread at a time

struct Sequence {
  std::size_t first;
  std::size_t length;
  std::size_t first_query;  // position where queries begin
  std::size_t out_row;      // row of `out` of that query
};

Sequence sequence_of(const PackedAttention& problem, std::size_t b) {
  const auto first = static_cast<std::size_t>(problem.offsets[b]);
  const std::size_t length = static_cast<std::size_t>(problem.offsets[b + 1]) - first;
  if (!problem.last_only) return {first, length, 0, first};
  check(length > 0, "a sequence without a last row");
  return {first, length, length - 1, b};
}

void check_offsets(const PackedAttention& problem) {
  const auto& offsets = problem.offsets;
  check(!offsets.empty() && offsets.front() == 0 && std::is_sorted(offsets.begin(), offsets.end()),
        "offsets of a packed batch start at 0 and never decrease");
}

inline float dot_product(const float* a, const float* b, std::size_t width) {
  float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
  for (std::size_t d = 0; d < width; ++d) sum += a[d] * b[d];
  return sum;
}

inline void add_scaled(float factor, const float* x, float* y, std::size_t width) {
#pragma omp simd
  for (std::size_t d = 0; d < width; ++d) y[d] += factor * x[d];
}

// What the loops over sequences share: strides, dropout, room for one row of weights.
class Worker {
 public:
  explicit Worker(const PackedAttention& problem)
      : problem_(problem),
        all_(problem.heads * problem.width),
        longest_(problem.longest()),
        scale_(1.0F / std::sqrt(static_cast<float>(problem.width))),
        bits_(problem.seed, problem.dropout),
        weights_(longest_),
        mask_(longest_, 1.0F) {}

  void forward(const Sequence& s, const float* qkv, float* out, float* log_sums) {
    for (std::size_t i = s.first_query; i < s.length; ++i) {
      const std::size_t row = s.out_row + i - s.first_query;
      for (std::size_t h = 0; h < problem_.heads; ++h) {
        const std::size_t count = score(s, qkv, h, i);
        const float top = max_of(weights_.data(), count);
        const auto sum = static_cast<float>(exp_and_sum(weights_.data(), count, top));
        if (log_sums != nullptr) log_sums[row * problem_.heads + h] = top + std::log(sum);
        draw_mask(s.first + i, h, count);
        float* target = out + row * all_ + h * problem_.width;
        std::fill(target, target + problem_.width, 0.0F);
        for (std::size_t j = 0; j < count; ++j) {
          add_scaled(weights_[j] * mask_[j] / sum, part(qkv, s.first + j, 2, h), target,
                     problem_.width);
        }
      }
    }
  }

  void backward(const Sequence& s, const float* qkv, const float* out, const float* log_sums,
                const float* d_out, float* d_qkv) {
    std::fill(d_qkv + s.first * 3 * all_, d_qkv + (s.first + s.length) * 3 * all_, 0.0F);
    const std::size_t width = problem_.width;
    for (std::size_t i = s.first_query; i < s.length; ++i) {
      const std::size_t row = s.out_row + i - s.first_query;
      for (std::size_t h = 0; h < problem_.heads; ++h) {
        const std::size_t count = score(s, qkv, h, i);
        const float log_sum = log_sums[row * problem_.heads + h];
#pragma omp simd
        for (std::size_t j = 0; j < count; ++j) weights_[j] = fast_exp(weights_[j] - log_sum);
        draw_mask(s.first + i, h, count);
        const float* gradient = d_out + row * all_ + h * width;
        const float mean = dot_product(gradient, out + row * all_ + h * width, width);
        const float* query = part(qkv, s.first + i, 0, h);
        float* d_query = part(d_qkv, s.first + i, 0, h);
        for (std::size_t j = 0; j < count; ++j) {
          const float d_weight =
              mask_[j] * dot_product(gradient, part(qkv, s.first + j, 2, h), width);
          add_scaled(weights_[j] * mask_[j], gradient, part(d_qkv, s.first + j, 2, h), width);
          const float d_score = scale_ * weights_[j] * (d_weight - mean);
          add_scaled(d_score, part(qkv, s.first + j, 1, h), d_query, width);
          add_scaled(d_score, query, part(d_qkv, s.first + j, 1, h), width);
        }
      }
    }
  }

 private:
  template <class T>
  T* part(T* qkv, std::size_t row, std::size_t which, std::size_t head) const {
    return qkv + (row * 3 + which) * all_ + head * problem_.width;
  }

  // Scores of query i against the keys that it sees; returns their number.
  std::size_t score(const Sequence& s, const float* qkv, std::size_t head, std::size_t i) {
    const std::size_t count = problem_.causal ? i + 1 : s.length;
    const float* query = part(qkv, s.first + i, 0, head);
    for (std::size_t j = 0; j < count; ++j) {
      weights_[j] = scale_ * dot_product(query, part(qkv, s.first + j, 1, head), problem_.width);
    }
    return count;
  }

  void draw_mask(std::size_t row, std::size_t head, std::size_t count) {
    if (problem_.dropout == 0.0) return;
    bits_.fill((row * problem_.heads + head) * longest_, mask_.data(), count);
  }

  const PackedAttention& problem_;
  std::size_t all_;
  std::size_t longest_;
  float scale_;
  DropoutBits bits_;
  std::vector<float> weights_;
  std::vector<float> mask_;
};

}  // namespace

std::size_t PackedAttention::longest() const {
  std::int64_t most = 0;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    most = std::max(most, offsets[b + 1] - offsets[b]);
  }
  return static_cast<std::size_t>(most);
}

void packed_attention(const PackedAttention& problem, const float* qkv, float* out,
                      float* log_sums) {
  check_offsets(problem);
  parallel_for(problem.offsets.size() - 1, kGrain, [&](std::size_t begin, std::size_t end) {
    Worker worker(problem);
    for (std::size_t b = begin; b < end; ++b) {
      worker.forward(sequence_of(problem, b), qkv, out, log_sums);
    }
  });
}

void packed_attention_backward(const PackedAttention& problem, const float* qkv, const float* out,
                               const float* log_sums, const float* d_out, float* d_qkv) {
  check_offsets(problem);
  parallel_for(problem.offsets.size() - 1, kGrain, [&](std::size_t begin, std::size_t end) {
    Worker worker(problem);
    for (std::size_t b = begin; b < end; ++b) {
      worker.backward(sequence_of(problem, b), qkv, out, log_sums, d_out, d_qkv);
    }
  });
}

void packed_attention_reference(const PackedAttention& problem, const float* qkv, float* out) {
  check_offsets(problem);
  const std::size_t width = problem.width;
  const std::size_t all = problem.heads * width;
  const std::size_t longest = problem.longest();
  const DropoutBits bits(problem.seed, problem.dropout);
  for (std::size_t b = 0; b + 1 < problem.offsets.size(); ++b) {
    const Sequence s = sequence_of(problem, b);
    for (std::size_t i = s.first_query; i < s.length; ++i) {
      for (std::size_t h = 0; h < problem.heads; ++h) {
        const std::size_t count = problem.causal ? i + 1 : s.length;
        std::vector<double> weights(count);
        double sum = 0;
        double top = -std::numeric_limits<double>::infinity();
        for (std::size_t j = 0; j < count; ++j) {
          const float* q = qkv + (s.first + i) * 3 * all + h * width;
          const float* k = qkv + (s.first + j) * 3 * all + all + h * width;
          for (std::size_t d = 0; d < width; ++d) weights[j] += static_cast<double>(q[d]) * k[d];
          weights[j] /= std::sqrt(static_cast<double>(width));
          top = std::max(top, weights[j]);
        }
        for (double& weight : weights) sum += weight = std::exp(weight - top);
        const std::uint64_t base = ((s.first + i) * problem.heads + h) * longest;
        for (std::size_t d = 0; d < width; ++d) {
          double value = 0;
          for (std::size_t j = 0; j < count; ++j) {
            const float* v = qkv + (s.first + j) * 3 * all + 2 * all + h * width;
            if (bits.kept(base + j)) value += weights[j] / sum * v[d] / (1 - problem.dropout);
          }
          out[(s.out_row + i - s.first_query) * all + h * width + d] = static_cast<float>(value);
        }
      }
    }
  }
}

void dropout_shares(const PackedAttention& problem, std::span<const std::int64_t> keys,
                    float* shares) {
  check_offsets(problem);
  check(keys.size() + 1 == problem.offsets.size(), "one number of keys for each sequence");
  const auto most =
      static_cast<std::uint64_t>(keys.empty() ? 0 : *std::max_element(keys.begin(), keys.end()));
  const DropoutBits bits(problem.seed, problem.dropout);
  parallel_for(keys.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      const auto count = static_cast<std::uint64_t>(keys[b]);
      const double whole = static_cast<double>(count) * (1.0 - problem.dropout);
      for (auto row = static_cast<std::size_t>(problem.offsets[b]);
           row < static_cast<std::size_t>(problem.offsets[b + 1]); ++row) {
        for (std::size_t h = 0; h < problem.heads; ++h) {
          const std::uint64_t base = (row * problem.heads + h) * most;
          int kept = 0;
          for (std::uint64_t j = 0; j < count; ++j) kept += bits.kept(base + j) ? 1 : 0;
          shares[row * problem.heads + h] = static_cast<float>(kept / whole);
        }
      }
    }
  });
}

}  // namespace kindling::kernels
