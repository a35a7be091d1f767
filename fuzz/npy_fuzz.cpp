// A whole .npy file.
#include "fuzz/reader_fuzz.h"
#include "kindling/data/npy.h"

namespace kindling {

// C linkage holds inside of a namespace too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::write("x.npy", {reinterpret_cast<const char*>(data), size});
  try {
    const Matrix matrix = read_npy(fuzz::folder() + "/x.npy");
    if (matrix.rows() * matrix.cols() * 2 > size) std::abort();  // f2 is the smallest type
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}

}  // namespace kindling
