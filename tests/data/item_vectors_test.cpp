#include "kindling/data/item_vectors.h"

#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/safetensors.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

Dataset shop(const std::string& second_text = "a lamp") {
  DatasetBuilder builder(true);
  builder.set_item(builder.item("chair"), {"Chair", "a chair", {}, ""});
  builder.set_item(builder.item("lamp"), {"Lamp", second_text, {}, ""});
  return std::move(builder).build("shop");
}

ItemVectors two_vectors() {
  ItemVectors vectors{Matrix(2, 3), "lsa", "abc"};
  for (std::size_t i = 0; i < 6; ++i) vectors.values.data()[i] = static_cast<float>(i);
  return vectors;
}

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

TEST(ItemVectors, SurviveAFile) {
  const TempDir dir;
  const std::string path = vectors_path(dir.path(), "lsa");

  save_item_vectors(two_vectors(), shop(), path);
  const ItemVectors loaded = load_item_vectors(path, shop());

  EXPECT_EQ(loaded.values(1, 2), 5.0F);
  EXPECT_EQ(loaded.encoder, "lsa");
  EXPECT_EQ(loaded.fingerprint, "abc");
}

TEST(ItemVectors, MayBeKeptInSixteenBits) {
  const TempDir dir;
  const std::string path = vectors_path(dir.path(), "small");
  ItemVectors vectors = two_vectors();
  vectors.values(0, 0) = 0.1F;

  save_item_vectors(vectors, shop(), path, VectorStorage::kF16);
  const ItemVectors loaded = load_item_vectors(path, shop());

  EXPECT_EQ(SafetensorsFile(path).at("vectors").dtype, DType::kF16);
  EXPECT_EQ(loaded.values(0, 0), 0.0999755859375F);  // the nearest one of sixteen bits
  EXPECT_EQ(loaded.values(1, 2), 5.0F);
  EXPECT_EQ(loaded.fingerprint, "abc");
  EXPECT_EQ(import_item_vectors(path, shop()).values(1, 2), 5.0F);
}

TEST(ItemVectors, AreRefusedInSixteenBitsWhereTheyDoNotFit) {
  const TempDir dir;
  ItemVectors vectors = two_vectors();
  vectors.values(1, 1) = 65520.0F;

  const std::string message = message_of([&] {
    save_item_vectors(vectors, shop(), vectors_path(dir.path(), "v"), VectorStorage::kF16);
  });

  EXPECT_NE(message.find("lamp"), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(vectors_path(dir.path(), "v")));
}

TEST(ItemVectors, AreRefusedForOtherTexts) {
  const TempDir dir;
  const std::string path = vectors_path(dir.path(), "lsa");
  save_item_vectors(two_vectors(), shop(), path);

  EXPECT_NE(message_of([&] { load_item_vectors(path, shop("a torch")); }).find("other texts"),
            std::string::npos);
}

TEST(ItemVectors, NameTheItemWithNaN) {
  const TempDir dir;
  ItemVectors vectors = two_vectors();
  vectors.values(1, 0) = std::numeric_limits<float>::quiet_NaN();
  write_safetensors(dir.file("v.safetensors"), {tensor_view("vectors", vectors.values)});

  const std::string message =
      message_of([&] { import_item_vectors(dir.file("v.safetensors"), shop()); });

  EXPECT_NE(message.find("row 1"), std::string::npos) << message;
  EXPECT_NE(message.find("lamp"), std::string::npos) << message;
}

TEST(ItemVectors, NeedARowForEachItem) {
  const TempDir dir;
  write_safetensors(dir.file("v.safetensors"), {tensor_view("x", Matrix(3, 2))});

  const std::string message =
      message_of([&] { import_item_vectors(dir.file("v.safetensors"), shop()); });

  EXPECT_NE(message.find("3 rows"), std::string::npos) << message;
}

TEST(ItemVectors, OfAFileAreComparableWithinANamedSpaceOnly) {
  const TempDir dir;
  write_safetensors(dir.file("a.safetensors"), {tensor_view("x", Matrix(2, 2, 1.0F))});
  write_safetensors(dir.file("b.safetensors"), {tensor_view("x", Matrix(2, 2, 2.0F))});
  const auto fingerprint = [&](const char* file, const char* space) {
    return import_item_vectors(dir.file(file), shop(), space).fingerprint;
  };

  EXPECT_NE(fingerprint("a.safetensors", ""), fingerprint("b.safetensors", ""));
  EXPECT_EQ(fingerprint("a.safetensors", "clip"), fingerprint("b.safetensors", "clip"));
  EXPECT_NE(fingerprint("a.safetensors", "clip"), fingerprint("a.safetensors", "dino"));
}

TEST(ItemVectors, HaveNamesThatStayInTheFolder) {
  for (const char* name : {"", "..", "a/b", ".cache", "a b", "ä"}) {
    EXPECT_THROW(vectors_path("d", name), Error) << name;
  }
  EXPECT_EQ(vectors_path("d", "all-MiniLM_6.v2"), "d/vectors/all-MiniLM_6.v2.safetensors");
}

TEST(MeanNorm, IsTheMeanLengthOfTheRows) {
  Matrix matrix(2, 2);
  matrix(0, 0) = 3;
  matrix(0, 1) = 4;
  matrix(1, 0) = 1;
  EXPECT_DOUBLE_EQ(mean_norm(matrix), 3.0);
}

}  // namespace
}  // namespace kindling
