// Reading the files that describe a WordPiece tokenizer.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "kindling/text/wordpiece.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxVocabulary = 4'000'000;

[[noreturn]] void fail_unsupported(const std::string& what, const Json& value,
                                   const std::string& path) {
  throw Error(Kind::kUnsupported, fmt::format("{} {} is not supported", what, quote(value.dump())),
              path, "Kindling reads WordPiece tokenizers of the BERT family");
}

// The "type" of a part of tokenizer.json; null parts have none.
std::string type_of(const Json& tokenizer, const std::string& part, const std::string& path) {
  if (!tokenizer.contains(part) || tokenizer.at(part).is_null()) return {};
  return json_get_or<std::string>(tokenizer.at(part), "type", "", path);
}

// tokenizer.json without its vocabulary, and the vocabulary. Apart, because Json keeps the order of
// keys in a list, and a hundred thousand tokens in a list take minutes to search.
struct TokenizerFile {
  Json parts;
  nlohmann::json vocabulary;
};

TokenizerFile read_tokenizer_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = std::size_t{64} << 20U;
  constexpr int kMaxDepth = 64;
  const std::string text = read_file(path, kMaxBytes);
  nlohmann::json all;
  try {
    all = nlohmann::json::parse(text, [&](int depth, auto, auto&) {
      if (depth > kMaxDepth) throw Error(Kind::kBadInput, "JSON is nested too deeply", path);
      return true;
    });
  } catch (const nlohmann::json::exception& error) {
    throw Error(Kind::kBadInput, fmt::format("not valid JSON: {}", error.what()), path);
  }
  if (!all.is_object() || !all.contains("model") || !all["model"].is_object()) {
    throw Error(Kind::kBadInput, "\"model\" is missing or not an object", path);
  }
  nlohmann::json vocabulary = std::move(all["model"]["vocab"]);
  all["model"].erase("vocab");
  return {Json(all), std::move(vocabulary)};
}

std::vector<std::string> read_vocabulary(const nlohmann::json& vocab, const std::string& path) {
  if (!vocab.is_object() || vocab.size() > kMaxVocabulary) {
    throw Error(Kind::kBadInput, "model.vocab is missing, too large or not an object", path);
  }
  std::vector<std::string> tokens(vocab.size());
  std::vector<bool> seen(vocab.size(), false);
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= tokens.size() ||
        seen[id.get<std::size_t>()]) {
      throw Error(Kind::kBadInput,
                  fmt::format("token {} has id {}; ids must be 0 to {}, each once", quote(token),
                              quote(id.dump()), tokens.size() - 1),
                  path);
    }
    tokens[id.get<std::size_t>()] = token;
    seen[id.get<std::size_t>()] = true;
  }
  return tokens;
}

std::optional<bool> optional_bool(const Json& object, const std::string& key,
                                  const std::string& path) {
  if (!object.contains(key) || object.at(key).is_null()) return std::nullopt;
  return json_get<bool>(object, key, path);
}

NormalizeOptions read_normalizer(const Json& tokenizer, const std::string& path) {
  const std::string type = type_of(tokenizer, "normalizer", path);
  if (type.empty()) {
    return {.clean_text = false, .space_chinese = false, .lower_case = false, .strip_accents = {}};
  }
  const Json& part = tokenizer.at("normalizer");
  if (type != "BertNormalizer") fail_unsupported("normalizer", part.at("type"), path);
  NormalizeOptions options;
  options.clean_text = json_get_or<bool>(part, "clean_text", true, path);
  options.space_chinese = json_get_or<bool>(part, "handle_chinese_chars", true, path);
  options.lower_case = json_get_or<bool>(part, "lowercase", true, path);
  options.strip_accents = optional_bool(part, "strip_accents", path);
  return options;
}

std::vector<std::string> read_added(const Json& tokenizer, const std::string& path) {
  std::vector<std::string> special;
  if (!tokenizer.contains("added_tokens")) return special;
  for (const Json& token : tokenizer.at("added_tokens")) {
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
      if (json_get_or<bool>(token, flag, false, path)) {
        fail_unsupported(fmt::format("added token with {} =", flag), token, path);
      }
    }
    special.push_back(json_get<std::string>(token, "content", path));
  }
  return special;
}

