// The small tools of the lowest floor: errors, options, JSON, numbers, text, threads, hashes.
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/json.h"
#include "kindling/base/options.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/base/ready_threads.h"
#include "kindling/base/text.h"

namespace kindling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Error, ShowsPlaceMessageAndHint) {
  const Error error(Kind::kBadInput, "bad", at_line("a.csv", 3), "mend it");

  EXPECT_STREQ(error.what(), "a.csv:3: bad\n  hint: mend it");
}

TEST(Error, GivesTwoForWhatTheUserCanMend) {
  EXPECT_EQ(exit_code(Kind::kBadInput), 2);
  EXPECT_EQ(exit_code(Kind::kCorrupt), 2);
  EXPECT_EQ(exit_code(Kind::kIo), 1);
  EXPECT_EQ(exit_code(Kind::kInternal), 1);
}

TEST(Quote, EscapesControlBytesAndCutsBetweenCharacters) {
  EXPECT_EQ(quote("a\tb"), "'a\\x09b'");
  EXPECT_TRUE(is_valid_utf8(quote("ééééé", 5)));
}

struct Options {
  std::int64_t dim = 8;
  double rate = 0.5;
  bool deep = false;
  std::string kind = "gru";

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, kPositive, "width");
    field("rate", rate, kRate, "share");
    field("deep", deep, kAny, "layers");
    field("kind", kind, one_of({"gru", "tcn"}), "network");
  }
};

std::string refusal(const char* name, const char* value) {
  Options options;
  try {
    set_option(options, name, value);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
    return error.what();
  }
  return "none";
}

TEST(Options, AreSetByName) {
  Options options;

  set_option(options, "dim", "3");
  set_option(options, "deep", "yes");
  set_option(options, "kind", "tcn");

  EXPECT_EQ(options_to_json(options).dump(), R"({"dim":3,"rate":0.5,"deep":true,"kind":"tcn"})");
}

TEST(Options, RefuseUnknownNamesAndValuesOutOfRange) {
  EXPECT_THAT(refusal("dimm", "3"), HasSubstr("did you mean dim?"));
  EXPECT_THAT(refusal("dim", "0"), HasSubstr("> 0"));
  EXPECT_THAT(refusal("dim", "1.5"), HasSubstr("integer"));
  EXPECT_THAT(refusal("rate", "1"), HasSubstr("'1'"));
  EXPECT_THAT(refusal("rate", "nan"), HasSubstr("'nan'"));
  EXPECT_THAT(refusal("deep", "perhaps"), HasSubstr("true or false"));
  EXPECT_THAT(refusal("kind", "lstm"), HasSubstr("one of gru, tcn"));
}

TEST(Options, AreCheckedByTheirDescription) {
  const std::vector<OptionInfo> known = describe_options(Options{});
  const auto refused = [&](std::size_t option, const Json& value) {
    try {
      check_value(known[option], value);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  for (const OptionInfo& option : known) EXPECT_NO_THROW(check_value(option, option.value));
  EXPECT_EQ(refused(0, "64"), "none");
  EXPECT_THAT(refused(0, 0), HasSubstr("> 0"));
  EXPECT_THAT(refused(1, 1), HasSubstr("'1'"));
  EXPECT_THAT(refused(2, "perhaps"), HasSubstr("true or false"));
  EXPECT_THAT(refused(3, "lstm"), HasSubstr("one of gru, tcn"));
  EXPECT_THAT(refused(3, nullptr), HasSubstr("option kind cannot be 'null'"));
  EXPECT_THAT(refused(0, Json::array({64})), HasSubstr("option dim cannot be '[64]'"));
}

TEST(Options, ComeBackFromTheirRecord) {
  Options options;
  options.dim = 99;
  Options copy;

  options_from_json(copy, options_to_json(options));

  EXPECT_EQ(copy.dim, 99);
  EXPECT_EQ(describe_options(copy).size(), 4U);
}

TEST(Json, RefusesWhatIsDamagedDeepOrDouble) {
  EXPECT_THROW(parse_json("{\"a\":1", "x"), Error);
  EXPECT_THROW(parse_json("{\"a\":1,\"a\":2}", "x"), Error);
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']'), "x"), Error);
  EXPECT_THROW(parse_json("\"\xff\"", "x"), Error);
  EXPECT_THROW(parse_json("", "x"), Error);
}

