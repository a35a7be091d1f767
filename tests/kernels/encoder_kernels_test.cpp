// The kernels of the BERT encoder against their references.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"
#include "kindling/kernels/attention.h"
#include "kindling/kernels/exp.h"
#include "kindling/kernels/gelu.h"
#include "kindling/kernels/layer_norm.h"
#include "kindling/kernels/linear_algebra.h"
#include "kindling/kernels/packed_matrix.h"
#include "kindling/kernels/strassen.h"

namespace kindling::kernels {
namespace {

std::vector<float> normals(std::size_t count, double scale, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(scale * rng.normal());
  return values;
}

TEST(FastExp, StaysWithinItsRelativeError) {
  for (float x = -87.0F; x <= 88.0F; x += 0.0137F) {
    const double wanted = std::exp(static_cast<double>(x));
    ASSERT_NEAR(fast_exp(x) / wanted, 1.0, 4e-7) << x;
  }
  EXPECT_LT(fast_exp(-1000.0F), 1e-37F);
  EXPECT_TRUE(std::isfinite(fast_exp(1000.0F)));
}

TEST(Activation, AgreesWithTheReference) {
  const std::size_t rows = 7;
  const std::size_t cols = 37;
  const std::vector<float> bias = normals(cols, 1, 1);
  for (const Activation activation :
       {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
    for (const double scale : {0.1, 1.0, 5.0, 100.0}) {
      std::vector<float> x = normals(rows * cols, scale, 2);
      std::vector<float> wanted = x;

      add_bias_activate(activation, bias.data(), rows, cols, x.data());
      add_bias_activate_reference(activation, bias.data(), rows, cols, wanted.data());

      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_NEAR(x[i], wanted[i], 1e-6 * std::max(1.0F, std::fabs(wanted[i])));
      }
    }
  }
}

TEST(LayerNorm, AgreesWithTheReference) {
  const std::size_t rows = 5;
  const std::size_t cols = 51;
  const std::vector<float> gain = normals(cols, 1, 1);
  const std::vector<float> shift = normals(cols, 1, 2);
  const std::vector<float> bias = normals(cols, 1, 3);
  const std::vector<float> residual = normals(rows * cols, 3, 4);
  const LayerNorm norm{gain.data(), shift.data(), 1e-12F};
  for (const bool bare : {false, true}) {
    std::vector<float> x = normals(rows * cols, 2, 5);
    std::vector<float> wanted = x;
    const float* b = bare ? nullptr : bias.data();
    const float* r = bare ? nullptr : residual.data();

    add_layer_norm(norm, b, r, rows, cols, x.data());
    add_layer_norm_reference(norm, b, r, rows, cols, wanted.data());

    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], wanted[i], 1e-5);
  }
}

TEST(Attention, AgreesWithTheReferenceAtOddSizes) {
  for (const AttentionShape shape :
       {AttentionShape{1, 1, 1}, AttentionShape{2, 3, 5}, AttentionShape{17, 2, 32},
        AttentionShape{63, 3, 20}, AttentionShape{130, 2, 64}}) {
    const std::size_t all = shape.heads * shape.width;
    const std::vector<float> qkv = normals(shape.length * 3 * all, 1, shape.length);
    const std::vector<float> bias = normals(all, 1, 3);
    std::vector<float> out(shape.length * all);
    std::vector<float> wanted = out;
    std::vector<float> scratch(3, NAN);  // what an earlier, smaller call left behind

    attention(shape, qkv.data(), bias.data(), scratch, out.data());
    attention_reference(shape, qkv.data(), bias.data(), wanted.data());

    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], wanted[i], 2e-5);
  }
}

TEST(Attention, SurvivesHugeScores) {
  const AttentionShape shape{3, 1, 2};
  std::vector<float> qkv = normals(18, 300, 9);
  const std::vector<float> bias(2, 0.0F);
  std::vector<float> out(6);
  std::vector<float> scratch;
  attention(shape, qkv.data(), bias.data(), scratch, out.data());
  for (const float value : out) EXPECT_TRUE(std::isfinite(value));
}

TEST(PackedMatrix, AgreesWithTheReferenceAtOddSizes) {
  struct Size {
    std::size_t rows, out, in;
  };
  for (const Size& size :
       {Size{1, 1, 1}, Size{8, 48, 16}, Size{7, 47, 3}, Size{131, 50, 33}, Size{300, 97, 64}}) {
    const std::vector<float> x = normals(size.rows * size.in, 1, 1);
    const std::vector<float> weight = normals(size.out * size.in, 1, 2);
    std::vector<float> y(size.rows * size.out, NAN);
    std::vector<float> wanted = y;

    PackedMatrix(weight.data(), size.out, size.in).multiply(x.data(), size.rows, y.data());
    multiply_transposed_reference(x.data(), size.rows, weight.data(), size.out, size.in,
                                  wanted.data());

    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], wanted[i], 2e-5);
  }
}

