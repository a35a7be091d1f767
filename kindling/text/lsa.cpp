#include "kindling/text/lsa.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <cblas.h>
#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/kernels/linear_algebra.h"
#include "kindling/text/terms.h"

namespace kindling {

namespace {

constexpr std::size_t kMaxTerms = 200'000;
constexpr std::size_t kOversampling = 16;
constexpr int kIterations = 4;
constexpr std::size_t kGrain = 64;
// In a small corpus a term of one text still tells something; in a large one it is a typing error.
constexpr std::size_t kRareTermTexts = 1000;

// Rows of (column, value) pairs, one behind the other.
struct Sparse {
  std::vector<std::size_t> offsets{0};
  std::vector<std::pair<std::uint32_t, float>> entries;
  std::size_t cols = 0;

  std::size_t rows() const { return offsets.size() - 1; }
};

Sparse transpose(const Sparse& a) {
  Sparse result;
  result.cols = a.rows();
  result.offsets.assign(a.cols + 1, 0);
  for (const auto& entry : a.entries) ++result.offsets[entry.first + 1];
  std::partial_sum(result.offsets.begin(), result.offsets.end(), result.offsets.begin());
  std::vector<std::size_t> next(result.offsets.begin(), result.offsets.end() - 1);
  result.entries.resize(a.entries.size());
  for (std::size_t r = 0; r < a.rows(); ++r) {
    for (std::size_t e = a.offsets[r]; e < a.offsets[r + 1]; ++e) {
      const auto [c, value] = a.entries[e];
      result.entries[next[c]++] = {static_cast<std::uint32_t>(r), value};
    }
  }
  return result;
}

// a [R, C] times b [C, K]; each result row is one thread's, so threads do not change the sums.
Matrix multiply(const Sparse& a, const Matrix& b) {
  Matrix result(a.rows(), b.cols());
  parallel_for(a.rows(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      float* out = result.row(r).data();
      for (std::size_t e = a.offsets[r]; e < a.offsets[r + 1]; ++e) {
        const auto [c, value] = a.entries[e];
        const float* in = b.row(c).data();
        for (std::size_t k = 0; k < b.cols(); ++k) out[k] += value * in[k];
      }
    }
  });
  return result;
}

Matrix transpose(const Matrix& a) {
  Matrix result(a.cols(), a.rows());
  for (std::size_t r = 0; r < a.rows(); ++r) {
    for (std::size_t c = 0; c < a.cols(); ++c) result(c, r) = a(r, c);
  }
  return result;
}

// Orthonormal columns that span at least those of `a`.
Matrix orthonormal_columns(const Matrix& a) {
  Matrix rows = transpose(a);
  kernels::orthonormal_rows(rows.rows(), rows.cols(), rows.data());
  return transpose(rows);
}

// The leading `dim` right singular vectors of `a` as columns [C, dim].
Matrix right_singular_vectors(const Sparse& a, std::size_t dim, std::uint64_t seed) {
  const std::size_t width = std::min({dim + kOversampling, a.rows(), a.cols});
  const Sparse turned = transpose(a);
  Rng rng = Rng(seed).fork("lsa");
  Matrix start(a.cols, width);
  for (std::size_t i = 0; i < a.cols * width; ++i)
    start.data()[i] = static_cast<float>(rng.normal());

  Matrix left = orthonormal_columns(multiply(a, start));  // [R, width]
  for (int i = 0; i < kIterations; ++i) {
    const Matrix right = orthonormal_columns(multiply(turned, left));
    left = orthonormal_columns(multiply(a, right));
  }
  const Matrix small = multiply(turned, left);  // [C, width], the transpose of left^T a
  std::vector<double> gram(width * width, 0.0);
  for (std::size_t c = 0; c < small.rows(); ++c) {
    const std::span<const float> row = small.row(c);
    for (std::size_t i = 0; i < width; ++i) {
      for (std::size_t j = 0; j <= i; ++j)
        gram[i * width + j] += static_cast<double>(row[i]) * row[j];
    }
  }
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = 0; j < i; ++j) gram[j * width + i] = gram[i * width + j];
  }
  const std::vector<double> squares = kernels::symmetric_eigen(width, gram);

  // Column k of the result: small times eigenvector over singular value, largest first.
  Matrix mixing(width, dim);
  constexpr double kNegligible = 1e-10;
  for (std::size_t k = 0; k < std::min(dim, width); ++k) {
    const std::size_t from = width - 1 - k;
    if (squares[from] <= kNegligible * squares.back()) break;
    const double scale = 1 / std::sqrt(squares[from]);
    const double* vector = gram.data() + from * width;
    // An eigenvector's sign is arbitrary: the largest entry is made positive.
    const double* top = std::max_element(
        vector, vector + width, [](double x, double y) { return std::fabs(x) < std::fabs(y); });
    for (std::size_t i = 0; i < width; ++i) {
      mixing(i, k) = static_cast<float>(vector[i] * (*top < 0 ? -scale : scale));
    }
  }
  Matrix result(a.cols, dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(a.cols),
              static_cast<int>(dim), static_cast<int>(width), 1.0F, small.data(),
              static_cast<int>(width), mixing.data(), static_cast<int>(dim), 0.0F, result.data(),
              static_cast<int>(dim));
  return result;
}

}  // namespace

