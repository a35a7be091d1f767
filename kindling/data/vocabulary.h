// Outside id <-> dense id, in order of first appearance.
//
//   Vocabulary users;
//   const std::uint32_t anna = users.add("anna", "ratings.csv:2");   // 0
//   users.find("anna");                                             // 0; nothing for a stranger
//
// A table of its own instead of std::unordered_map: readers look up two ids a row, and one probe
// into a flat array (hash kept beside the dense id) is what lets them keep a million rows a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindling {

class Vocabulary {
 public:
  // The dense id of `name`, added when new. Throws Error{kBadInput} for an id that is empty, longer
  // than 256 bytes, not UTF-8, or holds a control character; `place` is named in the message.
  std::uint32_t add(std::string_view name, std::string_view place = {});
  std::optional<std::uint32_t> find(std::string_view name) const;
  // A reference holds until the next add().
  const std::string& name(std::uint32_t id) const { return names_.at(id); }
  std::size_t size() const { return names_.size(); }
  // A hash of the names in their order (SHA-256, hexadecimal): equal where dense ids mean the same.
  std::string fingerprint() const;

 private:
  // Half of the hash beside the id: most probes of strangers end without touching a string.
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t id_plus_one = 0;  // 0: free
  };
  std::size_t probe(std::string_view name, std::uint64_t hash) const;
  void grow();

  std::vector<std::string> names_;
  std::vector<Slot> slots_;  // a power of two, at most half full
};

// Why `name` cannot be an id ("is empty", "is not UTF-8", …); nothing when it can.
std::optional<std::string> invalid_id(std::string_view name);

}  // namespace kindling
