// Each reader on a few lines of its format: what comes out, and what is said of bad input.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/readers/reader.h"
#include "kindling/data/readers/rows.h"
#include "tests/support/gzip.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::gzip;
using ::testing::HasSubstr;
using testing::TempDir;

Dataset read(const char* format, const std::vector<std::string>& paths,
             const ReaderValues& values = {}) {
  ImportReport report;
  return find_reader(format).read(paths, values, report);
}

// The message of the Error that reading throws.
std::string error_of(const char* format, const std::vector<std::string>& paths,
                     const ReaderValues& values = {}) {
  try {
    read(format, paths, values);
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2) << error.what();
    return error.what();
  }
  return "no error";
}

// "u1: a b | u2: c"
std::string shown(const Dataset& data) {
  std::string text;
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (!text.empty()) text += " | ";
    text += data.user_ids().name(user) + ":";
    for (const Event& event : data.history(user)) text += " " + data.item_ids().name(event.item);
  }
  return text;
}

const Item& item(const Dataset& data, const char* id) {
  return data.items()[data.item_ids().find(id).value()];
}

TEST(Readers, AreListedAndFoundByName) {
  EXPECT_EQ(all_readers().size(), 7U);
  EXPECT_STREQ(find_reader("mind").name, "mind");
  try {
    find_reader("movielense");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("movielens"));
  }
}

TEST(ParseTime, KnowsSecondsMillisecondsAndDates) {
  EXPECT_EQ(parse_time("1522540800"), 1522540800);
  EXPECT_EQ(parse_time("1522540800123"), 1522540800);
  EXPECT_EQ(parse_time("1522540800123456"), 1522540800);
  EXPECT_EQ(parse_time("1522540800123456789"), 1522540800);  // pandas
  EXPECT_EQ(parse_time("1522540800.7"), 1522540800);
  EXPECT_EQ(parse_time("2018-04-01"), 1522540800);
  EXPECT_EQ(parse_time("2018-04-01T00:00:10Z"), 1522540810);
  EXPECT_EQ(parse_time("11/12/2019 2:14:46 PM"), 1573568086);
  EXPECT_EQ(parse_time("1/1/1970 12:00:00 AM"), 0);
  for (const char* bad :
       {"", "x", "2018-13-01", "2018-02-30", "1/1/1970 13:00:00 PM", "nan", "1e300"}) {
    EXPECT_FALSE(parse_time(bad).has_value()) << bad;
  }
}

TEST(Sequences, ReadsOrderAndItemTexts) {
  const TempDir dir;
  dir.write("sequences.tsv", "\xEF\xBB\xBFu1\ta b  c\r\nu2\tb a\n\n");
  dir.write("items.tsv", "asin\ttitle\tattributes\na\tLamp &amp; desk\tAcme|#2|Home|Light\n");

  const Dataset data = read("sequences", {dir.path()});

  EXPECT_EQ(shown(data), "u1: a b c | u2: b a");
  EXPECT_FALSE(data.has_times);
  EXPECT_EQ(item(data, "a").text, "Lamp & desk. Home, Light. Acme");
}

TEST(Sequences, NameTheLineThatIsWrong) {
  const TempDir dir;
  EXPECT_THAT(error_of("sequences", {dir.write("a.tsv", "u1\ta\nu2 a b\n")}), HasSubstr("a.tsv:2"));
  EXPECT_THAT(error_of("sequences", {dir.write("b.tsv", "u1\ta\nu2\t\x01\n")}),
              HasSubstr("b.tsv:2"));
  EXPECT_THAT(error_of("sequences", {dir.write("c.tsv", "")}), HasSubstr("no interactions"));
  EXPECT_THAT(error_of("sequences", {dir.file("none.tsv")}), HasSubstr("none.tsv"));
  EXPECT_THAT(error_of("sequences", {dir.write("d.tsv", "u\t\xff\xfe\n")}), HasSubstr("UTF-8"));
}

