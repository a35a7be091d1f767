// docs/decisions/README.md names options, defaults and tests: they are there.
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "kindling/base/text.h"
#include "tests/support/process.h"

namespace kindling {
namespace {

using ::testing::Contains;
using ::testing::Pair;

const std::string kRoot = KINDLING_TEST_DATA "/../..";

// Decision or defect -> everything in `backquotes` of its row.
std::map<std::string, std::vector<std::string>> rows_of_the_tables() {
  const std::regex quoted("`([^`]+)`");
  std::map<std::string, std::vector<std::string>> rows;
  for (LineReader lines(kRoot + "/docs/decisions/README.md"); lines.next();) {
    const std::string line(lines.line());
    const auto cells = split(line, '|');
    if (cells.size() < 4 || trim(cells[1]).empty() || trim(cells[1]).starts_with("---")) continue;
    auto& words = rows[std::string(trim(cells[1]))];
    for (std::sregex_iterator found(line.begin(), line.end(), quoted), end; found != end; ++found) {
      words.push_back((*found)[1]);
    }
  }
  return rows;
}

std::set<std::string> all_tests() {
  const std::regex heads("TEST(?:_F|_P)?\\((\\w+), (\\w+)\\)");
  std::set<std::string> tests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot + "/tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read_file(entry.path().string());
    for (std::sregex_iterator found(text.begin(), text.end(), heads), end; found != end; ++found) {
      tests.insert((*found)[1].str() + "." + (*found)[2].str());
    }
  }
  return tests;
}

// Options of a model with their defaults, as the program tells them.
std::map<std::string, std::string> options_of(const std::string& model) {
  const auto said = testing::run_kindling({"models", "--describe", model, "--json"});
  EXPECT_EQ(said.code, 0) << said.err;
  std::map<std::string, std::string> options;
  const Json described = parse_json(said.out, model);
  for (const Json& option : described.at("options")) {
    const Json& value = option.at("default");
    options[option.at("name")] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return options;
}

TEST(Decisions, AllHaveARow) {
  const auto rows = rows_of_the_tables();

  for (int z = 1; z <= 23; ++z) EXPECT_TRUE(rows.contains("Z" + std::to_string(z))) << z;
  for (int r = 1; r <= 15; ++r) EXPECT_TRUE(rows.contains("R" + std::to_string(r))) << r;
}

TEST(Decisions, NameOptionsThatExistWithTheirDefaults) {
  const std::regex of_model("(\\w+) (\\w+)=(\\S+)");
  const std::regex of_verb("kindling (\\w+) (--[a-z-]+)");
  std::map<std::string, std::string> help;
  std::map<std::string, std::map<std::string, std::string>> options;
  int checked = 0;
  for (const auto& [decision, words] : rows_of_the_tables()) {
    for (const std::string& word : words) {
      std::smatch parts;
      if (std::regex_match(word, parts, of_verb)) {
        const std::string verb = parts[1];
        if (!help.contains(verb)) help[verb] = testing::run_kindling({verb, "--help"}).out;
        EXPECT_THAT(help[verb] + " ", ::testing::ContainsRegex(parts[2].str() + "[^a-z-]"))
            << decision;
        ++checked;
      } else if (std::regex_match(word, parts, of_model)) {
        const std::string model = parts[1];
        if (!options.contains(model)) options[model] = options_of(model);
        EXPECT_THAT(options[model], Contains(Pair(parts[2].str(), parts[3].str()))) << decision;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 60);
}

TEST(Decisions, NameTestsThatExist) {
  const std::set<std::string> tests = all_tests();
  const std::regex name("[A-Z]\\w+\\.[A-Z]\\w+");
  for (const auto& [decision, words] : rows_of_the_tables()) {
    int named = 0;
    for (const std::string& word : words) {
      if (!std::regex_match(word, name)) continue;
      EXPECT_THAT(tests, Contains(word)) << decision;
      ++named;
    }
    EXPECT_GE(named, 1) << decision << " has no test";
  }
}

}  // namespace
}  // namespace kindling