// Switches that stand in tokenizer_config.json win over those of tokenizer.json, as in
// `transformers`.
void apply_switches(const Json& config, const std::string& path, NormalizeOptions& options) {
  options.lower_case = optional_bool(config, "do_lower_case", path).value_or(options.lower_case);
  options.space_chinese =
      optional_bool(config, "tokenize_chinese_chars", path).value_or(options.space_chinese);
  if (config.contains("strip_accents")) {
    options.strip_accents = optional_bool(config, "strip_accents", path);
  }
}

WordPiece read_tokenizer_json(const std::string& path, const Json& config,
                              const std::string& config_path, WordPieceOptions options,
                              const std::function<void(NormalizeOptions&)>& adjust) {
  const TokenizerFile file = read_tokenizer_file(path);
  const Json& tokenizer = file.parts;
  const Json& model = tokenizer.at("model");
  // Old files leave the model's type out; a WordPiece is told by its prefix.
  const auto type = json_get_or<std::string>(
      model, "type", model.contains("continuing_subword_prefix") ? "WordPiece" : "", path);
  if (type != "WordPiece") fail_unsupported("tokenizer model", Json(type), path);
  const std::string splitter = type_of(tokenizer, "pre_tokenizer", path);
  if (splitter != "BertPreTokenizer") fail_unsupported("pre_tokenizer", Json(splitter), path);
  options.normalize = read_normalizer(tokenizer, path);
  apply_switches(config, config_path, options.normalize);
  adjust(options.normalize);
  options.special = read_added(tokenizer, path);
  options.unknown = json_get_or<std::string>(model, "unk_token", options.unknown, path);
  options.continuing =
      json_get_or<std::string>(model, "continuing_subword_prefix", options.continuing, path);
  options.max_word =
      json_get_or<std::uint64_t>(model, "max_input_chars_per_word", options.max_word, path);
  return WordPiece(read_vocabulary(file.vocabulary, path), options, path);
}

WordPiece read_vocab_txt(const std::string& path, const WordPieceOptions& options) {
  constexpr std::size_t kMaxToken = 1024;
  std::vector<std::string> tokens;
  for (LineReader lines(path, kMaxToken); lines.next();) {
    if (tokens.size() == kMaxVocabulary) {
      throw Error(Kind::kBadInput, fmt::format("more than {} tokens", kMaxVocabulary), path);
    }
    tokens.emplace_back(lines.line());
  }
  return WordPiece(std::move(tokens), options, path);
}

// A token is written as a string or as {"content": …}.
void read_token(const Json& config, const std::string& key, const std::string& path,
                std::string& token) {
  if (!config.contains(key) || config.at(key).is_null()) return;
  const Json& value = config.at(key);
  token = value.is_object() ? json_get<std::string>(value, "content", path)
                            : json_get<std::string>(config, key, path);
}

}  // namespace

WordPiece read_wordpiece(const std::string& directory, bool lower_case) {
  const fs::path folder(directory);
  const std::string json_path = (folder / "tokenizer.json").string();
  const std::string text_path = (folder / "vocab.txt").string();
  const std::string config_path = (folder / "tokenizer_config.json").string();
  const bool has_json = fs::exists(json_path);
  if (!has_json && !fs::exists(text_path)) {
    throw Error(Kind::kNotFound, "neither tokenizer.json nor vocab.txt", directory,
                "a Hugging Face model directory of the BERT family is expected");
  }
  WordPieceOptions options;
  Json config = Json::object();
  if (fs::exists(config_path)) config = read_json(config_path);
  if (!config.is_object()) throw Error(Kind::kBadInput, "is not an object", config_path);
  const auto force_lower = [lower_case](NormalizeOptions& normalize) {
    if (!lower_case) return;
    normalize.strip_accents = normalize.strip_accents.value_or(normalize.lower_case);
    normalize.lower_case = true;
  };
  read_token(config, "unk_token", config_path, options.unknown);
  read_token(config, "cls_token", config_path, options.begin);
  read_token(config, "sep_token", config_path, options.end);
  if (!has_json) {
    apply_switches(config, config_path, options.normalize);
    force_lower(options.normalize);
    return read_vocab_txt(text_path, options);
  }
  return read_tokenizer_json(json_path, config, config_path, options, force_lower);
}

}  // namespace kindling