TEST(Csv, FindsSeparatorHeaderAndColumns) {
  const TempDir dir;
  const auto path = dir.write("shop.csv", "time;user;item;rating\n20;u1;b;5\n10;u1;a;3\n");

  const Dataset data = read("csv", {path});

  EXPECT_EQ(shown(data), "u1: a b");
  EXPECT_EQ(data.history(0)[0].value, 3.0F);
  EXPECT_TRUE(data.has_times);
  EXPECT_EQ(data.name, "shop");
}

TEST(Csv, TakesColumnsByNumberWithoutAHeader) {
  const TempDir dir;
  const auto path = dir.write("a.csv", "x,a,u1\ny,b,u1\n");

  EXPECT_EQ(shown(read("csv", {path}, {{"user", "3"}, {"item", "2"}})), "u1: a b");
  EXPECT_THAT(error_of("csv", {path}), HasSubstr("--user"));
  EXPECT_THAT(error_of("csv", {path}, {{"user", "4"}, {"item", "2"}}), HasSubstr("column 4"));
  EXPECT_THAT(error_of("csv", {path}, {{"user", "who"}, {"item", "2"}}), HasSubstr("'who'"));
}

TEST(Csv, ReadsQuotedFieldsOverLines) {
  const TempDir dir;
  const auto path = dir.write("a.csv", "user,item\nu1,\"a, \"\"b\"\"\"\n\"u2\",c\n");
  const auto items = dir.write("i.csv", "item,title\nc,\"two\nlines\"\n");

  const Dataset data = read("csv", {path, items});

  EXPECT_EQ(shown(data), "u1: a, \"b\" | u2: c");
  EXPECT_EQ(item(data, "c").title, "two lines");
}

TEST(Csv, RefusesWithLineValueAndHint) {
  const TempDir dir;
  EXPECT_THAT(error_of("csv", {dir.write("a.csv", "user,item\nu1,a\nu1\n")}),
              AllOf(HasSubstr("a.csv:3"), HasSubstr("expected 2 columns, found 1")));
  EXPECT_THAT(error_of("csv", {dir.write("b.csv", "user,item,time\nu1,a,soon\n")}),
              AllOf(HasSubstr("b.csv:2"), HasSubstr("'soon'")));
  EXPECT_THAT(error_of("csv", {dir.write("e.csv", "user,item,rating\nu1,a,1e40\n")}),
              HasSubstr("e.csv:2: expected a rating"));
  EXPECT_THAT(error_of("csv", {dir.write("c.csv", "user,item,rating\nu1,a,nan\n")}),
              HasSubstr("'nan'"));
  EXPECT_THAT(error_of("csv", {dir.write("d.csv", std::string("user,item\nu\0,a\n", 15))}),
              HasSubstr("NUL"));
  EXPECT_THAT(error_of("csv", {dir.write("e.csv", "user,item\n\"u,a\n")}),
              HasSubstr("does not end"));
  EXPECT_THAT(error_of("csv", {dir.write("f.csv", "user,item\n")}), HasSubstr("no interactions"));
  EXPECT_THAT(error_of("csv", {dir.write("g.csv", "word\n")}), HasSubstr("--separator"));
  EXPECT_THAT(error_of("csv", {dir.write("h.csv", "")}), HasSubstr("empty"));
  EXPECT_THAT(error_of("csv", {dir.file("h.csv")}, {{"speed", "1"}}), HasSubstr("unknown option"));
}

