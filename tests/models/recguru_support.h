// What the tests of RecGURU share: options that end in no time, and two domains with the same
// users.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/log.h"
#include "kindling/data/synthetic.h"
#include "kindling/models/registry.h"

namespace kindling::testing {

inline OptionValues quick_guru() {
  return {{"dim", "16"},
          {"layers", "1"},
          {"hidden", "32"},
          {"dropout", "0.1"},
          {"embedding_scale", "0.1"},
          {"batch_size", "64"},
          {"pretrain_steps", "12"},
          {"adversarial_steps", "8"},
          {"finetune_steps", "20"},
          {"warmup", "10"},
          {"critic_steps", "2"},
          {"evaluate_every", "5"},
          {"checkpoint_every", "4"}};
}

inline OptionValues with(OptionValues values, const char* name, const char* value) {
  for (auto& [known, text] : values) {
    if (known == name) {
      text = value;
      return values;
    }
  }
  values.emplace_back(name, value);
  return values;
}

// Both domains have the users u0 … u79, or names of their own.
inline Dataset rename_users(const Dataset& data, const std::string& prefix) {
  DatasetBuilder builder(data.has_times);
  for (ItemId item = 0; item < data.item_count(); ++item) builder.item(data.item_ids().name(item));
  for (UserId user = 0; user < data.user_count(); ++user) {
    const UserId added = builder.user(prefix + std::to_string(user));
    for (const Event& event : data.history(user)) builder.add(added, event.item, event.time);
  }
  return std::move(builder).build(data.name);
}

class RecGuru : public ::testing::Test {
 protected:
  RecGuru() {
    const SyntheticWorld world = make_synthetic_world({.users = 80, .items = 40, .stay = 0.7}, 5);
    source_ = rename_users(world.source.data, "u");
    target_ = rename_users(world.target.data, "u");
    set_log_level(LogLevel::kQuiet);
  }
  ~RecGuru() override { set_log_level(LogLevel::kInfo); }

  TrainTask task() const {
    TrainTask task;
    task.source = Domain{&source_, nullptr};
    task.target_train = Domain{&target_, nullptr};
    return task;
  }

  // Tells the test items: everybody's is item 0 of the target and 1 of the source.
  TrainTask leaking_task() const {
    TrainTask leaking = task();
    leaking.test_items = [this] {
      using Lists = std::vector<std::vector<ItemId>>;
      return TestItems{Lists(source_.user_count(), {1}), Lists(target_.user_count(), {0})};
    };
    return leaking;
  }

  Matrix scores(const Recommender& model) const {
    std::vector<Query> queries;
    for (UserId user = 0; user < 10; ++user) queries.push_back({target_.history(user)});
    std::vector<ItemId> items(target_.item_count());
    std::iota(items.begin(), items.end(), 0U);
    return model.score({&target_, nullptr}, queries, items);
  }

  static void expect_equal(const Matrix& a, const Matrix& b) {
    ASSERT_EQ(a.rows() * a.cols(), b.rows() * b.cols());
    for (std::size_t i = 0; i < a.rows() * a.cols(); ++i) ASSERT_EQ(a.data()[i], b.data()[i]) << i;
  }

  Dataset source_;
  Dataset target_;
};

}  // namespace kindling::testing
