// The in-domain oracles: what they are beside ZESRec, and what is special to an item table.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/negatives.h"
#include "kindling/data/split.h"
#include "kindling/data/synthetic.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;

class SequenceOracles : public ::testing::Test {
 protected:
  SequenceOracles()
      : domain_(make_synthetic_domain("t", {.users = 120, .items = 40}, 3)),
        split_(split_leave_last_out(domain_.data)) {}

  Domain train() const { return {&split_.train, &domain_.vectors}; }

  std::unique_ptr<Recommender> fitted(const std::string& name, const OptionValues& options,
                                      FitContext& context) const {
    auto model = make_model(name, options);
    TrainTask task;
    (find_model(name).needs_source ? task.source : task.target_train) = train();
    model->fit(task, context);
    return model;
  }

  Matrix scores(const Recommender& model) const {
    std::vector<Query> queries;
    for (UserId user = 0; user < 10; ++user) queries.push_back({domain_.data.history(user)});
    std::vector<ItemId> items(domain_.data.item_count());
    std::iota(items.begin(), items.end(), 0U);
    return model.score({&domain_.data, &domain_.vectors}, queries, items);
  }

  SyntheticDomain domain_;
  TargetSplit split_;
};

TEST_F(SequenceOracles, MetaIsVanillaZesrecInTheTarget) {
  const OptionValues small = {{"dim", "12"}, {"epochs", "3"}, {"learning_rates", "0.1"}};
  for (const auto& [oracle, network] :
       {std::pair("gru4rec_meta", "gru"), std::pair("tcn_meta", "tcn"),
        std::pair("hrnn_meta", "hrnn")}) {
    FitContext one, two;
    const auto meta = fitted(oracle, small, one);
    const auto zesrec = fitted("zesrec",
                               {{"dim", "12"},
                                {"epochs", "3"},
                                {"variant", "vanilla"},
                                {"network", network},
                                {"learning_rate", "0.1"}},
                               two);

    const Matrix a = scores(*meta);
    const Matrix b = scores(*zesrec);
    for (std::size_t i = 0; i < a.rows() * a.cols(); ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
  }
}

TEST_F(SequenceOracles, ChooseTheStepSizeByValidationLoss) {
  FitContext together;
  fitted("gru4rec", {{"dim", "12"}, {"epochs", "3"}, {"learning_rates", "0.001,0.1"}}, together);
  double best = 1e9;
  std::vector<EpochRecord> history;
  for (const char* rate : {"0.001", "0.1"}) {
    FitContext alone;
    fitted("gru4rec", {{"dim", "12"}, {"epochs", "3"}, {"learning_rates", rate}}, alone);
    for (const EpochRecord& epoch : alone.history) {
      if (epoch.validation_loss >= best) continue;
      best = epoch.validation_loss;
      history = alone.history;
    }
  }

  ASSERT_EQ(together.history.size(), history.size());
  for (std::size_t n = 0; n < history.size(); ++n) {
    EXPECT_EQ(together.history[n].validation_loss, history[n].validation_loss);
  }
}

// The rows of the item table of items with an event, or without.
std::vector<float> table_rows(const Recommender& model, const Dataset& train, bool with_events) {
  const std::vector<std::uint64_t> counts = item_counts(train);
  std::vector<float> rows;
  for (const NamedTensor& tensor : model.state()) {
    if (tensor.name.find("item_table") == std::string::npos) continue;
    const auto width = static_cast<std::size_t>(tensor.shape.at(1));
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      if ((counts[i / width] > 0) == with_events) rows.push_back(tensor.values[i]);
    }
  }
  return rows;
}

// The specification of the incremental experiment: they keep their initial vectors.
TEST_F(SequenceOracles, CanLeaveItemsWithoutEventsAsTheyStart) {
  const SyntheticDomain few = make_synthetic_domain("t", {.users = 12, .items = 300}, 3);
  const Domain train{&few.data, nullptr};
  const auto rows = [&](const char* items, const char* softmax, const char* epochs, bool events) {
    const auto model = make_model("gru4rec", {{"dim", "8"},
                                              {"epochs", epochs},
                                              {"learning_rates", "0.1"},
                                              {"validation_share", "0"},
                                              {"negatives", "64"},
                                              {"softmax", softmax},
                                              {"untrained_items", items}});
    TrainTask task;
    task.target_train = train;
    FitContext context;
    model->fit(task, context);
    return table_rows(*model, few.data, events);
  };
  for (const char* softmax : {"full", "sampled"}) {
    ASSERT_FALSE(rows("keep", softmax, "1", false).empty());
    EXPECT_EQ(rows("keep", softmax, "1", false), rows("keep", softmax, "4", false)) << softmax;
    EXPECT_NE(rows("keep", softmax, "1", true), rows("keep", softmax, "4", true)) << softmax;
    EXPECT_NE(rows("learn", softmax, "1", false), rows("learn", softmax, "4", false)) << softmax;
  }
}

TEST_F(SequenceOracles, WithAnItemTableRefuseAnotherDomain) {
  FitContext context;
  const auto model = fitted("hrnn", {{"dim", "8"}, {"epochs", "1"}}, context);
  const SyntheticDomain other = make_synthetic_domain("o", {.users = 20, .items = 30}, 3);
  const std::vector<Query> queries = {Query{}};
  const std::vector<ItemId> items = {0};
  try {
    model->score({&other.data, nullptr}, queries, items);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
    EXPECT_THAT(error.message(), HasSubstr("hrnn was fitted on 40 items, this domain has 30"));
  }
}

TEST_F(SequenceOracles, RefuseStepSizesThatAreNone) {
  for (const char* rates : {"", "0.1,", "0", "-1", "0.1;1", "fast"}) {
    EXPECT_THROW(make_model("gru4rec", {{"learning_rates", rates}}), Error) << rates;
  }
}

TEST_F(SequenceOracles, HideOptionsThatAreZesrecsOwn) {
  EXPECT_THROW(make_model("gru4rec", {{"variant", "map"}}), Error);
  EXPECT_THROW(make_model("gru4rec", {{"input_scale", "none"}}), Error);
  EXPECT_NO_THROW(make_model("gru4rec_meta", {{"input_scale", "none"}}));
}

}  // namespace
}  // namespace kindling
