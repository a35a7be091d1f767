// Experiment files: what is refused, and what a cell is.
#include "kindling/eval/experiment.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/split.h"
#include "kindling/data/synthetic.h"
#include "kindling/eval/experiment_cells.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/next_item_cells.h"

namespace kindling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A plan with `extra` members; `extra` may replace "models" or "pairs".
Json small_plan() {
  return Json::parse(R"({"name":"x","seeds":2,
    "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"}],
    "encoders":[{"name":"h","encoder":"hash"}],
    "pairs":[{"name":"p","source":"a","target":"b","protocol":"leave-last-out","set":{"dim":8}}],
    "models":[{"label":"r","model":"random"},{"label":"k","model":"embknn","seeded":false},
              {"label":"z","model":"zesrec","role":"ours"}]})");
}

Json two_domain_plan() {
  return parse_json(R"({"name":"x","title":"X","kind":"two-domain","metrics":["hr@5"],
    "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"}],
    "pairs":[{"name":"p","title":"P","source":"a","target":"b","protocol":"leave-two-out"}],
    "models":[{"label":"pop","title":"Pop","model":"pop"}]})",
                    "x");
}

void expect_refused(const Json& plan, const std::string& words) {
  try {
    parse_plan(plan.dump(), "x.json");
    ADD_FAILURE() << "taken: " << plan.dump();
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(words));
    EXPECT_THAT(error.what(), HasSubstr("x.json"));
  }
}

TEST(ExperimentPlan, ReadsEveryBuiltInExperiment) {
  for (const std::string& name : plan_names()) {
    const ExperimentPlan plan = load_plan(name);

    EXPECT_EQ(plan.name, name);
  }
}

TEST(ExperimentPlan, NamesTheNearestExperiment) {
  try {
    load_plan("smokee");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
    EXPECT_EQ(error.hint(), "did you mean smoke?");
  }
}

TEST(ExperimentPlan, RefusesEveryPrefixOfASmallFile) {
  const std::string whole = small_plan().dump();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(parse_plan(whole.substr(0, length), "x.json"), Error) << length;
  }
}

TEST(ExperimentPlan, RefusesUnknownNames) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json plan = small_plan();
    plan[Json::json_pointer(pointer)] = value;
    return plan;
  };
  expect_refused(changed("/sead", 3), "sead");
  expect_refused(changed("/models/2/model", "zesrek"), "did you mean zesrec?");
  expect_refused(changed("/models/2/set", {{"dimm", 3}}), "dimm");
  expect_refused(changed("/models/2/pair_set", {{"q", Json::object()}}), "pair_set");
  expect_refused(changed("/models/2/pair_set", {{"p", {{"dimm", 3}}}}), "dimm");
  expect_refused(changed("/models/2/kind", "no-shot"), "no-shot");
  expect_refused(changed("/pairs/0/target", "c"), "data set");
  expect_refused(changed("/pairs/0/protocol", "leave-one-in"), "leave-one-in");
  expect_refused(changed("/models/2/encoders", {"minilm"}), "minilm");
  expect_refused(changed("/models/2/settings", {{"interactions", 5}}), "interactions");
  expect_refused(changed("/pairs/0/data", {{"sourse", "a"}}), "did you mean source?");
  expect_refused(changed("/data/0/format", "cvs"), "did you mean csv?");
  expect_refused(changed("/encoders/0/options", {{"dims", 5}}), "dims");
  expect_refused(changed("/encoders/0/options", {{"pooling", "cls"}}), "pooling");  // not of hash
  expect_refused(changed("/encoders/0/encoder", "hsh"), "did you mean hash?");
  expect_refused(changed("/published", {{"q", Json::object()}}), "pair");
  const Json row = {{"z", {{"ndgc@20", 0.5}}}};
  expect_refused(changed("/published", {{"p", row}}), "unknown metric 'ndgc@20'");
  expect_refused(changed("/metrics", {"recall@zz"}), "recall@zz");
  expect_refused(changed("/metrics", {"steps"}), "steps");
  expect_refused(changed("/metrics", {"ndcg@7"}), "ndcg@7");
  expect_refused(changed("/metrics", {"uniform:ndcg@20"}), "uniform:ndcg@20");
  Json pairs = two_domain_plan();
  EXPECT_NO_THROW(parse_plan(pairs.dump(), "x.json"));
  for (const char* wrong : {"bogus", "popularity:x", "lists.safetensors"}) {
    pairs["settings"] = {{"candidates", wrong}};
    expect_refused(pairs, "candidates");
  }
}

