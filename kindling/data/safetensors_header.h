// The header of a safetensors file, read event by event: memory stays at one entry however large
// the header claims to be, and the first broken rule ends the reading.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kindling/data/safetensors.h"

namespace kindling {

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // shape, elements and offsets consistent with each other
  std::map<std::string, std::string> metadata;
};

// Errors: Error{kBadInput} at `place`.
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& place);

}  // namespace kindling
