// The README's commands exist: every verb and every option that it shows is known to the program.
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "tests/support/process.h"

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
        EXPECT_THAT(help[verb], ::testing::HasSubstr(word)) << verb;
      }
    }
  }
  EXPECT_GE(help.size(), 6U);
}

}  // namespace
}  // namespace kindling