TEST(Json, GivesMembersOfTheRightTypeOnly) {
  const Json object = parse_json(R"({"n":1.5,"s":"x","b":true,"m":-1})", "x");

  EXPECT_EQ(json_get<double>(object, "n", "x"), 1.5);
  EXPECT_THROW(json_get<std::int64_t>(object, "n", "x"), Error);
  EXPECT_THROW(json_get<std::int64_t>(object, "b", "x"), Error);
  EXPECT_THROW(json_get<std::uint64_t>(object, "m", "x"), Error);
  EXPECT_THROW(json_get<std::string>(object, "none", "x"), Error);
  EXPECT_EQ(json_get_or<std::string>(object, "none", "y", "x"), "y");
}

TEST(Rng, ForksStreamsByNameWhateverWasDrawn) {
  Rng a(7);
  const Rng b(7);
  a.next();

  EXPECT_EQ(a.fork("x").next(), b.fork("x").next());
  EXPECT_NE(b.fork("x").next(), b.fork("y").next());
  EXPECT_NE(b.fork("x", 1).next(), b.fork("x", 2).next());
}

TEST(Rng, DrawsUniformAndNormalNumbers) {
  Rng rng(3);
  double sum = 0.0;
  double squares = 0.0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double z = rng.normal();
    sum += z;
    squares += z * z;
    ASSERT_LT(rng.below(3), 3U);
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.03);
}

TEST(Permutation, HoldsEveryNumberOnce) {
  Rng rng(1);
  const auto order = permutation(100, rng);

  EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 100U);
}

TEST(ParallelFor, CoversEveryIndexOnce) {
  std::vector<int> seen(10007, 0);

  parallel_for(seen.size(), 10, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++seen[i];
  });

  EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 10007);
  EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
}

TEST(ParallelFor, BringsAnExceptionBack) {
  const auto fail = [](std::size_t, std::size_t) { throw Error(Kind::kBadInput, "inside"); };

  EXPECT_THROW(parallel_for(1000, 1, fail), Error);
}

TEST(ReadyThreads, CoverEveryIndexOfManyLoopsOnce) {
  const int before = threads();
  set_threads(3);
  std::vector<int> visits(1000, 0);
  with_ready_threads([&] {
    EXPECT_TRUE(has_ready_threads());
    for (std::size_t loop = 0; loop < 500; ++loop) {
      const std::size_t count = 2 * loop + 1;
      parallel_for(count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++visits[i];
      });
    }
  });
  set_threads(before);

  EXPECT_FALSE(has_ready_threads());
  for (std::size_t i = 0; i < visits.size(); ++i) EXPECT_EQ(visits[i], 500 - (i + 1) / 2) << i;
}

TEST(ReadyThreads, RunLoopsInsideOfLoopsSerially) {
  const int before = threads();
  set_threads(2);
  std::vector<int> visits(64, 0);
  with_ready_threads([&] {
    parallel_for(8, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        with_ready_threads([&] {
          parallel_for(8, 1, [&](std::size_t from, std::size_t to) {
            for (std::size_t j = from; j < to; ++j) ++visits[8 * i + j];
          });
        });
      }
    });
  });
  set_threads(before);

  EXPECT_EQ(visits, std::vector<int>(64, 1));
}

TEST(ReadyThreads, BringAnExceptionBack) {
  const int before = threads();
  set_threads(2);
  EXPECT_THROW(with_ready_threads([] {
                 parallel_for(100, 1, [](std::size_t begin, std::size_t) {
                   if (begin == 0) throw Error(Kind::kBadInput, "bad");
                 });
               }),
               Error);
  EXPECT_THROW(with_ready_threads([] { throw Error(Kind::kBadInput, "bad"); }), Error);
  EXPECT_FALSE(has_ready_threads());
  set_threads(before);
}

TEST(Text, SplitsAndTrims) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_EQ(trim("\t a \r\n"), "a");
}

TEST(Text, TakesWholeNumbersOnly) {
  EXPECT_EQ(to_int("-12"), -12);
  for (const char* bad : {"", " 1", "1 ", "1x", "0x1", "99999999999999999999"}) {
    EXPECT_FALSE(to_int(bad).has_value()) << bad;
  }
  EXPECT_EQ(to_double("1e3"), 1000.0);
  for (const char* bad : {"", "nan", "inf", "1,5", "1e999"}) {
    EXPECT_FALSE(to_double(bad).has_value()) << bad;
  }
}

TEST(Text, KnowsUtf8) {
  EXPECT_TRUE(is_valid_utf8("Zürich 日本 😀"));
  EXPECT_FALSE(is_valid_utf8("\xC3"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));  // a surrogate
}

TEST(Text, NamesTheNearestOnlyWhenNear) {
  EXPECT_EQ(nearest_name("movielense", {"mind", "movielens"}), "movielens");
  EXPECT_FALSE(nearest_name("xyz", {"movielens"}).has_value());
}

TEST(Sha256, KnowsThePublishedDigest) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace kindling
