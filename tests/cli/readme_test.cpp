// The README's commands exist, and those for one's own data work as they stand.
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

// Words of the README's lines that start with `kindling`, without their comments.
std::vector<std::vector<std::string>> readme_commands() {
  std::vector<std::vector<std::string>> commands;
  for (LineReader lines(KINDLING_TEST_DATA "/../../README.md"); lines.next();) {
    const std::string line(lines.line().substr(0, lines.line().find('#')));
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.size() > 1 && words[0] == "kindling") commands.push_back(words);
  }
  return commands;
}

TEST(Readme, ShowsOnlyVerbsAndOptionsThatExist) {
  const auto commands = readme_commands();
  std::map<std::string, std::string> help;
  for (const auto& words : commands) {
    const std::string& verb = words[1];
    if (!help.contains(verb)) help[verb] = testing::run_kindling({verb, "--help"}).out;

    for (const auto& word : words) {
      if (word.starts_with("--")) {
        EXPECT_THAT(help[verb] + " ", ::testing::ContainsRegex(word + "[^a-z-]")) << verb;
      }
    }
  }
  EXPECT_GE(help.size(), 6U);
}

// Two shops of 40 users and 30 items without common ids: the files that the README names.
void write_readme_files(const testing::TempDir& dir) {
  std::string events = "user,item,time\n", items = "item,title\n";
  std::string inter = "user_id:token\titem_id:token\ttimestamp:float\n";
  std::string item = "item_id:token\ttitle:token_seq\n";
  for (int i = 0; i < 30; ++i) {
    items += "a" + std::to_string(i) + ",red lamp " + std::to_string(i % 7) + "\n";
    item += "b" + std::to_string(i) + "\tblue chair " + std::to_string(i % 5) + "\n";
  }
  for (int user = 0; user < 40; ++user) {
    for (int step = 0; step < 6; ++step) {
      const std::string number = std::to_string((user * 7 + step * 3) % 30);
      const std::string time = std::to_string(1000 + user * 10 + step);
      events += "u" + std::to_string(user) + ",a" + number + "," + time + "\n";
      inter += "v" + std::to_string(user) + "\tb" + number + "\t" + time + "\n";
    }
  }
  dir.write("events.csv", events);
  dir.write("items.csv", items);
  dir.write("other.inter", inter);
  dir.write("other.item", item);
}

TEST(Readme, ItsCommandsForOnesOwnDataRunAsTheyStand) {
  const testing::TempDir dir;
  write_readme_files(dir);
  std::size_t ran = 0;
  for (auto words : readme_commands()) {
    for (auto& word : words) {
      const bool path = word.starts_with("data/") || word.starts_with("models/") ||
                        word.ends_with(".csv") || word.find(".i") != std::string::npos;
      if (path && word != ".cache/minilm") word = dir.file(word);
      if (word == ".cache/minilm") word = "hash";  // weights are not there in a test
      if (word == "ID,ID") word = "a1,a2";
    }
    if (words[1] == "train") words.insert(words.end(), {"--set", "epochs=1", "--set", "dim=8"});
    words.erase(words.begin());
    const testing::Outcome outcome = testing::run_kindling(words);
    ASSERT_EQ(outcome.code, 0) << words[0] << ": " << outcome.err;
    ++ran;
    if (words[0] == "recommend") break;  // the block's last
  }
  EXPECT_GE(ran, 8U);
}

}  // namespace
}  // namespace kindling