TEST(Csv, CountsSkippedRowsAndRatingsLeftOut) {
  const TempDir dir;
  const auto path = dir.write("a.csv", "user,item,rating\nu1,a,5\nu1,b\nu1,c,1\nu1,d,x\n");
  ImportReport report;

  const Dataset data =
      find_reader("csv").read({path}, {{"bad_rows", "skip"}, {"min_rating", "3"}}, report);

  const auto unrated = dir.write("b.csv", "user,item\nu1,a\n");
  EXPECT_THROW(find_reader("csv").read({unrated}, {{"min_rating", "3"}}, report), Error);
  EXPECT_EQ(shown(data), "u1: a");
  EXPECT_EQ(report.rows, 4);
  EXPECT_EQ(report.skipped.at(path), 2);
  EXPECT_EQ(report.left_out.at("rating below min_rating"), 1);
  EXPECT_THAT(report.examples.at(0), HasSubstr("a.csv:3"));
}

TEST(Csv, MakesACatalogueOfItemsAlone) {
  const TempDir dir;
  const auto items = dir.write("items.csv", "item,title\na,Lamp\nb,Desk\n");

  const Dataset data = read("csv", {}, {{"items_file", items}});

  EXPECT_EQ(data.item_count(), 2U);
  EXPECT_EQ(data.user_count(), 0U);
}

TEST(Recbole, ReadsAtomicFilesWithDates) {
  const TempDir dir;
  dir.write("x.inter",
            "user_id:token\titem_id:token\ttimestamp:float\n1\ta\t2015-06-23\n1\tb\t1.4e9\n");
  dir.write("x.item",
            "item_id:token\tmovie_title:token_seq\tclass:token_seq\na\tToy Story\tComedy Crime\n");

  const Dataset data = read("recbole", {dir.path()});

  EXPECT_EQ(shown(data), "1: b a");
  EXPECT_EQ(item(data, "a").categories, (std::vector<std::string>{"Comedy", "Crime"}));
  EXPECT_EQ(item(data, "a").title, "Toy Story");
}

TEST(Recbole, RefusesAHeaderWithoutTypes) {
  const TempDir dir;
  EXPECT_THAT(error_of("recbole", {dir.write("x.inter", "user_id\titem_id\n1\t2\n")}),
              HasSubstr("no known type"));
  EXPECT_THAT(error_of("recbole", {dir.write("y.inter", "user_id:token\tt:float\n1\t2\n")}),
              HasSubstr("'item_id'"));
}

TEST(MovieLens, ReadsTheHundredThousand) {
  const TempDir dir;
  dir.write("u.data", "1\t31\t3\t881250949\n");
  dir.write("u.item",
            "31|Am\xE9lie (2001)|01-Jan-1995||http|0|0|0|1|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n");

  const Dataset data = read("movielens", {dir.path()});

  EXPECT_EQ(item(data, "31").title, "Am\xC3\xA9lie (2001)");
  EXPECT_EQ(item(data, "31").categories, (std::vector<std::string>{"Animation", "Comedy"}));
}

TEST(MovieLens, ReadsDatFiles) {
  const TempDir dir;
  dir.write("ratings.dat", "1::7::5::978300760\n");
  dir.write("movies.dat", "7::Sabrina (1995)::Comedy|Romance\n");

  EXPECT_EQ(item(read("movielens", {dir.path()}), "7").text, "Sabrina (1995). Comedy, Romance");
}

TEST(MovieLens, AddsTagsAndGenome) {
  const TempDir dir;
  dir.write("ratings.csv", "userId,movieId,rating,timestamp\n1,7,5,978300760\n");
  dir.write("movies.csv", "movieId,title,genres\n7,\"Net, The\",(no genres listed)\n");
  dir.write("tags.csv", "userId,movieId,tag,timestamp\n1,7,funny,1\n2,7,slow,1\n3,7,funny,1\n");
  dir.write("genome-tags.csv", "tagId,tag\n1,hackers\n2,ocean\n");
  dir.write("genome-scores.csv", "movieId,tagId,relevance\n7,1,0.9\n7,2,0.8\n");

  const Dataset data =
      read("movielens", {dir.path()}, {{"tags", "description"}, {"genome", "categories"}});

  EXPECT_EQ(item(data, "7").text, "Net, The. funny, slow. hackers");
}

