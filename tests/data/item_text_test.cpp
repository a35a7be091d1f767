#include "kindling/data/item_text.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

TEST(CleanText, StripsTagsAndEntitiesAndCollapsesSpace) {
  EXPECT_EQ(clean_text("<b>Bright</b> &amp;\n  small<br/>lamp&#8217;s &#x41;&nbsp;"),
            "Bright & small lamp\xE2\x80\x99s A");
  EXPECT_EQ(clean_text("a<script>if (a < b) {}</script>b<!-- no -->c"), "a b c");
}

TEST(CleanText, KeepsWhatOnlyLooksLikeMarkup) {
  EXPECT_EQ(clean_text("1 < 2 and <3 AT&T &unknown; a<b"), "1 < 2 and <3 AT&T &unknown; a<b");
}

TEST(CleanText, DecodesOnce) { EXPECT_EQ(clean_text("&amp;lt;"), "&lt;"); }

TEST(ParseStringList, ReadsPythonAndJsonLists) {
  EXPECT_EQ(parse_string_list(R"(['it\'s', "b", ''])"),
            (std::vector<std::string>{"it's", "b", ""}));
  EXPECT_EQ(parse_string_list("[]"), std::vector<std::string>{});
}

TEST(ParseStringList, LeavesOtherTextAlone) {
  for (const char* text : {"plain", "[a]", "['a'", "['a' 'b']", "['a]", "[1, 2]"}) {
    EXPECT_FALSE(parse_string_list(text).has_value()) << text;
  }
  EXPECT_EQ(flatten_list("['', 'a', 'b']"), "a b");
}

TEST(MakeItem, JoinsTheFieldsThatAreThere) {
  const RawItem raw{"Desk lamp", "['A <b>bright</b> one.']", {"Home", "Light"}, "Acme"};

  EXPECT_EQ(make_item(raw, {}).text, "Desk lamp. A bright one. Home, Light. Acme");
  EXPECT_EQ(make_item(raw, {"brand,title"}).text, "Acme. Desk lamp");
  EXPECT_EQ(make_item({}, {}).text, "");
}

TEST(MakeItem, LeavesOutAFieldThatRepeatsAnother) {
  EXPECT_EQ(make_item({"Same", "Same", {}, ""}, {}).text, "Same");
}

TEST(MakeItem, RefusesAnUnknownField) { EXPECT_THROW(make_item({}, {"title,price"}), Error); }

TEST(NormalisedText, KeepsLettersAndDigitsOnly) {
  EXPECT_EQ(normalised_text("  Desk-Lamp, 2.0! "), "desk lamp 2 0");
}

}  // namespace
}  // namespace kindling
