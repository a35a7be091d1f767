// Dense ids: 0 … count-1 inside one Dataset. Outside ids (strings) live in its vocabularies.
#pragma once

#include <cstdint>

namespace kindling {

using UserId = std::uint32_t;
using ItemId = std::uint32_t;

}  // namespace kindling