TEST(ExperimentPlan, RefusesValuesOutOfRange) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json plan = small_plan();
    plan[Json::json_pointer(pointer)] = value;
    return plan;
  };
  expect_refused(changed("/seeds", 0), "seeds cannot be 0; expected 1 to 100");
  expect_refused(changed("/seeds", "two"), "docs/file_formats.md says");
  expect_refused(changed("/models", 3), "models is '3'; expected a list of at most 1000");
  expect_refused(changed("/models/1", 3), "expected an object, not '3'");
  expect_refused(changed("/encoders/0/options", {{"dim", "x"}}), "encoder h: option dim");
  expect_refused(changed("/models/2/set", {{"dim", -3}}), "dim");
  expect_refused(changed("/models/1/label", "r"), "two models");
  expect_refused(changed("/models/1/label", "../r"), "label");
  expect_refused(changed("/data/0", {{"name", "a"}, {"format", "csv"}, {"folder", "../.."}}),
                 "leaves the directory");
}

TEST(ExperimentPlan, RefusesAnOptionOfAPairThatNoRowOfItHas) {
  Json plan = small_plan();
  plan["pairs"][0]["set"] = {{"dimm", 8}};
  expect_refused(plan, "pair p.set: there is no option 'dimm'");
  expect_refused(plan, "did you mean dim?");

  plan["pairs"][0]["set"] = {{"learning_rates", "0.1"}};  // of hrnn, which has no row here
  expect_refused(plan, "there is no option 'learning_rates'");
}

TEST(ExperimentPlan, RefusesValuesOfSettings) {
  const auto with = [](const Json& settings) {
    Json plan = small_plan();
    plan["models"][2]["settings"] = settings;
    return plan;
  };
  expect_refused(with({{"mask_seen", "maybe"}}), "option mask_seen cannot be 'maybe'");
  expect_refused(with({{"mask_seen", nullptr}}), "option mask_seen cannot be 'null'");
  expect_refused(with({{"context", "al"}}), "expected one of all, train, test");
  expect_refused(with({{"context", {"all"}}}), "expected text");
  expect_refused(with({{"max_queries", -1}}), ">= 0");
  expect_refused(with({{"max_queries", 1.5}}), "an integer");
  EXPECT_NO_THROW(parse_plan(with({{"mask_seen", false}, {"max_queries", 0}}).dump(), "x.json"));

  Json swept = small_plan();
  swept["models"].erase(2);
  swept["pairs"][0].erase("set");
  swept["models"][0] = {{"label", "o"}, {"model", "pop"}, {"kind", "incremental"}};
  swept["models"][1]["swept"] = false;
  swept["sweep"] = {{"setting", "interactions"}, {"values", {10, 20}}};
  EXPECT_NO_THROW(parse_plan(swept.dump(), "x.json"));
  swept["models"][0]["sweep_values"] = {20};
  EXPECT_NO_THROW(parse_plan(swept.dump(), "x.json"));
  swept["models"][0]["sweep_values"] = {20, 30};
  expect_refused(swept, "sweep_values: 30 is no value of the sweep");
  expect_refused(swept, "they are 10, 20");
  swept["models"][0].erase("sweep_values");
  swept["models"][1]["sweep_values"] = {10};
  expect_refused(swept, "a row with sweep_values is swept");
  swept["models"][1].erase("sweep_values");
  swept["sweep"]["values"] = {10, 0};
  expect_refused(swept, "option interactions cannot be '0'");
}

TEST(ExperimentPlan, RefusesValuesOfSettingsInARange) {
  Json plan = small_plan();
  plan["encoders"] = Json::array();
  plan["kind"] = "two-domain";
  plan["models"] = {{{"label", "p"}, {"model", "pop"}}};
  plan["pairs"][0].erase("set");
  plan["pairs"][0]["protocol"] = "leave-two-out";
  plan["settings"] = {{"overlap", 0.5}};
  EXPECT_NO_THROW(parse_plan(plan.dump(), "x.json"));
  plan["settings"] = {{"overlap", 1.5}};
  expect_refused(plan, "0 to 1");
}

TEST(ExperimentPlan, TakesTheDefaultOfEverySetting) {
  Json plan = small_plan();
  plan["pairs"][0].erase("set");
  const std::map<std::string, std::string> models = {
      {"few-shot", "itempop"}, {"in-domain", "pop"}, {"incremental", "pop"}, {"two-domain", "pop"}};
  for (const CellKind& kind : all_cell_kinds()) {
    SCOPED_TRACE(kind.name);
    const auto model = models.find(kind.name);
    plan["kind"] = kind.name;
    plan["pairs"][0]["data"] = Json::object();
    if (kind.name == std::string("few-shot")) plan["pairs"][0]["data"]["meta-train"] = "a";
    plan["models"] = {
        {{"label", "m"}, {"model", model == models.end() ? "zesrec" : model->second}}};
    plan["metrics"] = {kind.name == std::string("case-study") ? "right" : "ndcg@20"};
    const auto protocols = kind.runner().protocols();
    plan["pairs"][0]["protocol"] = protocols.empty() ? "" : protocols.front();
    plan["settings"] = Json::object();
    for (const OptionInfo& setting : kind.runner().settings()) {
      plan["settings"][setting.name] = setting.value;
    }

    EXPECT_NO_THROW(parse_plan(plan.dump(), "x.json"));
  }
}

