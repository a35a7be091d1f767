#include "kindling/text/hashing.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>

#include <fmt/format.h>

#include "kindling/base/hash.h"
#include "kindling/base/parallel.h"
#include "kindling/text/terms.h"

namespace kindling {

namespace {

// FNV-1a over code points, finished by splitmix64's mixer so that all bits may be used.
std::uint64_t hash_feature(std::u32string_view feature, std::uint64_t kind) {
  std::uint64_t hash = 0xCBF29CE484222325U ^ kind;
  for (const char32_t c : feature) hash = (hash ^ c) * 0x100000001B3U;
  hash = (hash ^ (hash >> 30U)) * 0xBF58476D1CE4E5B9U;
  hash = (hash ^ (hash >> 27U)) * 0x94D049BB133111EBU;
  return hash ^ (hash >> 31U);
}

void encode_text(const std::string& text, std::span<float> out) {
  constexpr std::uint64_t kWord = 1;
  constexpr std::uint64_t kPiece = 2;
  constexpr std::size_t kShortest = 3;
  constexpr std::size_t kLongest = 5;
  std::unordered_map<std::uint64_t, int> counts;
  for (const std::u32string& term : text_terms(text)) {
    ++counts[hash_feature(term, kWord)];
    const std::u32string marked = U"<" + term + U">";
    for (std::size_t size = kShortest; size <= kLongest; ++size) {
      for (std::size_t i = 0; i + size <= marked.size(); ++i) {
        ++counts[hash_feature(std::u32string_view(marked).substr(i, size), kPiece)];
      }
    }
  }
  // The order of an unordered map would show in the last bit of the sums.
  std::vector<std::pair<std::uint64_t, int>> features(counts.begin(), counts.end());
  std::sort(features.begin(), features.end());
  for (const auto& [hash, count] : features) {
    const auto weight = 1.0F + std::log(static_cast<float>(count));
    out[(hash >> 1U) % out.size()] += (hash & 1U) != 0 ? weight : -weight;
  }
  double square = 0;
  for (const float value : out) square += static_cast<double>(value) * value;
  if (square == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(square));
  for (float& value : out) value *= scale;
}

}  // namespace

Matrix HashingEncoder::encode(std::span<const std::string> texts) const {
  Matrix out(texts.size(), dim_);
  constexpr std::size_t kGrain = 64;
  parallel_for(texts.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) encode_text(texts[i], out.row(i));
  });
  return out;
}

std::string HashingEncoder::fingerprint() const { return sha256(fmt::format("hash 1 {}", dim_)); }

}  // namespace kindling
