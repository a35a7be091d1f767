// Outside id <-> dense id, in order of first appearance.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace kindling {

class Vocabulary {
 public:
  // The dense id of `name`, added when new. Throws Error{kBadInput} for an id that is empty, longer
  // than 256 bytes, not UTF-8, or holds a control character; `place` is named in the message.
  std::uint32_t add(std::string_view name, std::string_view place = {});
  std::optional<std::uint32_t> find(std::string_view name) const;
  const std::string& name(std::uint32_t id) const { return names_.at(id); }
  std::size_t size() const { return names_.size(); }

 private:
  std::deque<std::string>
      names_;  // a deque does not move its strings, so the views below stay valid
  std::unordered_map<std::string_view, std::uint32_t> ids_;
};

}  // namespace kindling
