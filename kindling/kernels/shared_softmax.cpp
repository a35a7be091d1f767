#include "kindling/kernels/shared_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/large_pages.h"
#include "kindling/kernels/tile_gemm.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kChunk = 384;  // classes at most
constexpr std::size_t kWhole = 32;   // chunks begin at a multiple of it

struct Chunks {
  std::size_t columns;
  std::size_t count = (columns + kChunk - 1) / kChunk;

  std::size_t first(std::size_t chunk) const {
    return chunk == count ? columns : chunk * columns / count / kWhole * kWhole;
  }
  std::size_t of(std::size_t column) const {
    std::size_t chunk = 0;
    while (column >= first(chunk + 1)) ++chunk;
    return chunk;
  }
  std::size_t width(std::size_t chunk) const { return first(chunk + 1) - first(chunk); }
};

// What lasts from one call to the next, of the thread that calls.
struct Room {
  std::vector<float, LargePages<float>> scores;    // [columns, rows]; then exp, then gradients
  std::vector<float, LargePages<float>> d_states;  // [chunks, rows, dim]
  std::vector<float> top;                          // [chunks, rows] largest score
  std::vector<double> sum;                         // [chunks, rows] of exp(score - top)
  std::vector<float> factor;                       // [chunks, rows] gradient / exp(score - top)
  std::vector<float> share;                        // [rows] what a target's gradient is less
  std::vector<float> own;                          // [rows] the target's score
};

// The scores of the targets among classes [first, first + width).
void keep_own(const SharedSoftmax& p, std::size_t first, std::size_t width, const float* scores,
              float* own) {
  for (std::size_t r = 0; r < p.rows; ++r) {
    const std::size_t c = p.targets[r] - first;  // wraps around if the class is before the chunk
    if (c < width) own[r] = scores[c * p.rows + r] + p.shift_of(first + c);
  }
}

// Scores of one chunk [width, rows] -> exp(score + shift - top), with top and sum [rows].
void exp_chunk(float* scores, const float* shift, std::size_t width, std::size_t rows, float* top,
               double* sum) {
  constexpr std::size_t kBlock = 64;  // a float adds at most so many values before the double
  std::fill_n(top, rows, -std::numeric_limits<float>::infinity());
  for (std::size_t c = 0; c < width; ++c) {
    const float* row = scores + c * rows;
    const float up = shift == nullptr ? 0.0F : shift[c];
    for (std::size_t r = 0; r < rows; ++r) {
      const float score = row[r] + up;
      top[r] = top[r] < score ? score : top[r];
    }
  }
  std::vector<float> part(rows);
  std::fill_n(sum, rows, 0.0);
  for (std::size_t begin = 0; begin < width; begin += kBlock) {
    std::fill(part.begin(), part.end(), 0.0F);
    float* const parts = part.data();
    for (std::size_t c = begin; c < std::min(width, begin + kBlock); ++c) {
      float* __restrict row = scores + c * rows;
      const float up = shift == nullptr ? 0.0F : shift[c];
      for (std::size_t r = 0; r < rows; ++r) {
        const float e = fast_exp(row[r] + up - top[r]);
        row[r] = e;
        parts[r] += e;
      }
    }
    for (std::size_t r = 0; r < rows; ++r) sum[r] += static_cast<double>(part[r]);
  }
}

