#include "kindling/text/bert.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "kindling/base/parallel.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

const std::string kFixture = std::string(KINDLING_TEST_DATA) + "/bert/";

std::vector<std::string> fixture_texts() {
  return read_json(kFixture + "texts.json").get<std::vector<std::string>>();
}

double cosine(std::span<const float> a, const std::vector<double>& b) {
  double dot = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    dot += a[i] * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += b[i] * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

void expect_reference_vectors(const std::string& directory, const std::string& name,
                              double tolerance) {
  const std::vector<std::string> texts = fixture_texts();
  const auto wanted = read_json(kFixture + name + ".json").get<std::vector<std::vector<double>>>();
  ASSERT_EQ(wanted.size(), texts.size());

  const Matrix vectors = make_encoder(directory, {})->encode(texts);

  ASSERT_EQ(vectors.cols(), wanted.front().size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_GE(cosine(vectors.row(i), wanted[i]), 0.9999) << texts[i];
    for (std::size_t c = 0; c < vectors.cols(); ++c) {
      ASSERT_NEAR(vectors(i, c), wanted[i][c], tolerance) << texts[i] << " at " << c;
    }
  }
}

// A copy of a tiny model whose files a test may damage.
class DamagedModel : public ::testing::Test {
 protected:
  void copy(const std::string& name) {
    fs::copy(kFixture + name, dir_.path(), fs::copy_options::recursive);
  }
  std::string read(const std::string& file) { return read_file(dir_.file(file)); }
  void replace(const std::string& file, const std::string& from, const std::string& to) {
    std::string text = read(file);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    dir_.write(file, text.replace(at, from.size(), to));
  }
  // The message of the error that loading gives; empty when it gives none.
  std::string refusal(Kind kind) {
    try {
      make_encoder(dir_.path(), {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return {};
  }
  void expect_refusal(Kind kind, const std::string& words) {
    const std::string message = refusal(kind);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  }

  TempDir dir_;
};

TEST(Bert, GivesTheReferenceVectorsOfATinyModelWithCls) {
  expect_reference_vectors(kFixture + "tiny_cls", "tiny_cls", 2e-4);
}

TEST(Bert, GivesTheReferenceVectorsOfAShardedHalfPrecisionModelWithMeanPooling) {
  expect_reference_vectors(kFixture + "tiny_mean", "tiny_mean", 2e-5);
}

TEST(Bert, GivesTheReferenceVectorsOfMiniLm) {
  const char* given = std::getenv("KINDLING_MINILM_DIR");
  const std::string directory =
      given != nullptr ? given : std::string(KINDLING_TEST_DATA) + "/../../.cache/minilm";
  if (!fs::exists(directory + "/model.safetensors")) {
    GTEST_SKIP() << "no all-MiniLM-L6-v2 in " << directory << "; set KINDLING_MINILM_DIR";
  }
  expect_reference_vectors(directory, "minilm", 1e-5);
}

TEST(Bert, GivesATextTheSameVectorAloneAndAmongOthers) {
  const auto encoder = make_encoder(kFixture + "tiny_mean", {});
  const std::vector<std::string> texts = fixture_texts();
  const Matrix together = encoder->encode(texts);

  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Matrix alone = encoder->encode(std::span(&texts[i], 1));
    for (std::size_t c = 0; c < alone.cols(); ++c) {
      ASSERT_NEAR(alone(0, c), together(i, c), 1e-5) << texts[i];
    }
  }
}

TEST(Bert, ReturnsNoRowsForNoTexts) {
  EXPECT_EQ(make_encoder(kFixture + "tiny_cls", {})->encode({}).rows(), 0U);
}

TEST(Bert, ChangesItsFingerprintWithThePooling) {
  EncoderOptions mean;
  mean.pooling = "mean";

  EXPECT_NE(make_encoder(kFixture + "tiny_cls", {})->fingerprint(),
            make_encoder(kFixture + "tiny_cls", mean)->fingerprint());
}

TEST_F(DamagedModel, IsRefusedWhenTheConfigNamesAnotherFamily) {
  copy("tiny_cls");
  replace("config.json", "\"model_type\": \"bert\"", "\"model_type\": \"t5\"");
  expect_refusal(Kind::kUnsupported, "t5");
}

TEST_F(DamagedModel, IsRefusedWhenATensorIsMissing) {
  copy("tiny_cls");
  replace("config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
  expect_refusal(Kind::kBadInput, "encoder.layer.3.attention.self.query.weight");
}

TEST_F(DamagedModel, IsRefusedWhenAShapeContradictsTheConfig) {
  copy("tiny_cls");
  replace("config.json", "\"intermediate_size\": 120", "\"intermediate_size\": 121");
  expect_refusal(Kind::kBadInput, "promises [121, 40]");
}

TEST_F(DamagedModel, IsRefusedWhenSizesAreAbsurd) {
  copy("tiny_cls");
  replace("config.json", "\"hidden_size\": 40", "\"hidden_size\": 4000000000");
  expect_refusal(Kind::kBadInput, "hidden_size is 4000000000");
}

TEST_F(DamagedModel, IsRefusedAtEveryTruncationOfItsWeights) {
  copy("tiny_cls");
  const std::string whole = read("model.safetensors");
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100},
                                 whole.size() / 2, whole.size() - 1}) {
    dir_.write("model.safetensors", whole.substr(0, size));
    expect_refusal(Kind::kBadInput, "model.safetensors");
  }
}

TEST_F(DamagedModel, IsRefusedWhenAWeightIsNotFinite) {
  copy("tiny_cls");
  std::string whole = read("model.safetensors");
  for (std::size_t i = whole.size() - 4; i < whole.size(); ++i) whole[i] = '\xFF';
  dir_.write("model.safetensors", whole);
  const std::string message = refusal(Kind::kBadInput);
  // The last tensor in the file may be one that the encoder does not use.
  EXPECT_TRUE(message.empty() || message.find("nan") != std::string::npos) << message;
}

TEST_F(DamagedModel, IsRefusedWhenAShardLiesOutside) {
  copy("tiny_mean");
  replace("model.safetensors.index.json", "model-00001-of-00002", "../model-00001-of-00002");
  expect_refusal(Kind::kBadInput, "leaves the directory");
}

TEST_F(DamagedModel, IsRefusedWhenAShardIsALinkToOutside) {
  copy("tiny_mean");
  fs::remove(dir_.file("model-00001-of-00002.safetensors"));
  fs::create_symlink(kFixture + "tiny_mean/model-00001-of-00002.safetensors",
                     dir_.file("model-00001-of-00002.safetensors"));
  expect_refusal(Kind::kBadInput, "leaves the directory");
}

TEST_F(DamagedModel, IsRefusedWhenAShardIsMissing) {
  copy("tiny_mean");
  fs::remove(dir_.file("model-00002-of-00002.safetensors"));
  expect_refusal(Kind::kNotFound, "model-00002-of-00002");
}

TEST_F(DamagedModel, IsRefusedWhenTheIndexPromisesATensorThatTheShardLacks) {
  copy("tiny_mean");
  replace("model.safetensors.index.json", "bert.embeddings.LayerNorm.beta", "bert.surprise");
  expect_refusal(Kind::kBadInput, "bert.surprise");
}

TEST_F(DamagedModel, IsRefusedWithAHintWhenThereIsOnlyAPickle) {
  copy("tiny_cls");
  fs::remove(dir_.file("model.safetensors"));
  dir_.write("pytorch_model.bin", "not opened");
  expect_refusal(Kind::kUnsupported, "safe_serialization");
}

TEST_F(DamagedModel, IsRefusedWhenThePoolingIsUnknown) {
  copy("tiny_mean");
  dir_.write("1_Pooling/config.json", R"({"pooling_mode_attention": true})");
  expect_refusal(Kind::kUnsupported, "pooling_mode_attention");
}

TEST_F(DamagedModel, IsRefusedWhenAModuleIsUnknown) {
  copy("tiny_mean");
  replace("modules.json", "models.Normalize", "models.Dense");
  expect_refusal(Kind::kUnsupported, "Dense");
}

TEST_F(DamagedModel, IsRefusedWhenTheVocabularyIsLargerThanTheEmbedding) {
  copy("tiny_cls");
  dir_.write("vocab.txt",
             read("vocab.txt") + "one\ntoo\nmany\n" + std::string(40, 'z') + "\n" +
                 "a1\na2\na3\na4\na5\na6\na7\na8\na9\nb1\nb2\nb3\nb4\nb5\nb6\nb7\nb8\n" +
                 "c1\nc2\nc3\nc4\nc5\nc6\nc7\nc8\nd1\nd2\nd3\nd4\nd5\nd6\nd7\nd8\n");
  expect_refusal(Kind::kBadInput, "vocab_size");
}

TEST(ModelDir, RefusesATokenLimitBeyondThePositions) {
  EncoderOptions options;
  options.max_tokens = 65;
  EXPECT_THROW(make_encoder(kFixture + "tiny_cls", options), Error);
}

TEST(MakeEncoder, NamesAnUnknownEncoder) {
  try {
    make_encoder("no/such/model", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
  }
}

}  // namespace
}  // namespace kindling
