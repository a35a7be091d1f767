#include "kindling/data/history_lengths.h"

#include <algorithm>

#include <fmt/format.h>

namespace kindling {

std::size_t longest_history(const Dataset& data) {
  std::size_t longest = 0;
  for (UserId user = 0; user < data.user_count(); ++user) {
    longest = std::max(longest, data.history(user).size());
  }
  return longest;
}

std::string why_nothing_is_asked(const Dataset& data, const std::string& protocol) {
  const std::string there =
      fmt::format("the longest of {} histories has {}", data.user_count(), longest_history(data));
  if (protocol == "leave-last-out") return "a user needs 2 events, " + there;
  if (protocol == "leave-two-out") return "a user needs 3 events, " + there;
  return "a user needs an event before the split and one after it, " + there;
}

}  // namespace kindling
