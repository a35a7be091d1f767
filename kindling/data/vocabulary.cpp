#include "kindling/data/vocabulary.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

constexpr std::size_t kLongestId = 256;
constexpr std::size_t kFirstSlots = 64;

// Eight bytes a step through a 64 x 64 -> 128 bit product, folded: ids are short, so this is two or
// three multiplications.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t hash_of(std::string_view text) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  std::uint64_t hash = 0xd6e8feb86659fd93ULL ^ text.size();
  while (text.size() > 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    hash = fold(hash ^ word, kOdd);
    text.remove_prefix(8);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  return fold(fold(hash ^ word, kOdd), 0xe7037ed1a0b428dbULL);
}

}  // namespace

std::optional<std::string> invalid_id(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kLongestId) {
    return fmt::format("has {} bytes, more than {}", name.size(), kLongestId);
  }
  const auto is_control = [](char byte) {
    const auto code = static_cast<unsigned char>(byte);
    return code < 0x20 || code == 0x7f;
  };
  if (std::any_of(name.begin(), name.end(), is_control)) return "holds a control character";
  if (!is_valid_utf8(name)) return "is not UTF-8";
  return std::nullopt;
}

// The slot of `name`, or the free slot where it belongs.
std::size_t Vocabulary::probe(std::string_view name, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32U);
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id_plus_one == 0) return at;
    if (slot.tag == tag && names_[slot.id_plus_one - 1] == name) return at;
  }
}

void Vocabulary::grow() {
  slots_.assign(std::max(kFirstSlots, slots_.size() * 2), Slot{});
  for (std::size_t id = 0; id < names_.size(); ++id) {
    const std::uint64_t hash = hash_of(names_[id]);
    slots_[probe(names_[id], hash)] = {static_cast<std::uint32_t>(hash >> 32U),
                                       static_cast<std::uint32_t>(id + 1)};
  }
}

std::uint32_t Vocabulary::add(std::string_view name, std::string_view place) {
  if (names_.size() * 2 >= slots_.size()) grow();
  const std::uint64_t hash = hash_of(name);
  Slot& slot = slots_[probe(name, hash)];
  if (slot.id_plus_one != 0) return slot.id_plus_one - 1;
  if (const auto why = invalid_id(name)) {
    throw Error(Kind::kBadInput, fmt::format("id {} {}", quote(name), *why), std::string(place));
  }
  if (names_.size() >= std::numeric_limits<std::uint32_t>::max() - 1) {
    throw Error(Kind::kUnsupported, "more than 4 billion different ids", std::string(place));
  }
  names_.emplace_back(name);
  const auto count = static_cast<std::uint32_t>(names_.size());
  slot = {static_cast<std::uint32_t>(hash >> 32U), count};
  return count - 1;
}

std::string Vocabulary::fingerprint() const {
  Sha256 hash;
  for (const std::string& name : names_) hash.add(fmt::format("{} ", name.size())).add(name);
  return hash.hex();
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view name) const {
  if (slots_.empty()) return std::nullopt;
  const Slot& slot = slots_[probe(name, hash_of(name))];
  if (slot.id_plus_one == 0) return std::nullopt;
  return slot.id_plus_one - 1;
}

}  // namespace kindling