TEST(Amazon, ReadsReviewsAndMetadataPlainAndGzip) {
  const TempDir dir;
  const std::string reviews =
      R"({"overall": 5.0, "reviewerID": "U1", "asin": "A", "unixReviewTime": 20, "reviewText": "x \"y\""})"
      "\n"
      R"({"asin": "B", "overall": 1, "reviewerID": "U1", "unixReviewTime": 10})"
      "\n";
  const std::string metadata =
      R"({"asin": "A", "title": "T", "category": ["X", "Y"], "description": ["<p>D</p>"], "brand": "Z"})"
      "\n"
      R"({"asin": "C", "title": "unseen"})"
      "\n";
  dir.write("reviews.json.gz", gzip(reviews));
  dir.write("meta_x.json.gz", gzip(metadata));

  const Dataset data = read("amazon", {dir.path()});

  EXPECT_EQ(shown(data), "U1: B A");
  EXPECT_EQ(item(data, "A").text, "T. D. X, Y. Z");
  EXPECT_EQ(data.item_count(), 2U);
}

TEST(Amazon, ReadsThePythonMetadataOf2014) {
  const TempDir dir;
  const auto reviews = dir.write(
      "r.json",
      "{\"reviewerID\": \"U\", \"asin\": \"A\", \"overall\": 4, \"unixReviewTime\": 1}\n");
  const auto meta = dir.write("meta.json",
                              "{'asin': 'A', 'title': \"it's \\\"x\\\"\", 'ok': True, 'no': None, "
                              "'categories': [['Home', 'Light'], ['Home', 'Desk']]}\n");

  const Dataset data = read("amazon", {reviews, meta});

  EXPECT_EQ(item(data, "A").title, "it's \"x\"");
  EXPECT_EQ(item(data, "A").categories, (std::vector<std::string>{"Home", "Light", "Desk"}));
}

TEST(Amazon, FiltersByRatingVerificationAndTimeInThisOrder) {
  const TempDir dir;
  const auto row = [](const char* item, int rating, const char* verified, int time) {
    return fmt::format(
        R"({{"reviewerID":"U","asin":"{}","overall":{},"verified":{},"unixReviewTime":{}}})"
        "\n",
        item, rating, verified, time);
  };
  const auto path = dir.write("r.json", row("A", 2, "false", 1) + row("B", 3, "false", 9) +
                                            row("C", 3, "true", 5) + row("D", 5, "true", 6));
  ImportReport report;

  const Dataset data = find_reader("amazon").read(
      {path}, {{"min_rating", "3"}, {"verified_only", "true"}, {"after", "5"}}, report);

  EXPECT_EQ(shown(data), "U: D");
  EXPECT_EQ(report.left_out.at("rating below min_rating"), 1);
  EXPECT_EQ(report.left_out.at("purchase not verified"), 1);
  EXPECT_EQ(report.left_out.at("not after the given time"), 1);
}

TEST(Amazon, SaysWhenReviewsDoNotTellWhetherTheyAreVerified) {
  const TempDir dir;
  const auto path =
      dir.write("r.json", R"({"reviewerID":"U","asin":"A","overall":4,"unixReviewTime":1})");

  EXPECT_THAT(error_of("amazon", {path}, {{"verified_only", "true"}}), HasSubstr("verified"));
  EXPECT_THAT(error_of("amazon", {path}, {{"after", "noon"}}), HasSubstr("noon"));
}

TEST(Amazon, Reads2023WithMilliseconds) {
  const TempDir dir;
  const auto csv =
      dir.write("x.csv", "user_id,parent_asin,rating,timestamp\nU,A,5.0,1588687728923\n");
  const auto json =
      dir.write("x.jsonl",
                "{\"rating\": 5.0, \"user_id\": \"U\", \"asin\": \"V\", \"parent_asin\": \"A\", "
                "\"timestamp\": 1588687728923}\n");

  for (const auto& path : {csv, json}) {
    const Dataset data = read("amazon", {path});
    EXPECT_EQ(shown(data), "U: A");
    EXPECT_EQ(data.history(0)[0].time, 1588687728);
  }
}

