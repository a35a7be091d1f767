#include "kindling/data/vocabulary.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

TEST(Vocabulary, NumbersIdsInOrderOfFirstAppearance) {
  Vocabulary ids;

  EXPECT_EQ(ids.add("b"), 0U);
  EXPECT_EQ(ids.add("a"), 1U);
  EXPECT_EQ(ids.add("b"), 0U);

  EXPECT_EQ(ids.size(), 2U);
  EXPECT_EQ(ids.name(1), "a");
}

TEST(Vocabulary, FingerprintTellsNamesAndOrders) {
  const auto of = [](const std::vector<std::string>& names) {
    Vocabulary vocabulary;
    for (const auto& name : names) vocabulary.add(name);
    return vocabulary.fingerprint();
  };
  EXPECT_EQ(of({"a", "b"}), of({"a", "b"}));
  EXPECT_NE(of({"a", "b"}), of({"b", "a"}));
  EXPECT_NE(of({"a", "b"}), of({"a b"}));
  EXPECT_NE(of({"a", "b"}), of({"a"}));
}

TEST(Vocabulary, FindsNothingForAStranger) {
  Vocabulary ids;
  EXPECT_FALSE(ids.find("x").has_value());

  ids.add("a");

  EXPECT_FALSE(ids.find("x").has_value());
  EXPECT_EQ(ids.find("a"), 0U);
}

TEST(Vocabulary, KeepsManyIdsApart) {
  Vocabulary ids;
  for (int i = 0; i < 20000; ++i) ids.add("item " + std::to_string(i));

  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(ids.find("item " + std::to_string(i)), static_cast<std::uint32_t>(i));
  }
}

TEST(Vocabulary, CopyDoesNotDependOnTheOriginal) {
  Vocabulary copy;
  {
    Vocabulary ids;
    ids.add("a");
    copy = ids;
  }

  EXPECT_EQ(copy.find("a"), 0U);
}

TEST(Vocabulary, TakesAnyReadableUtf8) {
  Vocabulary ids;

  ids.add("a/b c?&%20");
  ids.add("Пользователь 😀");

  EXPECT_EQ(ids.size(), 2U);
}

TEST(Vocabulary, RefusesOddIdsAndNamesThePlace) {
  const std::string bad[] = {"", std::string(257, 'x'), "a\tb", std::string("a\0b", 3), "\xff\xfe"};
  for (const std::string& id : bad) {
    Vocabulary ids;
    try {
      ids.add(id, "events.csv:7");
      FAIL() << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kBadInput);
      EXPECT_EQ(error.place(), "events.csv:7");
    }
    EXPECT_EQ(ids.size(), 0U);
  }
}

}  // namespace
}  // namespace kindling