// Joins the chunks' maxima and sums into factors and shares; returns the loss.
double join_chunks(const SharedSoftmax& p, const Chunks& chunks, Room& room) {
  std::vector<float> top(p.rows, -std::numeric_limits<float>::infinity());
  for (std::size_t c = 0; c < chunks.count; ++c) {
    const float* tops = &room.top[c * p.rows];
    for (std::size_t r = 0; r < p.rows; ++r) top[r] = top[r] < tops[r] ? tops[r] : top[r];
  }
  std::vector<double> sum(p.rows, 0.0);
  for (std::size_t i = 0; i < chunks.count * p.rows; ++i) {
    room.factor[i] = fast_exp(room.top[i] - top[i % p.rows]);
    sum[i % p.rows] += room.sum[i] * static_cast<double>(room.factor[i]);
  }
  double loss = 0.0;
  for (std::size_t r = 0; r < p.rows; ++r) {
    const std::size_t target = p.targets[r];
    const double own = static_cast<double>(room.scores[target * p.rows + r]) *
                       static_cast<double>(room.factor[chunks.of(target) * p.rows + r]) / sum[r];
    // d -log(p + tiny) / d score_j = p / (p + tiny) · (p_j - [j is the target])
    const double share = (p.tiny == 0.0 ? 1.0 : own / (own + p.tiny)) / p.divisor();
    room.share[r] = static_cast<float>(share);
    loss += p.tiny == 0.0
                ? std::log(sum[r]) + static_cast<double>(top[r]) - static_cast<double>(room.own[r])
                : -std::log(own + p.tiny);
    sum[r] = share / sum[r];
  }
  for (std::size_t i = 0; i < chunks.count * p.rows; ++i) {
    room.factor[i] *= static_cast<float>(sum[i % p.rows]);
  }
  return loss / p.divisor();
}

// The exponentials of classes [first, first + width) become the scores' gradients; `d_shift` takes
// each class's sum, or is null.
void gradient_chunk(const SharedSoftmax& p, std::size_t first, std::size_t width,
                    const float* factor, const Room& room, float* scores, bool add,
                    float* d_shift) {
  for (std::size_t c = 0; c < width; ++c) {
    float* __restrict row = scores + c * p.rows;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::size_t r = 0; r < p.rows; ++r) {
      row[r] *= factor[r];
      sum += row[r];
    }
    if (d_shift != nullptr) d_shift[c] = add ? d_shift[c] + sum : sum;
  }
  for (std::size_t r = 0; r < p.rows; ++r) {
    const std::size_t c = p.targets[r] - first;  // wraps around if the class is before the chunk
    if (c >= width) continue;
    scores[c * p.rows + r] -= room.share[r];
    if (d_shift != nullptr) d_shift[c] -= room.share[r];
  }
}

// Rows of the table that are classes [first, …).
struct ClassRows {
  ClassRows(const SharedSoftmax& p, std::size_t first)
      : table(p.classes == nullptr ? p.table + first * p.dim : p.table),
        index(p.classes == nullptr ? nullptr : p.classes + first) {}
  const float* table;
  const std::int64_t* index;
};

void back_chunk(const SharedSoftmax& p, const SharedSoftmaxGradients& gradients,
                const Chunks& chunks, std::size_t c, Room& room) {
  const std::size_t first = chunks.first(c);
  const std::size_t width = chunks.width(c);
  float* scores = &room.scores[first * p.rows];
  gradient_chunk(p, first, width, &room.factor[c * p.rows], room, scores, gradients.add,
                 gradients.shift == nullptr ? nullptr : gradients.shift + first);
  if (gradients.classes != nullptr) {
    tile_gemm(Op::kPlain, Op::kPlain, width, p.dim, p.rows, scores, p.states,
              gradients.add ? 1.0F : 0.0F, gradients.classes + first * p.dim);
  }
  if (gradients.states != nullptr) {
    const ClassRows rows(p, first);
    tile_gemm(Op::kTransposed, Op::kPlain, p.rows, p.dim, width, scores, rows.table, 0.0F,
              &room.d_states[c * p.rows * p.dim], {.b = rows.index});
  }
}

}  // namespace

