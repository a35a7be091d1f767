#include "kindling/text/wordpiece.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

const std::string kFixture = std::string(KINDLING_TEST_DATA) + "/wordpiece/";

std::vector<std::string> fixture_vocabulary() {
  std::vector<std::string> tokens;
  for (LineReader lines(kFixture + "vocab.txt.gz"); lines.next();)
    tokens.emplace_back(lines.line());
  return tokens;
}

WordPiece tiny() {
  return WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "!", "a",
                    "##ff", "aff"},
                   {}, "tiny");
}

void expect_fixture_ids(bool lower_case, std::size_t column) {
  WordPieceOptions options;
  options.normalize.lower_case = lower_case;
  const WordPiece tokenizer(fixture_vocabulary(), options, kFixture);
  constexpr std::size_t kNoLimit = 10'000'000;
  std::size_t count = 0;
  std::size_t wrong = 0;
  for (LineReader lines(kFixture + "strings.jsonl.gz"); lines.next(); ++count) {
    const Json line = parse_json(lines.line(), lines.place());
    const auto text = line.at(0).get<std::string>();
    const auto wanted = line.at(column).get<std::vector<TokenId>>();

    const std::vector<TokenId> ids = tokenizer.pieces(text, kNoLimit);

    if (ids != wanted && ++wrong <= 3) ADD_FAILURE() << lines.place() << ": " << quote(text, 300);
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(count, 10'000U);
}

TEST(WordPiece, AgreesWithTheReferenceOnTenThousandStringsUncased) { expect_fixture_ids(true, 1); }

TEST(WordPiece, AgreesWithTheReferenceOnTenThousandStringsCased) { expect_fixture_ids(false, 2); }

TEST(WordPiece, CutsWordsIntoTheLongestPieces) {
  EXPECT_EQ(tiny().encode("Unaffable!", 16), (std::vector<TokenId>{2, 5, 6, 7, 8, 3}));
}

TEST(WordPiece, MakesAWordUnknownWhenItsEndHasNoPiece) {
  EXPECT_EQ(tiny().pieces("unaffx aff", 16), (std::vector<TokenId>{1, 11}));
}

TEST(WordPiece, KeepsBeginAndEndWhenItCuts) {
  EXPECT_EQ(tiny().encode("a a a a a", 4), (std::vector<TokenId>{2, 9, 9, 3}));
}

TEST(WordPiece, EncodesAnEmptyTextAsBeginAndEnd) {
  EXPECT_EQ(tiny().encode("", 8), (std::vector<TokenId>{2, 3}));
}

TEST(WordPiece, TakesSpecialTokensFromTheText) {
  EXPECT_EQ(tiny().pieces("a[SEP]a[sep]", 16), (std::vector<TokenId>{9, 3, 9, 1, 1, 1}));
}

TEST(WordPiece, SurvivesBytesThatAreNotUtf8) {
  EXPECT_EQ(tiny().pieces("a\xFF\xC3 a\xED\xA0\x80", 16), (std::vector<TokenId>{9, 9}));
}

TEST(WordPiece, RefusesAVocabularyWithoutItsSpecialTokens) {
  try {
    WordPiece({"[UNK]", "a"}, {}, "vocab.txt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("[CLS]"), std::string::npos);
  }
}

constexpr const char* kTokenizer = R"({"version":"1.0",
  "added_tokens":[{"id":2,"special":true,"content":"[CLS]","single_word":false,"lstrip":false,
                   "rstrip":false,"normalized":false}],
  "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
                "strip_accents":null,"lowercase":LOWER},
  "pre_tokenizer":{"type":"BertPreTokenizer"},
  "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
           "max_input_chars_per_word":5,
           "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":4,"A":5,"##b":6}}})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(WordPieceFiles, ReadsTokenizerJson) {
  const TempDir dir;
  dir.write("tokenizer.json", with(kTokenizer, "LOWER", "false"));

  const WordPiece tokenizer = read_wordpiece(dir.path());

  EXPECT_EQ(tokenizer.pieces("A ab abbbbb", 16), (std::vector<TokenId>{5, 4, 6, 1}));
}

TEST(WordPieceFiles, LetsTokenizerConfigDecideTheCase) {
  const TempDir dir;
  dir.write("tokenizer.json", with(kTokenizer, "LOWER", "false"));
  dir.write("tokenizer_config.json", R"({"do_lower_case": true})");

  EXPECT_EQ(read_wordpiece(dir.path()).pieces("A", 16), std::vector<TokenId>{4});
}

TEST(WordPieceFiles, ReadsVocabTxtWhenThereIsNothingElse) {
  const TempDir dir;
  dir.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\r\na\n##b\n");

  EXPECT_EQ(read_wordpiece(dir.path()).encode("AB", 16), (std::vector<TokenId>{2, 5, 6, 3}));
}

TEST(WordPieceFiles, RefusesOtherTokenizersByName) {
  const TempDir dir;
  dir.write("tokenizer.json",
            with(with(kTokenizer, "LOWER", "true"), "\"WordPiece\"", "\"Unigram\""));
  try {
    read_wordpiece(dir.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("Unigram"), std::string::npos);
  }
}

TEST(WordPieceFiles, RefusesIdsWithHolesOrTwice) {
  const TempDir dir;
  for (const char* id : {"7", "3", "-1", "1.5", "\"x\"", "18446744073709551615"}) {
    dir.write("tokenizer.json",
              with(with(kTokenizer, "LOWER", "true"), "\"##b\":6", std::string("\"##b\":") + id));
    EXPECT_THROW(read_wordpiece(dir.path()), Error) << id;
  }
}

TEST(WordPieceFiles, RefusesEveryPrefixOfAValidFile) {
  const TempDir dir;
  const std::string whole = with(kTokenizer, "LOWER", "true");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    dir.write("tokenizer.json", whole.substr(0, size));
    EXPECT_THROW(read_wordpiece(dir.path()), Error) << size;
  }
}

}  // namespace
}  // namespace kindling
