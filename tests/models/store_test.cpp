#include "kindling/models/store.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/synthetic.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

ModelRecord pop_record() {
  ModelRecord record;
  record.model = "pop";
  record.seed = 7;
  record.version = "1.2.3";
  record.data = {{"name", "shop"}, {"fingerprint", "abc"}};
  record.metrics = {{"validation_loss", 1.5}};
  record.history = {{1, 2.5, 2.25, 0.125, 3.0, 0.1}};
  return record;
}

class ModelStore : public ::testing::Test {
 protected:
  ModelStore() : domain_(make_synthetic_domain("shop", {.users = 20}, 1)) {
    model_ = make_model("pop", {});
    TrainTask task;
    task.target_train = Domain{&domain_.data, nullptr};
    FitContext context;
    model_->fit(task, context);
    record_ = pop_record();
    record_.details = model_->details();
    path_ = folder_.file("model");
    save_model(*model_, record_, path_);
  }

  Kind load_failure() const {
    try {
      load_model(path_);
    } catch (const Error& error) {
      message_ = error.what();
      return error.kind();
    }
    ADD_FAILURE() << "load_model took it";
    return Kind::kInternal;
  }

  testing::TempDir folder_;
  SyntheticDomain domain_;
  std::unique_ptr<Recommender> model_;
  ModelRecord record_;
  std::string path_;
  mutable std::string message_;
};

TEST_F(ModelStore, KeepsTheRecord) {
  const ModelRecord read = load_model(path_).record;

  EXPECT_EQ(read.model, "pop");
  EXPECT_EQ(read.seed, 7U);
  EXPECT_EQ(read.version, "1.2.3");
  EXPECT_EQ(read.data, record_.data);
  EXPECT_EQ(read.metrics, record_.metrics);
  ASSERT_EQ(read.history.size(), 1U);
  EXPECT_EQ(read.history[0].validation_ndcg, 0.125);
}

TEST_F(ModelStore, WritesACardWithFingerprintSeedAndMetrics) {
  const std::string card = read_file(path_ + "/README.md");

  for (const char* fact : {"# pop", "seed 7", "abc", "validation_loss", "1.5"}) {
    EXPECT_NE(card.find(fact), std::string::npos) << fact;
  }
}

TEST_F(ModelStore, LeavesOutWhatWasNotValidated) {
  record_.history = {{1, 2.5, NAN, NAN, 3.0, 0.1}};
  save_model(*model_, record_, path_, true);

  const EpochRecord read = load_model(path_).record.history.at(0);
  EXPECT_TRUE(std::isnan(read.validation_loss));
  EXPECT_EQ(read.train_loss, 2.5);
  EXPECT_NE(read_file(path_ + "/README.md").find("| 1 | 2.5000 |  |  | 3 |"), std::string::npos);
}

TEST_F(ModelStore, OneFlippedByteIsCorruptionNamingTheFile) {
  for (const char* name : {"config.json", "model.safetensors", "README.md"}) {
    const std::string file = path_ + "/" + name;
    const std::string good = read_file(file);
    std::string bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
    std::ofstream(file, std::ios::binary) << bad;

    EXPECT_EQ(load_failure(), Kind::kCorrupt);
    EXPECT_NE(message_.find(name), std::string::npos) << message_;
    std::ofstream(file, std::ios::binary) << good;
  }
  EXPECT_NO_THROW(load_model(path_));
}

TEST_F(ModelStore, AMissingFileIsNamed) {
  std::filesystem::remove(path_ + "/model.safetensors");

  EXPECT_EQ(load_failure(), Kind::kCorrupt);
  EXPECT_NE(message_.find("model.safetensors"), std::string::npos);
}

TEST_F(ModelStore, ADirectoryWithoutAModelIsNotFound) {
  try {
    load_model(folder_.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
  }
}

TEST_F(ModelStore, DivergedWeightsAreRefusedAndNothingIsWritten) {
  const ModelState state = {{"omega", {2}, {1.0F, std::numeric_limits<float>::infinity()}}};
  try {
    save_model_files(state, record_, "a paper", folder_.file("diverged"), false);
    FAIL() << "save_model_files took it";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kDiverged);
    EXPECT_NE(std::string(error.what()).find("'omega' is inf"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.file("diverged")));
}

TEST_F(ModelStore, ReplacesOnlyWhenForcedAndOnlyModels) {
  EXPECT_THROW(save_model(*model_, record_, path_), Error);
  EXPECT_NO_THROW(save_model(*model_, record_, path_, true));
  folder_.write("letters/love.txt", "dear");
  EXPECT_THROW(save_model(*model_, record_, folder_.file("letters"), true), Error);
  EXPECT_EQ(read_file(folder_.file("letters/love.txt")), "dear");
}

TEST(CheckTarget, RefusesOtherIdsAndOtherOrders) {
  const auto named = [](const std::vector<std::string>& users,
                        const std::vector<std::string>& items) {
    DatasetBuilder builder(false);
    for (const auto& item : items) builder.item(item);
    for (const auto& user : users) builder.add(builder.user(user), 0, 0);
    return std::move(builder).build("shop");
  };
  const Dataset shop = named({"anna", "ben"}, {"x", "y"});
  ModelRecord record;
  record.model = "bprmf";
  record.data = {{"role", "target"},
                 {"name", "shop"},
                 {"item_ids", shop.item_ids().fingerprint()},
                 {"user_ids", shop.user_ids().fingerprint()}};
  const Dataset other_users = named({"anna", "carl"}, {"x", "y"});

  EXPECT_NO_THROW(check_target(record, shop, true));
  EXPECT_NO_THROW(check_target(record, other_users, false));
  EXPECT_THROW(check_target(record, other_users, true), Error);
  EXPECT_THROW(check_target(record, named({"anna", "ben"}, {"y", "x"}), false), Error);

  record.data["role"] = "source";  // learnt another domain: any target will do
  EXPECT_NO_THROW(check_target(record, named({"anna", "ben"}, {"y", "x"}), true));
  record.data["target"] = {{"item_ids", shop.item_ids().fingerprint()}};
  EXPECT_THROW(check_target(record, named({"anna", "ben"}, {"y", "x"}), true), Error);
}

TEST(CheckVectors, NamesBothSpaces) {
  ModelRecord record;
  record.model = "zesrec";
  record.data["vectors"] = {{"encoder", "lsa"}, {"fingerprint", "f1"}, {"dim", 8}};
  const ItemVectors same{Matrix(2, 8), "lsa", "f1"};
  const ItemVectors narrow{Matrix(2, 4), "lsa", "f1"};
  const ItemVectors other{Matrix(2, 8), "hash", "f2"};

  EXPECT_NO_THROW(check_vectors(record, same));
  EXPECT_THROW(check_vectors(record, narrow), Error);
  try {
    check_vectors(record, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_NE(error.message().find("lsa"), std::string::npos);
    EXPECT_NE(error.message().find("hash"), std::string::npos);
  }
}

}  // namespace
}  // namespace kindling