TEST(ExperimentPlan, RefusesAnalysesThatWouldFailAfterTheCells) {
  const auto with = [](const char* kind, const Json& settings) {
    Json plan = small_plan();
    plan["analyses"] = {{{"kind", kind}, {"settings", settings}}};
    return plan;
  };
  expect_refused(with("against", {{"metric", "foo"}}), "unknown metric 'foo'");
  expect_refused(with("against", {{"of", {"nobody"}}}), "there is no row 'nobody'");
  expect_refused(with("against", {{"beside", "nobody"}}), "beside");
  Json pairs = two_domain_plan();
  pairs["analyses"] = {{{"kind", "against"}, {"settings", {{"metric", "full:hr@10"}}}}};
  expect_refused(pairs, "no function of a rank");
  expect_refused(with("overtake", {{"metric", 3}}), "metric");
  expect_refused(with("overtake", {{"bogus", 1}}), "there is no setting 'bogus'");
  expect_refused(with("overtake", {{"held_out", Json::object()}}), "held_out");
  expect_refused(with("selection", {{"held_out", {{"p", "p"}}}}), "analyses[0].settings.held_out");
  expect_refused(with("selection", {{"held_out", {{"p", {"q"}}}}}), "there is no pair 'q'");
  expect_refused(with("selection", {{"held_out", {{"q", {"p"}}}}}), "there is no pair 'q'");
  expect_refused(with("selection", {{"held_out", {{"p", Json::array()}}}}), "held out for p");
  expect_refused(with("selection", {{"held_out", 3}}), "expected an object");
  EXPECT_NO_THROW(parse_plan(with("selection", {{"held_out", {{"p", {"p"}}}}}).dump(), "x.json"));
}

TEST(ExperimentPlan, RefusesASyntheticWorldThatCannotBe) {
  const auto with = [](const Json& options) {
    Json plan = small_plan();
    plan["data"][0]["options"] = options;
    return plan;
  };
  expect_refused(with({{"min_length", 10}, {"max_length", 5}}),
                 "data a: min_length 10 is more than max_length 5");
  expect_refused(with({{"items", 3}, {"topics", 4}}), "3 items for 4 topics");
  expect_refused(with({{"userz", 3}}), "data a: unknown option 'userz'");
}

TEST(ExperimentPlan, LeavesOutAnEncoderWhosePathCannotBe) {
  Json file = small_plan();
  file["encoders"][0]["encoder"] = "models/" + std::string(300, 'e');
  file["data"].push_back({{"name", "c"},
                          {"format", "csv"},
                          {"folder", std::string(300, 'f')},
                          {"files", Json::array()}});

  const auto missing = missing_parts(parse_plan(file.dump(), "x.json"), "nowhere");

  EXPECT_THAT(missing, ElementsAre(HasSubstr("is not there"), HasSubstr("is not there")));
}

TEST(ExperimentPlan, RefusesAModelWithoutTheDomainThatItNeeds) {
  Json plan = small_plan();
  plan["pairs"][0].erase("source");

  expect_refused(plan, "z needs the source domain");
}

TEST(ExperimentPlan, FindsPublishedNumbersOfAPairOrOfTheOneItStandsFor) {
  Json file = small_plan();
  file["pairs"][0]["stands_for"] = "papers";
  file["published"] = {{"paper", {{"z", {{"ndcg@20", 0.5}}}}}};
  expect_refused(file, "did you mean paper?");
  file["pairs"][0]["stands_for"] = "paper";

  const ExperimentPlan plan = parse_plan(file.dump(), "x.json");

  EXPECT_EQ(plan.published_value(plan.pairs[0], "z", "ndcg@20", std::nullopt), 0.5);
  EXPECT_EQ(plan.published_value(plan.pairs[0], "r", "ndcg@20", std::nullopt), std::nullopt);
}