TEST(Amazon, TellsTheColumnOrdersOf2014And2018Apart) {
  const TempDir dir;
  const auto old = dir.write("a.csv", "A1B2C3D4E5F6,B00L59D9HG,5.0,1522540800\n");
  const auto recent = dir.write("b.csv", "B00L59D9HG,A1B2C3D4E5F6,5.0,1522540800\n");
  const auto unclear = dir.write("c.csv", "1,2,5.0,1522540800\n");

  EXPECT_EQ(shown(read("amazon", {old})), "A1B2C3D4E5F6: B00L59D9HG");
  EXPECT_EQ(shown(read("amazon", {recent})), "A1B2C3D4E5F6: B00L59D9HG");
  EXPECT_THAT(error_of("amazon", {unclear}), HasSubstr("--edition"));
  EXPECT_EQ(shown(read("amazon", {unclear}, {{"edition", "2018"}})), "2: 1");
}

TEST(Amazon, NamesKeyTypeAndLine) {
  const TempDir dir;
  const std::string good = R"({"reviewerID":"U","asin":"A","overall":5,"unixReviewTime":1})";
  EXPECT_THAT(
      error_of("amazon", {dir.write("a.json", good + "\n{\"reviewerID\":\"U\",\"asin\":\"A\","
                                                     "\"overall\":\"5\",\"unixReviewTime\":1}\n")}),
      AllOf(HasSubstr("a.json:2"), HasSubstr("\"overall\" is a string, expected a number")));
  EXPECT_THAT(error_of("amazon", {dir.write("b.json", R"({"reviewerID":"U"})")}),
              HasSubstr("\"asin\""));
  EXPECT_THAT(error_of("amazon", {dir.write("c.json", good + good)}), HasSubstr("c.json:1"));
  EXPECT_THAT(error_of("amazon", {dir.write("d.json", "[1]")}), HasSubstr("d.json:1"));
}

TEST(Mind, TakesClicksAsEvents) {
  const TempDir dir;
  dir.write("behaviors.tsv",
            "1\tU1\t11/12/2019 2:14:46 PM\tN1 N2\tN3-0 N4-1\n"
            "2\tU1\t11/12/2019 1:00:00 PM\tN1 N2\tN5-1\n");
  dir.write("news.tsv", "N4\tsports\tnfl\tTitle\tAbstract\tlink\t[]\t[]\n");

  const Dataset data = read("mind", {dir.path()});
  const Dataset before = read("mind", {dir.path()}, {{"history", "before"}});

  EXPECT_EQ(shown(data), "U1: N5 N4");
  EXPECT_EQ(item(data, "N4").text, "Title. Abstract. sports, nfl");
  EXPECT_EQ(shown(before), "U1: N1 N2 N5 N4");
  EXPECT_EQ(before.origin.at("history_end"), 1573516799);  // 2019-11-11 23:59:59
}

TEST(Mind, RefusesImpressionsWithoutLabels) {
  const TempDir dir;
  dir.write("behaviors.tsv", "1\tU1\t11/12/2019 2:14:46 PM\tN1\tN3 N4\n");

  EXPECT_THAT(error_of("mind", {dir.path()}), HasSubstr("no label"));
}

TEST(Taobao, MakesThemesTheCategories) {
  const TempDir dir;
  const auto log = dir.write("log.csv", "u1,a,7,20\nu1,b,8,10\nu2,a,8,5\n");

  const Dataset data = read("taobao", {log});

  EXPECT_EQ(shown(data), "u1: b a | u2: a");
  EXPECT_EQ(item(data, "a").categories, (std::vector<std::string>{"theme 7", "theme 8"}));
}

}  // namespace
}  // namespace kindling
