// Encoders without weights, whitening, and the cache.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/text/embed_catalogue.h"
#include "kindling/text/encoder.h"
#include "kindling/text/terms.h"
#include "kindling/text/whitening.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

const std::vector<std::string> kTexts = {"war drama about soldiers",
                                         "a drama of war and soldiers",
                                         "soup of tomatoes",
                                         "tomatoes in a soup",
                                         "garden tools",
                                         "tools for the garden",
                                         ""};

double dot(const Matrix& m, std::size_t a, std::size_t b) {
  double sum = 0;
  for (std::size_t c = 0; c < m.cols(); ++c) sum += static_cast<double>(m(a, c)) * m(b, c);
  return sum;
}

Matrix from(std::size_t cols, const std::vector<float>& values) {
  Matrix matrix(values.size() / cols, cols);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

TEST(TextTerms, AreLowerCaseWordsWithLettersOrDigits) {
  EXPECT_EQ(text_terms("Café, 2 cl -- !"), (std::vector<std::u32string>{U"cafe", U"2", U"cl"}));
}

TEST(Lsa, PutsTextsOfTheSameWordsTogether) {
  const Matrix v = make_encoder("lsa", {.dim = 4}, kTexts)->encode(kTexts);

  EXPECT_GT(dot(v, 0, 1), 0.5);
  EXPECT_NEAR(dot(v, 0, 2), 0.0, 0.2);
  EXPECT_GT(dot(v, 2, 3), 0.5);
}

TEST(Lsa, KeepsTheGramMatrixWhenNothingIsCutOff) {
  // With as many directions as texts the projection is lossless: rows keep length 1.
  const Matrix v = make_encoder("lsa", {.dim = 12}, kTexts)->encode(kTexts);

  for (std::size_t i = 0; i + 1 < kTexts.size(); ++i) EXPECT_NEAR(dot(v, i, i), 1.0, 1e-4);
  EXPECT_EQ(dot(v, 6, 6), 0.0);
}

TEST(Lsa, DoesNotDependOnTheOrderOfTheCorpus) {
  const std::vector<std::string> reversed(kTexts.rbegin(), kTexts.rend());
  const auto one = make_encoder("lsa", {.dim = 4}, kTexts);
  const auto other = make_encoder("lsa", {.dim = 4}, reversed);

  const Matrix a = one->encode(kTexts);
  const Matrix b = other->encode(kTexts);

  EXPECT_EQ(one->fingerprint(), other->fingerprint());
  for (std::size_t i = 0; i < a.rows() * a.cols(); ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
}

TEST(Lsa, IsAnotherSpaceForAnotherCorpus) {
  const std::vector<std::string> more = {"war drama about soldiers", "something else"};
  EXPECT_NE(make_encoder("lsa", {.dim = 4}, kTexts)->fingerprint(),
            make_encoder("lsa", {.dim = 4}, more)->fingerprint());
}

TEST(Lsa, RefusesACorpusWithoutWords) {
  const std::vector<std::string> none = {"", " -- "};
  EXPECT_THROW(make_encoder("lsa", {}, none), Error);
}

TEST(Hashing, GivesUnitVectorsThatShareWordsAndStems) {
  const std::vector<std::string> texts = {"garden tool", "garden tools", "tomato soup", ""};
  const Matrix v = make_encoder("hash", {.dim = 256})->encode(texts);

  EXPECT_NEAR(dot(v, 0, 0), 1.0, 1e-5);
  EXPECT_GT(dot(v, 0, 1), 0.6);
  EXPECT_LT(std::fabs(dot(v, 0, 2)), 0.3);
  EXPECT_EQ(dot(v, 3, 3), 0.0);
}

TEST(Whitening, MakesTheCovarianceTheIdentity) {
  const Matrix x = from(2, {0, 0, 4, 1, 0, 2, 4, 3, 2, 1.5});
  const Matrix y = Whitening(x, 1.0).apply(x);

  double xx = 0;
  double xy = 0;
  double yy = 0;
  for (std::size_t r = 0; r < y.rows(); ++r) {
    xx += static_cast<double>(y(r, 0)) * y(r, 0);
    xy += static_cast<double>(y(r, 0)) * y(r, 1);
    yy += static_cast<double>(y(r, 1)) * y(r, 1);
  }
  EXPECT_NEAR(xx / 5, 1, 1e-5);
  EXPECT_NEAR(xy / 5, 0, 1e-5);
  EXPECT_NEAR(yy / 5, 1, 1e-5);
}

TEST(Whitening, OnlyCentresWithExponentZero) {
  const Matrix x = from(2, {1, 0, 3, 4, 5, 2});
  const Matrix y = Whitening(x, 0.0).apply(x);

  EXPECT_NEAR(y(0, 0), -2, 1e-5);
  EXPECT_NEAR(y(1, 1), 2, 1e-5);
}

TEST(Whitening, TakesTheRootOfTheScaleWithExponentHalf) {
  const Matrix x = from(2, {-4, 0, 4, 0, 0, -1, 0, 1});  // variances 8 and 1/2
  const Matrix y = Whitening(x, 0.5).apply(x);

  EXPECT_NEAR(y(1, 0), 4 / std::pow(8, 0.25), 1e-5);
  EXPECT_NEAR(y(3, 1), 1 / std::pow(0.5, 0.25), 1e-5);
}

TEST(Whitening, DropsDirectionsWithoutVariance) {
  const Matrix x = from(3, {1, 1, 5, 2, 2, 5, 4, 4, 5});
  const Whitening whitening(x, 1.0);
  const Matrix y = whitening.apply(x);

  EXPECT_EQ(whitening.rank(), 1U);
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_NEAR(y(r, 2), 0, 1e-5);
    EXPECT_NEAR(y(r, 0), y(r, 1), 1e-5);
  }
}

TEST(Whitening, RefusesVectorsOfAnotherWidth) {
  const Matrix x = from(2, {1, 0, 3, 4});
  EXPECT_THROW(Whitening(x, 1.0).apply(from(3, {1, 2, 3})), Error);
}

TEST(Anisotropy, IsOneForParallelAndNegativeForOppositeRows) {
  EXPECT_NEAR(anisotropy(from(2, {1, 1, 2, 2, 3, 3})), 1, 1e-6);
  EXPECT_NEAR(anisotropy(from(2, {1, 0, -3, 0})), -1, 1e-6);
  EXPECT_EQ(anisotropy(from(2, {1, 0})), 0);
}

// Counts what it is asked to encode.
class CountingEncoder final : public TextEncoder {
 public:
  Matrix encode(std::span<const std::string> texts) const override {
    encoded += texts.size();
    Matrix out(texts.size(), 2);
    for (std::size_t i = 0; i < texts.size(); ++i) out(i, 0) = static_cast<float>(texts[i].size());
    return out;
  }
  std::size_t dim() const override { return 2; }
  std::string name() const override { return "counting"; }
  std::string fingerprint() const override { return mark; }

  std::string mark = "0123456789abcdef";
  mutable std::size_t encoded = 0;
};

TEST(EmbedTexts, EncodesEqualTextsOnceAndNothingTwice) {
  const TempDir dir;
  const CountingEncoder encoder;
  const std::vector<std::string> texts = {"a", "bb", "a", ""};
  EmbedCounts counts;

  const Matrix first = embed_texts(encoder, texts, dir.path(), &counts);
  const Matrix second = embed_texts(encoder, texts, dir.path());

  EXPECT_EQ(encoder.encoded, 3U);
  EXPECT_EQ(counts.empty, 1U);
  EXPECT_EQ(first(2, 0), 1.0F);
  EXPECT_EQ(second(1, 0), 2.0F);
}

TEST(EmbedTexts, KeepsEncodersApart) {
  const TempDir dir;
  CountingEncoder encoder;
  const std::vector<std::string> texts = {"a"};
  embed_texts(encoder, texts, dir.path());
  encoder.mark = "fedcba9876543210";
  embed_texts(encoder, texts, dir.path());

  EXPECT_EQ(encoder.encoded, 2U);
}

TEST(EmbedTexts, EncodesAgainWhatADamagedCacheFileHeld) {
  const TempDir dir;
  const CountingEncoder encoder;
  const std::vector<std::string> texts = {"a"};
  embed_texts(encoder, texts, dir.path());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), 20);
  }

  const Matrix again = embed_texts(encoder, texts, dir.path());

  EXPECT_EQ(encoder.encoded, 2U);
  EXPECT_EQ(again(0, 0), 1.0F);
}

}  // namespace
}  // namespace kindling
