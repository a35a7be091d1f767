// Training runs from directories to a model directory: what is left behind, and what is said.
#include "kindling/models/train_run.h"

#include <cmath>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/synthetic.h"
#include "kindling/models/few_shot_run.h"
#include "tests/support/few_shot_world.h"
#include "tests/support/logged.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TrainingRun : public ::testing::Test {
 protected:
  TrainingRun() {
    save_dataset(make_synthetic_domain("t", {.users = 60, .items = 20}, 3).data, dir_.file("data"));
  }

  TrainRun run(const std::string& model, OptionValues options) const {
    TrainRun run;
    run.model = model;
    run.options = std::move(options);
    run.target = dir_.file("data");
    run.out = dir_.file("model");
    return run;
  }

  std::set<std::string> left_behind() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  // What a run says, and its error if it ends with one.
  static std::string said_by(const TrainRun& run) {
    std::string error;
    const std::string said = testing::logged([&] {
      try {
        run_training(run);
      } catch (const Error& caught) {
        error = caught.what();
      }
    });
    return said + error;
  }

  const testing::TempDir dir_;
};

// Models that learn on the CPU say so; the others know the device, or say what they need first.
TEST_F(TrainingRun, RefusesADeviceThatIsNotAsked) {
  for (const ModelInfo& info : all_models()) {
    TrainRun asked = run(info.name, {});
    asked.device = "banana";
    const std::string said = said_by(asked);
    const bool told = said.find("banana") != std::string::npos;
    EXPECT_TRUE(told || info.needs_source || info.needs_text) << info.name << ": " << said;
    EXPECT_FALSE(std::filesystem::exists(asked.out)) << info.name;
  }
}

// Lists of validation are drawn for who asks it: they want a catalogue with room for them.
TEST_F(TrainingRun, MakesAValidatorForModelsThatAskIt) {
  for (const auto& [model, asks] : {std::pair("itemknn", false), std::pair("bprmf", true)}) {
    TrainRun asked = run(model, {});
    asked.out = dir_.file(model);
    asked.protocol = "leave-two-out";
    asked.make_validator = [](const Domain&,
                              const TargetSplit&) -> std::function<double(const Recommender&)> {
      throw Error(Kind::kBadOption, "no room for 199 negatives");
    };
    EXPECT_EQ(said_by(asked).find("no room") != std::string::npos, asks) << model;
  }
}

const OptionValues kThreeRates = {{"dim", "8"}, {"epochs", "3"}, {"learning_rates", "1,0.1,0.01"}};

TEST_F(TrainingRun, RecordsNoValidationWhereThereWasNone) {
  const ModelRecord record = run_training(run("bprmf", {{"epochs", "2"}}));

  ASSERT_EQ(record.history.size(), 2U);
  EXPECT_TRUE(std::isnan(record.history[1].validation_loss));
  EXPECT_TRUE(std::isnan(record.history[1].validation_ndcg));
  EXPECT_FALSE(record.metrics.contains("validation_loss"));
}

TEST_F(TrainingRun, LeavesTheModelAlone) {
  run_training(run("gru4rec", kThreeRates));

  EXPECT_EQ(left_behind(), (std::set<std::string>{"data", "model"}));
}

TEST_F(TrainingRun, OfSeveralStepSizesGoesOnWhereItWasStopped) {
  run_training(run("gru4rec", kThreeRates));
  const std::string whole = load_model(dir_.file("model")).record.metrics.dump();
  TrainRun stopped = run("gru4rec", kThreeRates);
  stopped.force = true;
  int epochs = 0;
  stopped.on_epoch = [&](const EpochRecord&) { ++epochs; };
  stopped.should_stop = [&] { return epochs == 3; };  // the first step size is done

  EXPECT_THAT(said_by(stopped), HasSubstr("run the same command with --resume"));
  EXPECT_EQ(left_behind(), (std::set<std::string>{"data", "model", "model.ckpt"}));
  stopped.should_stop = nullptr;
  stopped.resume = true;
  EXPECT_THAT(said_by(stopped), Not(HasSubstr("nothing to resume")));

  EXPECT_EQ(epochs, 9);  // three of them before the stop
  EXPECT_EQ(load_model(dir_.file("model")).record.metrics.dump(), whole);
  EXPECT_EQ(left_behind(), (std::set<std::string>{"data", "model"}));
}

TEST_F(TrainingRun, SaysWhenThereIsNothingToResume) {
  for (const char* model : {"bprmf", "gru4rec", "pop"}) {
    TrainRun resumed = run(model, {});
    resumed.resume = true;
    resumed.force = true;
    if (model != std::string("pop")) resumed.options = {{"dim", "4"}, {"epochs", "1"}};

    EXPECT_THAT(said_by(resumed), HasSubstr("nothing to resume in " + resumed.out + ".ckpt"));
    resumed.resume = false;
    EXPECT_THAT(said_by(resumed), Not(HasSubstr("nothing to resume")));
  }
}

TEST_F(TrainingRun, SaysWhenAStoppedModelHasKeptNothing) {
  TrainRun stopped = run("bprmf", {{"dim", "4"}});
  stopped.should_stop = [] { return true; };

  EXPECT_THAT(said_by(stopped), HasSubstr("hint: nothing is kept"));
  EXPECT_EQ(left_behind(), (std::set<std::string>{"data"}));
}