LsaEncoder::LsaEncoder(std::span<const std::string> corpus, std::size_t dim, std::uint64_t seed)
    : dim_(dim) {
  const std::set<std::string> distinct(corpus.begin(), corpus.end());
  Sha256 hash;
  hash.add(fmt::format("lsa 1 {} {} ", dim, seed));
  std::vector<std::vector<std::u32string>> documents;
  for (const std::string& text : distinct) {
    hash.add(fmt::format("{} ", text.size())).add(text);
    std::vector<std::u32string> terms = text_terms(text);
    if (!terms.empty()) documents.push_back(std::move(terms));
  }
  fingerprint_ = hash.hex();
  count_terms(documents);
  if (inverse_.empty()) {
    throw Error(Kind::kBadInput,
                fmt::format("lsa has no words to learn from in {} texts", corpus.size()),
                "--encoder", "give the items texts, or use another encoder");
  }
  Sparse matrix;
  matrix.cols = inverse_.size();
  for (const auto& terms : documents) {
    const Row row = weigh(terms);
    matrix.entries.insert(matrix.entries.end(), row.begin(), row.end());
    matrix.offsets.push_back(matrix.entries.size());
  }
  projection_ = right_singular_vectors(matrix, dim, seed);
}

// Numbers the terms, the most frequent first, and weighs them by rarity.
void LsaEncoder::count_terms(const std::vector<std::vector<std::u32string>>& documents) {
  std::map<std::u32string, std::size_t> frequency;
  for (const auto& terms : documents) {
    for (const std::u32string& term : std::set<std::u32string>(terms.begin(), terms.end())) {
      ++frequency[term];
    }
  }
  std::vector<std::pair<std::u32string, std::size_t>> kept;
  const std::size_t least = documents.size() >= kRareTermTexts ? 2 : 1;
  for (const auto& entry : frequency) {
    if (entry.second >= least) kept.emplace_back(entry);
  }
  std::stable_sort(kept.begin(), kept.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (kept.size() > kMaxTerms) kept.resize(kMaxTerms);
  for (const auto& [term, count] : kept) {
    index_.emplace(term, static_cast<std::uint32_t>(inverse_.size()));
    inverse_.push_back(
        static_cast<float>(1 + std::log((1.0 + static_cast<double>(documents.size())) /
                                        (1.0 + static_cast<double>(count)))));
  }
}

LsaEncoder::Row LsaEncoder::weigh(const std::vector<std::u32string>& terms) const {
  std::map<std::uint32_t, int> counts;
  for (const std::u32string& term : terms) {
    const auto found = index_.find(term);
    if (found != index_.end()) ++counts[found->second];
  }
  Row row;
  double square = 0;
  for (const auto& [term, count] : counts) {
    const float weight = (1 + std::log(static_cast<float>(count))) * inverse_[term];
    row.emplace_back(term, weight);
    square += static_cast<double>(weight) * weight;
  }
  for (auto& entry : row) entry.second /= static_cast<float>(std::sqrt(square));
  return row;
}

Matrix LsaEncoder::encode(std::span<const std::string> texts) const {
  Matrix out(texts.size(), dim_);
  parallel_for(texts.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float* target = out.row(i).data();
      for (const auto& [term, weight] : weigh(text_terms(texts[i]))) {
        const float* direction = projection_.row(term).data();
        for (std::size_t k = 0; k < dim_; ++k) target[k] += weight * direction[k];
      }
    }
  });
  return out;
}

}  // namespace kindling