PreparedData prepared_for_small_plan(const std::string& fingerprint = "1") {
  PreparedData prepared;
  prepared.sets["a"] = {"data/a", {{"fingerprint", fingerprint}}};
  prepared.sets["b"] = {"data/b", {{"fingerprint", "2"}}};
  prepared.vectors["h a"] = {"h-1", "va"};
  prepared.vectors["h b"] = {"h-1", "vb"};
  return prepared;
}

ExperimentRun run_into(const char* folder) {
  ExperimentRun run;
  run.out = folder;
  return run;
}

std::vector<std::string> names_of(const std::vector<PlannedCell>& cells) {
  std::vector<std::string> names;
  for (const PlannedCell& cell : cells) names.push_back(cell.name);
  return names;
}

TEST(PlanCells, PutsSeedsOutermostAndSeedlessRowsOnce) {
  const ExperimentPlan plan = parse_plan(small_plan().dump(), "x.json");

  const auto cells = plan_cells(plan, prepared_for_small_plan(), run_into("out"));

  EXPECT_THAT(names_of(cells), ElementsAre("p.-.r.0", "p.h.k.0", "p.h.z.0", "p.-.r.1", "p.h.z.1"));
}

TEST(PlanCells, NamesACellByAllThatDecidesIt) {
  const ExperimentPlan plan = parse_plan(small_plan().dump(), "x.json");
  Json other = small_plan();
  other["pairs"][0]["set"]["dim"] = 16;
  const ExperimentPlan wider = parse_plan(other.dump(), "x.json");
  const ExperimentRun run = run_into("out");

  const auto cells = plan_cells(plan, prepared_for_small_plan(), run);
  const auto wide = plan_cells(wider, prepared_for_small_plan(), run);
  const auto moved = plan_cells(plan, prepared_for_small_plan("3"), run);

  EXPECT_EQ(cells[0].key, wide[0].key);   // random has no option dim
  EXPECT_NE(cells[2].key, wide[2].key);   // zesrec has
  EXPECT_NE(cells[2].key, moved[2].key);  // another source
  EXPECT_EQ(cells[1].key, moved[1].key);  // kNN reads the target only
  std::set<std::string> keys;
  for (const PlannedCell& cell : cells) keys.insert(cell.key);
  EXPECT_EQ(keys.size(), cells.size());
}

TEST(ModelOptions, OfARowWinOverItsPairsAndThoseOfTheRowInThePairOverBoth) {
  Json file = small_plan();
  file["pairs"][0]["set"] = {{"dim", 16}, {"epochs", 5}, {"dropout", 0.1}};
  file["models"][2]["set"] = {{"epochs", 7}, {"dropout", 0.3}};
  file["models"][2]["pair_set"] = {{"p", {{"dropout", 0.5}}}};
  const ExperimentPlan plan = parse_plan(file.dump(), "x.json");
  PlanPair other = plan.pairs[0];
  other.name = "q";

  EXPECT_EQ(model_options(plan.models[2], plan.pairs[0]),
            (OptionValues{{"dim", "16"}, {"dropout", "0.5"}, {"epochs", "7"}}));
  EXPECT_EQ(model_options(plan.models[2], other),
            (OptionValues{{"dim", "16"}, {"dropout", "0.3"}, {"epochs", "7"}}));
}

TEST(PlanCells, LeavesOutPairsWithoutTheirData) {
  const ExperimentPlan plan = parse_plan(small_plan().dump(), "x.json");
  PreparedData prepared = prepared_for_small_plan();
  prepared.sets.erase("a");

  EXPECT_TRUE(plan_cells(plan, prepared, run_into("out")).empty());
}

TEST(FirstInteractions, AreNestedAndKeepTheLastUserWhole) {
  const Dataset train = make_synthetic_domain("t", {.users = 50}, 3).data;
  const Rng rng(5);

  const Dataset few = first_interactions(train, 40, rng);
  const Dataset many = first_interactions(train, 120, rng);

  EXPECT_GE(few.event_count(), 40U);
  EXPECT_LT(few.event_count(), 40U + 12U);  // at most one user of length 12 too many
  EXPECT_GE(many.event_count(), 120U);
  for (UserId user = 0; user < train.user_count(); ++user) {
    const std::size_t size = few.history(user).size();
    EXPECT_TRUE(size == 0 || size == train.history(user).size());
    if (size > 0) {
      EXPECT_EQ(many.history(user).size(), size);
    }
  }
  EXPECT_EQ(few.item_count(), train.item_count());
}

TEST(FirstInteractions, AreAllWhenMoreAreAskedFor) {
  const Dataset train = make_synthetic_domain("t", {.users = 50}, 3).data;

  EXPECT_EQ(first_interactions(train, 1'000'000, Rng(5)).event_count(), train.event_count());
}

}  // namespace
}  // namespace kindling