TEST(PackedMatrix, GivesARowTheSameBitsWhateverStandsBesideIt) {
  const std::size_t in = 70;
  const std::size_t out = 100;
  const std::vector<float> x = normals(12 * in, 1, 1);
  const PackedMatrix matrix(normals(out * in, 1, 2).data(), out, in);
  std::vector<float> all(12 * out);
  matrix.multiply(x.data(), 12, all.data());
  for (std::size_t r = 0; r < 12; ++r) {
    std::vector<float> alone(out);
    matrix.multiply(x.data() + r * in, 1, alone.data());
    for (std::size_t o = 0; o < out; ++o) ASSERT_EQ(alone[o], all[r * out + o]);
  }
}

TEST(PackedMatrix, AddsToWhatItIsGivenBetweenRowsOfOthers) {
  const std::size_t rows = 11;
  const std::size_t in = 5;
  for (const std::size_t out : {48UL, 50UL}) {
    const std::size_t x_stride = in + 3;
    const std::size_t y_stride = out + 7;
    const std::vector<float> x = normals(rows * x_stride, 1, 1);
    const std::vector<float> weight = normals(out * in, 1, 2);
    std::vector<float> y = normals(rows * y_stride, 1, 3);
    const std::vector<float> before = y;

    PackedMatrix(weight.data(), out, in)
        .multiply(x.data(), x_stride, rows, y.data(), y.data(), y_stride);

    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < y_stride; ++o) {
        double wanted = before[r * y_stride + o];
        for (std::size_t d = 0; d < in && o < out; ++d) {
          wanted += static_cast<double>(x[r * x_stride + d]) * weight[o * in + d];
        }
        ASSERT_NEAR(y[r * y_stride + o], wanted, 1e-5) << r << ' ' << o;
      }
    }
  }
}

TEST(StrassenMatrix, AgreesWithTheReference) {
  struct Size {
    std::size_t rows, out, in;
  };
  // One pair; more than a block of them; halves that fill no panel; odd sizes.
  for (const Size& size : {Size{2, 2, 2}, Size{300, 96, 64}, Size{18, 106, 30}, Size{132, 192, 384},
                           Size{6, 51, 20}, Size{6, 50, 21}}) {
    const std::vector<float> x = normals(size.rows * size.in, 1, 1);
    const std::vector<float> weight = normals(size.out * size.in, 1, 2);
    std::vector<float> y(size.rows * size.out, NAN);
    std::vector<float> wanted = y;
    std::vector<float> scratch(1, NAN);

    StrassenMatrix(weight.data(), size.out, size.in)
        .multiply(x.data(), size.rows, scratch, y.data());
    multiply_transposed_reference(x.data(), size.rows, weight.data(), size.out, size.in,
                                  wanted.data());

    const double length = std::sqrt(static_cast<double>(size.in));  // of a sum, on average
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], wanted[i], 1e-5 * length);
  }
}

TEST(StrassenMatrix, GivesAPairOfRowsTheSameBitsWhateverStandsBesideIt) {
  const std::size_t in = 70;
  const std::size_t out = 200;
  const std::size_t rows = 150;
  const std::vector<float> x = normals(rows * in, 1, 1);
  const StrassenMatrix matrix(normals(out * in, 1, 2).data(), out, in);
  std::vector<float> scratch;
  std::vector<float> all(rows * out);
  matrix.multiply(x.data(), rows, scratch, all.data());
  for (std::size_t r = 0; r < rows; r += 2) {
    std::vector<float> alone(2 * out);
    matrix.multiply(x.data() + r * in, 2, scratch, alone.data());
    for (std::size_t i = 0; i < alone.size(); ++i) ASSERT_EQ(alone[i], all[r * out + i]);
  }
}

TEST(SymmetricEigen, SolvesATwoByTwoMatrix) {
  std::vector<double> matrix = {2, 1, 1, 2};
  const std::vector<double> values = symmetric_eigen(2, matrix);

  EXPECT_NEAR(values[0], 1, 1e-12);
  EXPECT_NEAR(values[1], 3, 1e-12);
  EXPECT_NEAR(matrix[2], matrix[3], 1e-12);  // the vector of 3 is (1, 1) / sqrt(2)
}

TEST(OrthonormalRows, KeepsTheSpanAndMakesUnitRows) {
  std::vector<float> rows = {3, 0, 0, 1, 2, 0};
  orthonormal_rows(2, 3, rows.data());

  EXPECT_NEAR(std::fabs(rows[0]), 1, 1e-6);
  EXPECT_NEAR(std::fabs(rows[4]), 1, 1e-6);
  EXPECT_NEAR(rows[0] * rows[3] + rows[1] * rows[4] + rows[2] * rows[5], 0, 1e-6);
}

}  // namespace
}  // namespace kindling::kernels
