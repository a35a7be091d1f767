#include "kindling/eval/candidates.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/models/registry.h"
#include "tests/eval/scorers.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::FunctionScorer;
using testing::make_dataset;
using testing::random_dataset;

std::vector<ItemId> list_of(const CandidateLists& lists, UserId user) {
  std::vector<ItemId> list;
  lists.negatives(user, list);
  return list;
}

CandidateOptions drawn(const std::string& text, std::uint64_t seed = 1) {
  CandidateOptions options = parse_candidates(text);
  options.seed = seed;
  return options;
}

TEST(ParseCandidates, ReadsDrawsAndFiles) {
  EXPECT_EQ(parse_candidates("full").draw, "full");
  EXPECT_EQ(parse_candidates("popularity:199").negatives, 199U);
  EXPECT_EQ(name_of(parse_candidates("uniform:7")), "uniform:7");
  EXPECT_EQ(parse_candidates("lists/shop.candidates").path, "lists/shop.candidates");
  for (const char* wrong :
       {"popularity", "popularity:0", "popularity:x", "uniform:-3", "all", ""}) {
    EXPECT_THROW(parse_candidates(wrong), Error) << wrong;
  }
}

TEST(ParseCandidates, TakesAFileOfAnyNameThatIsThere) {
  testing::TempDir dir;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  EXPECT_THROW(parse_candidates("lists"), Error);
  dir.write("lists", "");
  EXPECT_EQ(parse_candidates("lists").path, "lists");
  std::filesystem::current_path(before);
}

TEST(CandidateLists, HoldNeitherRepeatsNorTheUsersOwnItems) {
  const Dataset data = random_dataset(60, 50, 4);
  for (const char* draw : {"popularity:30", "uniform:30"}) {
    const CandidateLists lists(data, drawn(draw));
    for (UserId user = 0; user < data.user_count(); ++user) {
      const auto list = list_of(lists, user);
      const std::set<ItemId> different(list.begin(), list.end());
      EXPECT_EQ(different.size(), 30U);
      for (const Event& event : data.history(user)) EXPECT_FALSE(different.contains(event.item));
    }
  }
}

TEST(CandidateLists, AreTheSameForASeedAndOthersForAnother) {
  const Dataset data = random_dataset(30, 400, 4);

  EXPECT_EQ(list_of(CandidateLists(data, drawn("uniform:20")), 3),
            list_of(CandidateLists(data, drawn("uniform:20")), 3));
  EXPECT_NE(list_of(CandidateLists(data, drawn("uniform:20")), 3),
            list_of(CandidateLists(data, drawn("uniform:20", 2)), 3));
  EXPECT_NE(list_of(CandidateLists(data, drawn("uniform:20")), 3),
            list_of(CandidateLists(data, drawn("uniform:20"), "validation"), 3));
}

// One user of item 0, and item j of 1 … 4 taken by 2^j others.
Dataset skewed() {
  std::vector<std::vector<ItemId>> histories = {{0}};
  for (ItemId item = 1; item <= 4; ++item) {
    for (int n = 0; n < 1 << item; ++n) histories.push_back({item});
  }
  return make_dataset(6, histories);
}

TEST(CandidateLists, FollowPopularityToThreeQuarters) {
  const Dataset data = skewed();
  std::vector<double> share(6, 0.0);
  constexpr int kDraws = 4000;
  for (int seed = 0; seed < kDraws; ++seed) {
    const CandidateLists lists(data, drawn("popularity:1", static_cast<std::uint64_t>(seed)));
    share[list_of(lists, 0)[0]] += 1.0 / kDraws;
  }
  const double sum = std::pow(2, .75) + std::pow(4, .75) + std::pow(8, .75) + std::pow(16, .75);
  EXPECT_EQ(share[0], 0.0);  // the user's own
  EXPECT_EQ(share[5], 0.0);  // nobody's
  for (const int j : {1, 2, 3, 4}) EXPECT_NEAR(share[j], std::pow(1 << j, .75) / sum, 0.03);
}

TEST(CandidateLists, TakeTheWholeCatalogueWhenTheyMust) {
  const Dataset data = skewed();

  auto list = list_of(CandidateLists(data, drawn("uniform:5")), 0);
  std::sort(list.begin(), list.end());
  EXPECT_EQ(list, (std::vector<ItemId>{1, 2, 3, 4, 5}));
}

TEST(CandidateLists, SayWhenTheCatalogueIsTooSmall) {
  const Dataset data = skewed();

  EXPECT_THROW(CandidateLists(data, drawn("popularity:5")), Error);
  EXPECT_THROW(CandidateLists(data, drawn("uniform:6")), Error);
}

