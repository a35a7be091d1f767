#include "kindling/text/wordpiece.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling {

WordPiece::WordPiece(std::vector<std::string> vocabulary, WordPieceOptions options,
                     const std::string& place)
    : options_(std::move(options)), size_(vocabulary.size()) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    std::string& token = vocabulary[i];
    const auto id = static_cast<TokenId>(i);
    longest_ = std::max(longest_, token.size());
    if (token.starts_with(options_.continuing)) {
      continuing_.emplace(token.substr(options_.continuing.size()), id);
    }
    if (!tokens_.emplace(token, id).second) {
      throw Error(Kind::kBadInput, "token " + quote(token) + " appears twice", place);
    }
  }
  const auto need = [&](const std::string& token) {
    const std::optional<TokenId> id = find(token);
    if (!id) {
      throw Error(Kind::kBadInput, "the vocabulary lacks the token " + quote(token), place);
    }
    return *id;
  };
  unknown_ = need(options_.unknown);
  begin_ = need(options_.begin);
  end_ = need(options_.end);
  // A longer token wins over its own beginning; tokens that the vocabulary lacks cannot be found.
  std::erase_if(options_.special,
                [this](const std::string& token) { return token.empty() || !find(token); });
  std::sort(options_.special.begin(), options_.special.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::optional<TokenId> WordPiece::find(std::string_view token) const {
  const auto found = tokens_.find(token);
  return found == tokens_.end() ? std::nullopt : std::optional<TokenId>(found->second);
}

std::vector<TokenId> WordPiece::encode(std::string_view text, std::size_t limit) const {
  check(limit >= 2, "a token limit below 2 leaves no room for the begin and end tokens");
  std::vector<TokenId> ids = pieces(text, limit - 2);
  ids.insert(ids.begin(), begin_);
  ids.push_back(end_);
  return ids;
}

std::vector<TokenId> WordPiece::pieces(std::string_view text, std::size_t limit) const {
  std::vector<TokenId> ids;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size() && ids.size() < limit;) {
    const auto special =
        std::find_if(options_.special.begin(), options_.special.end(),
                     [&](const std::string& token) { return text.substr(i).starts_with(token); });
    if (special == options_.special.end()) {
      ++i;
      continue;
    }
    cut_text(text.substr(begin, i - begin), limit, ids);
    ids.push_back(*find(*special));
    i += special->size();
    begin = i;
  }
  if (ids.size() < limit) cut_text(text.substr(begin), limit, ids);
  if (ids.size() > limit) ids.resize(limit);
  return ids;
}

void WordPiece::cut_text(std::string_view text, std::size_t limit,
                         std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  const std::u32string normal = normalize(text, options_.normalize);
  for (const std::u32string_view word : split_words(normal)) {
    if (ids.size() >= limit) return;
    cut_word(word, ids);
  }
}

void WordPiece::cut_word(std::u32string_view word, std::vector<TokenId>& ids) const {
  if (word.size() > options_.max_word) {
    ids.push_back(unknown_);
    return;
  }
  const std::string bytes = to_utf8(word);
  const std::string_view all = bytes;
  const std::size_t first = ids.size();
  const auto is_boundary = [&](std::size_t at) {
    return at == all.size() || (static_cast<unsigned char>(all[at]) & 0xC0U) != 0x80U;
  };
  std::size_t start = 0;
  while (start < all.size()) {
    const Table& table = start == 0 ? tokens_ : continuing_;
    std::size_t end = std::min(all.size(), start + longest_);
    for (; end > start; --end) {
      if (!is_boundary(end)) continue;
      const auto found = table.find(all.substr(start, end - start));
      if (found == table.end()) continue;
      ids.push_back(found->second);
      break;
    }
    if (end == start) {  // no piece fits: the whole word is unknown
      ids.resize(first);
      ids.push_back(unknown_);
      return;
    }
    start = end;
  }
}

}  // namespace kindling
