// Every prefix of a small valid file of each format is read or refused as the user's mistake.
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/readers/reader.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

struct Sample {
  const char* format;
  const char* name;  // the file that is cut
  const char* content;
  const char* other;  // a file beside it, or ""
  const char* other_content;
};

const std::vector<Sample>& samples() {
  static const std::vector<Sample> kSamples = {
      {"sequences", "sequences.tsv", "u1\ta b\nu2\tb a\n", "items.tsv", "asin\ttitle\na\tA\n"},
      {"sequences", "items.tsv", "asin\ttitle\tattributes\na\tA <b>x</b> &amp;\tB|#2|C\n",
       "sequences.tsv", "u\ta\n"},
      {"csv", "interactions.csv", "user,item,time\n\"u1\",\"a,b\",1522540800\nu2,c,2018-04-01\n",
       "", ""},
      {"csv", "items.csv", "item,title,categories\na,\"x \"\"y\"\"\",\"['A', 'B']\"\n",
       "interactions.csv", "user,item\nu,a\n"},
      {"recbole", "x.inter", "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t2015-06-23\n",
       "", ""},
      {"recbole", "x.item", "item_id:token\ttitle:token_seq\n2\tT\n", "x.inter",
       "user_id:token\titem_id:token\n1\t2\n"},
      {"movielens", "u.data", "1\t31\t3\t881250949\n", "", ""},
      {"movielens", "ratings.dat", "1::7::5::978300760\n", "movies.dat", "7::S::A|B\n"},
      {"movielens", "ratings.csv", "userId,movieId,rating,timestamp\n1,7,5,978300760\n", "", ""},
      {"movielens", "movies.csv", "movieId,title,genres\n7,\"Net, The\",A|B\n", "ratings.csv",
       "userId,movieId,rating,timestamp\n1,7,5,978300760\n"},
      {"amazon", "r.json",
       "{\"reviewerID\":\"U\",\"asin\":\"A\",\"overall\":5,\"unixReviewTime\":1}\n", "", ""},
      {"amazon", "meta.json",
       "{\"asin\":\"A\",\"title\":\"\\u00e9\",\"category\":[\"X\",[\"Y\"]]}\n", "r.json",
       "{\"reviewerID\":\"U\",\"asin\":\"A\",\"overall\":5,\"unixReviewTime\":1}\n"},
      {"amazon", "meta.json", "{'asin': 'A', 'title': \"it's\", 'x': None, 'c': [['a']]}\n",
       "r.json", "{\"reviewerID\":\"U\",\"asin\":\"A\",\"overall\":5,\"unixReviewTime\":1}\n"},
      {"amazon", "ratings.csv", "B00L59D9HG,A1B2C3D4E5F6,5.0,1522540800\n", "", ""},
      {"mind", "behaviors.tsv", "1\tU1\t11/12/2019 2:14:46 PM\tN1 N2\tN3-0 N4-1\n", "", ""},
      {"mind", "news.tsv", "N4\tsports\tnfl\tTitle\tAbstract\tlink\t[]\t[]\n", "behaviors.tsv",
       "1\tU1\t11/12/2019 2:14:46 PM\t\tN4-1\n"},
      {"taobao", "log.csv", "user_id,item_id,theme_id,time\n1,2,3,1522540800\n", "", ""},
  };
  return kSamples;
}

TEST(Readers, ReadOrRefuseEveryPrefix) {
  for (const Sample& sample : samples()) {
    const TempDir dir;
    if (*sample.other != '\0') dir.write(sample.other, sample.other_content);
    const std::string content = sample.content;
    const bool takes_file = std::string(sample.format) == "taobao";
    const std::string path = takes_file ? dir.file(sample.name) : dir.path();
    for (std::size_t length = 0; length <= content.size(); ++length) {
      dir.write(sample.name, content.substr(0, length));
      try {
        ImportReport report;
        const Dataset data = find_reader(sample.format).read({path}, {}, report);
        EXPECT_GT(data.item_count(), 0U);
      } catch (const Error& error) {
        EXPECT_EQ(exit_code(error.kind()), 2) << error.what();
        EXPECT_FALSE(error.place().empty()) << error.what();
        EXPECT_LT(length, content.size()) << sample.format << " " << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace kindling
