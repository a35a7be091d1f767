// A whole safetensors file: open it and read every tensor as numbers.
#include "fuzz/reader_fuzz.h"
#include "kindling/data/safetensors.h"

namespace kindling {

// C linkage holds inside of a namespace too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::write("x.safetensors", {reinterpret_cast<const char*>(data), size});
  try {
    const SafetensorsFile file(fuzz::folder() + "/x.safetensors");
    for (const TensorInfo& tensor : file.tensors()) {
      try {
        if (file.floats(tensor).size() != tensor.elements) std::abort();
      } catch (const Error& error) {
        fuzz::expect_users_mistake(error);
      }
    }
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}

}  // namespace kindling