double shared_softmax(const SharedSoftmax& p, const SharedSoftmaxGradients& gradients) {
  static thread_local Room own;
  Room& room = own;  // the caller's, not that of the thread that asks
  const Chunks chunks{p.columns};
  const std::size_t states = p.rows * p.dim;
  room.scores.resize(p.columns * p.rows);
  if (gradients.states != nullptr) room.d_states.resize(chunks.count * states);
  for (auto* values : {&room.top, &room.factor}) values->resize(chunks.count * p.rows);
  room.sum.resize(chunks.count * p.rows);
  for (auto* values : {&room.share, &room.own}) values->resize(p.rows);
  parallel_for(chunks.count, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c) {
      const std::size_t first = chunks.first(c);
      const std::size_t width = chunks.width(c);
      const ClassRows rows(p, first);
      float* scores = &room.scores[first * p.rows];
      tile_gemm(Op::kPlain, Op::kTransposed, width, p.rows, p.dim, rows.table, p.states, 0.0F,
                scores, {.a = rows.index});
      keep_own(p, first, width, scores, room.own.data());
      exp_chunk(scores, p.shift == nullptr ? nullptr : p.shift + first, width, p.rows,
                &room.top[c * p.rows], &room.sum[c * p.rows]);
    }
  });
  const double loss = join_chunks(p, chunks, room);
  const auto& g = gradients;
  if (g.states == nullptr && g.classes == nullptr && g.shift == nullptr) return loss;
  parallel_for(chunks.count, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c) back_chunk(p, gradients, chunks, c, room);
  });
  if (gradients.states == nullptr) return loss;
  parallel_for(states, 1 << 14, [&](std::size_t begin, std::size_t end) {
    std::copy(&room.d_states[begin], room.d_states.data() + end, gradients.states + begin);
    for (std::size_t c = 1; c < chunks.count; ++c) {
      const float* part = &room.d_states[c * states];
      for (std::size_t i = begin; i < end; ++i) gradients.states[i] += part[i];
    }
  });
  return loss;
}

std::size_t shared_softmax_room(std::size_t columns, std::size_t dim) {
  return columns + Chunks{columns}.count * dim;
}

double shared_softmax_reference(const SharedSoftmax& p, const SharedSoftmaxGradients& gradients) {
  const auto class_row = [&](std::size_t c) {
    return p.table + (p.classes == nullptr ? c : static_cast<std::size_t>(p.classes[c])) * p.dim;
  };
  std::vector<double> d_states(p.rows * p.dim), d_classes(p.columns * p.dim), d_shift(p.columns);
  double loss = 0.0;
  for (std::size_t r = 0; r < p.rows; ++r) {
    const float* state = p.states + r * p.dim;
    std::vector<double> scores(p.columns);
    for (std::size_t c = 0; c < p.columns; ++c) {
      scores[c] = static_cast<double>(p.shift_of(c));
      for (std::size_t d = 0; d < p.dim; ++d) {
        scores[c] += static_cast<double>(state[d]) * static_cast<double>(class_row(c)[d]);
      }
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double sum = 0.0;
    for (const double score : scores) sum += std::exp(score - top);
    const std::size_t target = p.targets[r];
    const double own = std::exp(scores[target] - top) / sum;
    const double log_own = scores[target] - top - std::log(sum);
    loss -= (p.tiny == 0.0 ? log_own : std::log(own + p.tiny)) / p.divisor();
    const double weight = (p.tiny == 0.0 ? 1.0 : own / (own + p.tiny)) / p.divisor();
    for (std::size_t c = 0; c < p.columns; ++c) {
      const double g = weight * (std::exp(scores[c] - top) / sum - (c == target ? 1.0 : 0.0));
      d_shift[c] += g;
      for (std::size_t d = 0; d < p.dim; ++d) {
        d_states[r * p.dim + d] += g * static_cast<double>(class_row(c)[d]);
        d_classes[c * p.dim + d] += g * static_cast<double>(state[d]);
      }
    }
  }
  const auto give = [](const std::vector<double>& from, bool add, float* to) {
    for (std::size_t i = 0; i < from.size() && to != nullptr; ++i) {
      to[i] = static_cast<float>(from[i] + (add ? static_cast<double>(to[i]) : 0.0));
    }
  };
  give(d_states, false, gradients.states);
  give(d_classes, gradients.add, gradients.classes);
  give(d_shift, gradients.add, gradients.shift);
  return loss;
}

}  // namespace kindling::kernels