TEST(CandidateLists, MayRepeatAndHoldTheValidationItemAsReleased) {
  const Dataset data = make_dataset(4, {{0, 1, 2}, {1}, {1}, {3}});
  CandidateOptions options = drawn("popularity:50");
  options.released = true;

  const auto list = list_of(CandidateLists(data, options), 0);

  EXPECT_EQ(list.size(), 50U);
  EXPECT_GT(std::count(list.begin(), list.end(), 1U), 0);
  EXPECT_EQ(std::count(list.begin(), list.end(), 0U), 0);
  EXPECT_EQ(std::count(list.begin(), list.end(), 2U), 0);
}

TEST(CandidateLists, AreTheSameFromAFile) {
  const testing::TempDir dir;
  const Dataset data = random_dataset(40, 60, 5);
  const CandidateLists lists(data, drawn("popularity:9"));
  lists.save(dir.file("l.candidates"));

  const CandidateLists loaded(data, parse_candidates(dir.file("l.candidates")));

  EXPECT_EQ(loaded.options().negatives, 9U);
  for (UserId user = 0; user < 40; ++user) EXPECT_EQ(list_of(loaded, user), list_of(lists, user));
}

TEST(CandidateLists, RefuseAFileOfAnotherDatasetAndADamagedOne) {
  const testing::TempDir dir;
  const Dataset data = random_dataset(10, 60, 5);
  CandidateLists(data, drawn("uniform:3")).save(dir.file("l.candidates"));
  const std::string whole = read_file(dir.file("l.candidates"));

  EXPECT_THROW(
      CandidateLists(random_dataset(10, 60, 6), parse_candidates(dir.file("l.candidates"))), Error);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string path = dir.write("cut.candidates", whole.substr(0, size));
    EXPECT_THROW(CandidateLists(data, parse_candidates(path)), Error) << size;
  }
  std::string wrong = whole;
  wrong[wrong.size() - 1] = 1;  // an item far beyond the catalogue
  EXPECT_THROW(CandidateLists(data, parse_candidates(dir.write("w.candidates", wrong))), Error);
}

std::vector<RankingQuery> last_events(const Dataset& data) {
  std::vector<RankingQuery> queries;
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    queries.push_back({history.first(history.size() - 1), history.back().item, user});
  }
  return queries;
}

TEST(RankAmong, GivesTheMiddleToAConstantScorer) {
  const Dataset data = random_dataset(20, 60, 1);
  const FunctionScorer constant([](auto, ItemId) { return 0.5F; });

  for (const RankedQuery& query : rank_among(constant, {&data, nullptr}, last_events(data),
                                             CandidateLists(data, drawn("uniform:30")))) {
    EXPECT_DOUBLE_EQ(query.rank, 16.0);  // (31 + 1) / 2
  }
}

TEST(RankAmong, CountsTheCandidatesThatBeatTheTarget) {
  const Dataset data = random_dataset(50, 60, 1);
  const FunctionScorer rising([](auto, ItemId item) { return static_cast<float>(item); });
  const CandidateLists lists(data, drawn("popularity:25"));
  const auto queries = last_events(data);

  const auto ranks = rank_among(rising, {&data, nullptr}, queries, lists);

  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto list = list_of(lists, *queries[q].user);
    const auto above = std::count_if(list.begin(), list.end(),
                                     [&](ItemId item) { return item > queries[q].target; });
    EXPECT_DOUBLE_EQ(ranks[q].rank, 1.0 + static_cast<double>(above));
  }
}

// Hides that the scores of a model are dot products.
class Plain : public Recommender {
 public:
  explicit Plain(const Recommender& model) : model_(model) {}
  void fit(const TrainTask&, FitContext&) override {}
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    for (const Query& query : queries) EXPECT_TRUE(query.user.has_value());
    return model_.score(domain, queries, candidates);
  }
  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}

 private:
  const Recommender& model_;
};

TEST(RankAmong, GivesTheSameByVectorsAndByScores) {
  const Dataset data = random_dataset(150, 120, 7);
  Rng rng(8);
  ItemVectors vectors{Matrix(120, 33), "file", "test"};
  for (std::size_t i = 0; i < 120 * 33; ++i) {
    vectors.values.data()[i] = static_cast<float>(rng.normal());
  }
  const auto model = make_model("embknn", {});
  const Domain domain{&data, &vectors};
  const CandidateLists lists(data, drawn("popularity:40"));

  EXPECT_EQ(rank_among(*model, domain, last_events(data), lists),
            rank_among(Plain(*model), domain, last_events(data), lists));
}

}  // namespace
}  // namespace kindling
