#include "kindling/kernels/bpr.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

using Table = std::vector<float>;
using Options = TableOptimizer::Options;

Table random_table(std::size_t rows, std::size_t dim, std::uint64_t seed, double scale = 0.5) {
  Rng rng(seed);
  Table table(rows * dim);
  for (float& value : table) value = static_cast<float>(scale * rng.normal());
  return table;
}

double loss_of(const Table& users, const Table& items, std::size_t dim,
               const std::vector<BprTriple>& triples) {
  double loss = 0.0;
  for (const BprTriple& t : triples) {
    double s = 0.0;
    for (std::size_t i = 0; i < dim; ++i) {
      s += static_cast<double>(users[t.user * dim + i]) *
           (items[t.item * dim + i] - items[t.negative * dim + i]);
    }
    loss += std::log1p(std::exp(-s));
  }
  return loss;
}

const std::vector<BprTriple>& some_triples() {
  static const std::vector<BprTriple> triples = {{0, 1, 2}, {0, 3, 1}, {2, 1, 2}};
  return triples;
}

TEST(BprBatch, GivesTheLossAndItsGradients) {
  constexpr std::size_t kDim = 19;
  Table users = random_table(3, kDim, 1);
  Table items = random_table(4, kDim, 2);
  TableOptimizer user_step(users.data(), 3, kDim, 3, {});
  TableOptimizer item_step(items.data(), 4, kDim, 6, {});

  const double loss = bpr_batch(some_triples().data(), 3, user_step, item_step);

  EXPECT_NEAR(loss, loss_of(users, items, kDim, some_triples()), 1e-5);
  constexpr float kStep = 1e-2F;
  const auto differs = [&](Table& table, std::size_t at) {
    const float before = table[at];
    table[at] = before + kStep;
    const double up = loss_of(users, items, kDim, some_triples());
    table[at] = before - kStep;
    const double down = loss_of(users, items, kDim, some_triples());
    table[at] = before;
    return (up - down) / (2.0 * kStep);
  };
  for (const std::uint32_t row : {0U, 2U}) {
    const float* gradient = user_step.gradient(user_step.touch(row));
    for (std::size_t i = 0; i < kDim; ++i) {
      EXPECT_NEAR(gradient[i], differs(users, row * kDim + i), 1e-4);
    }
  }
  for (const std::uint32_t row : {1U, 2U, 3U}) {
    const float* gradient = item_step.gradient(item_step.touch(row));
    for (std::size_t i = 0; i < kDim; ++i) {
      EXPECT_NEAR(gradient[i], differs(items, row * kDim + i), 1e-4);
    }
  }
}

// Adam in double that moves every row at every step.
struct DenseAdam {
  DenseAdam(const Table& table, const Options& given)
      : p(table.begin(), table.end()), m(p.size(), 0.0), v(p.size(), 0.0), o(given) {}

  void step(const std::vector<double>& g) {
    ++t;
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      const double mean = m[i] / (1 - std::pow(o.beta1, t));
      const double square = v[i] / (1 - std::pow(o.beta2, t));
      p[i] -= o.learning_rate * mean / (std::sqrt(square) + o.eps);
    }
  }

  std::vector<double> p, m, v;
  Options o;
  int t = 0;
};

TEST(TableOptimizer, AdamEqualsTheDenseOneThoughRowsAreLeftAlone) {
  constexpr std::size_t kRows = 6;
  constexpr std::size_t kDim = 21;
  Table table = random_table(kRows, kDim, 3);
  const Options options;
  DenseAdam dense(table, options);
  TableOptimizer lazy(table.data(), kRows, kDim, 2, options);
  Rng rng(4);
  for (int step = 0; step < 700; ++step) {
    std::vector<double> gradient(kRows * kDim, 0.0);
    // Row 5 is touched once, row 4 with gaps longer than the momentum's memory, row 3 never.
    const auto row = static_cast<std::uint32_t>(step == 0           ? 5
                                                : step % 300 == 299 ? 4
                                                                    : rng.below(3));
    float* mine = lazy.gradient(lazy.touch(row));
    for (std::size_t i = 0; i < kDim; ++i) {
      mine[i] = static_cast<float>(rng.normal());
      gradient[row * kDim + i] = static_cast<double>(mine[i]);
    }
    lazy.apply();
    dense.step(gradient);
  }

  lazy.settle();

  for (std::size_t i = 0; i < table.size(); ++i) EXPECT_NEAR(table[i], dense.p[i], 2e-4) << i;
}

// One row that waits, another that is read at each step: gaps of all lengths, gradients from none
// to large, small ones for which eps is not small.
TEST(TableOptimizer, AdamMakesUpForOneGapAsTheDenseOneDoes) {
  const std::vector<float> sizes = {3.0F, 1e-2F, 1e-5F, 1e-7F, 1e-8F, 0.0F};
  for (const int gap : {1, 2, 17, 60, 255, 256, 400}) {
    for (const int before : {1, 3, 300}) {
      const std::size_t dim = 3 * sizes.size();
      Table table = random_table(2, dim, 5);
      const Options options;
      DenseAdam dense(table, options);
      TableOptimizer lazy(table.data(), 2, dim, 1, options);
      Rng rng(6);
      for (int step = 0; step < before + gap; ++step) {
        const std::uint32_t row = step < before ? 0 : 1;
        std::vector<double> gradient(2 * dim, 0.0);
        float* mine = lazy.gradient(lazy.touch(row));
        for (std::size_t i = 0; i < dim; ++i) {
          mine[i] = sizes[i / 3] * static_cast<float>(rng.normal());
          gradient[row * dim + i] = static_cast<double>(mine[i]);
        }
        lazy.apply();
        dense.step(gradient);
      }
      lazy.settle();
      for (std::size_t i = 0; i < dim; ++i) {
        EXPECT_NEAR(table[i], dense.p[i], before < 100 ? 2e-6 : 1e-4) << gap << ' ' << i;
      }
    }
  }
}

TEST(TableOptimizer, SgdShrinksRowsThatAreLeftAlone) {
  Table table = {1.0F, 1.0F, 2.0F, 2.0F};
  Options options;
  options.kind = TableOptimizer::Kind::kSgd;
  options.learning_rate = 0.1;
  options.weight_decay = 0.5;
  TableOptimizer sgd(table.data(), 2, 2, 1, options);
  for (int step = 0; step < 3; ++step) {
    sgd.gradient(sgd.touch(0))[0] = 1.0F;
    sgd.apply();
  }

  sgd.settle();

  double p = 1.0;
  for (int step = 0; step < 3; ++step) p -= 0.1 * (1.0 + 0.5 * p);
  EXPECT_NEAR(table[0], p, 1e-6);
  EXPECT_NEAR(table[1], std::pow(0.95, 3), 1e-6);
  EXPECT_NEAR(table[2], 2.0 * std::pow(0.95, 3), 1e-6);
}

TEST(TableOptimizer, RefusesMoreRowsThanAnnounced) {
  Table table(4, 0.0F);
  TableOptimizer adam(table.data(), 4, 1, 1, {});
  adam.touch(0);

  EXPECT_THROW(adam.touch(1), Error);
}

}  // namespace
}  // namespace kindling::kernels