TEST_F(TrainingRun, OfScenariosSaysWhenThereIsNothingToResume) {
  save_scenarios(testing::small_scenarios(), dir_.file("scenarios"));
  FewShotRun resumed;
  resumed.model = "s2meta";
  resumed.options = {{"tasks", "2"}, {"max_steps", "2"}};
  resumed.vector_options = {{"dim", "4"}, {"epochs", "1"}};
  resumed.scenarios = dir_.file("scenarios");
  resumed.out = dir_.file("model");
  resumed.resume = true;

  EXPECT_THAT(testing::logged([&] { run_few_shot_training(resumed); }),
              HasSubstr("nothing to resume in " + resumed.out + ".ckpt"));
}

// Source and target share user u and item a.
class SharedDomains : public TrainingRun {
 protected:
  SharedDomains() {
    write("source", {{"u", "cdecde"}, {"v", "acdedc"}, {"w", "ac"}});
    write("target", {{"u", "axyzxy"}, {"t", "xyazzx"}});
  }

  void write(const std::string& name,
             const std::vector<std::pair<std::string, std::string>>& users) const {
    DatasetBuilder builder(false);
    for (const auto& [user, items] : users) {
      for (const char item : items)
        builder.add(builder.user(user), builder.item(std::string(1, item)), 0);
    }
    save_dataset(std::move(builder).build(name), dir_.file(name));
  }

  TrainRun pair(const std::string& protocol, const std::string& removed = "auto") const {
    TrainRun made = run("cmf", {{"dim", "4"}, {"epochs", "1"}});
    made.source = dir_.file("source");
    made.target = dir_.file("target");
    made.protocol = protocol;
    made.remove_overlap = removed;
    made.force = true;
    return made;
  }

  // Users and events that the source keeps.
  std::pair<std::size_t, std::size_t> learnt(const TrainRun& run) const {
    TrainingData data;
    load_training_data(run, find_model(run.model), data);
    return {data.source.user_count(), data.source.event_count()};
  }
};

TEST_F(SharedDomains, LeavesOutOfTheSourceWhatItIsAskedTo) {
  using Kept = std::pair<std::size_t, std::size_t>;

  EXPECT_EQ(learnt(pair("leave-last-out")), Kept(1, 5));  // v without a
  EXPECT_EQ(learnt(pair("leave-last-out", "both")), Kept(1, 5));
  EXPECT_EQ(learnt(pair("leave-last-out", "users")), Kept(2, 8));
  EXPECT_EQ(learnt(pair("leave-last-out", "items")), Kept(2, 11));  // w has one event left
  EXPECT_EQ(learnt(pair("leave-last-out", "none")), Kept(3, 14));
  EXPECT_EQ(learnt(pair("leave-two-out")), Kept(3, 10));  // train parts, everybody stays
  EXPECT_EQ(learnt(pair("leave-two-out", "users")), Kept(2, 6));
}

TEST_F(SharedDomains, RecordsWhatWasLeftOut) {
  run_training(pair("leave-last-out", "none"));
  EXPECT_EQ(load_model(dir_.file("model")).record.data.at("removed_from_source"), "none");

  run_training(pair("leave-last-out"));
  EXPECT_EQ(load_model(dir_.file("model")).record.data.at("removed_from_source"), "both");
}

TEST_F(SharedDomains, RecordsNoSourceThatTheModelDoesNotRead) {
  TrainRun made = pair("leave-two-out");
  made.model = "pop";
  made.options = {};

  run_training(made);

  const Json data = load_model(dir_.file("model")).record.data;
  EXPECT_EQ(data.at("role"), "target");
  EXPECT_EQ(data.at("name"), "target");
  EXPECT_FALSE(data.contains("removed_from_source"));
}

TEST_F(SharedDomains, RefusesAnotherWordAndAChoiceWithoutTwoDomains) {
  EXPECT_THAT(said_by(pair("leave-last-out", "all")), HasSubstr("expected both, users"));
  TrainRun alone = run("pop", {});
  alone.remove_overlap = "none";
  EXPECT_THAT(said_by(alone), HasSubstr("needs --source and --target"));
}

TEST_F(SharedDomains, TellsTheTestItemsToWhoAsksForThem) {
  const TrainRun asked = pair("leave-two-out");
  TrainingData data;
  load_training_data(asked, find_model(asked.model), data);

  const TestItems items = data.task.test_items();

  const auto name = [](const Dataset& of, ItemId item) { return of.item_ids().name(item); };
  ASSERT_EQ(items.source.size(), 3U);
  ASSERT_EQ(items.source[0].size(), 1U);
  EXPECT_EQ(name(data.source, items.source[0][0]), "e");  // of cdecde
  EXPECT_EQ(name(data.source, items.source[1][0]), "c");  // of acdedc
  EXPECT_TRUE(items.source[2].empty());                   // two events: no test
  ASSERT_EQ(items.target.size(), 2U);
  EXPECT_EQ(name(data.target, items.target[0][0]), "y");
  EXPECT_EQ(name(data.target, items.target[1][0]), "x");
}

TEST_F(TrainingRun, NamesTheModelAndTheDomainThatHasNoSequences) {
  DatasetBuilder builder(false);
  for (int user = 0; user < 5; ++user) {
    builder.add(builder.user("u" + std::to_string(user)), builder.item("i"), 0);
  }
  save_dataset(std::move(builder).build("one"), dir_.file("one"));
  TrainRun lacking = run("gru4rec", kThreeRates);
  lacking.target = dir_.file("one");

  const std::string said = said_by(lacking);

  EXPECT_THAT(said, HasSubstr("the target has no user with two or more events"));
  EXPECT_THAT(said, HasSubstr("gru4rec learns from sequences"));
  EXPECT_THAT(said, Not(HasSubstr("zesrec")));
}

}  // namespace
}  // namespace kindling
