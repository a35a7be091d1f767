// Atomic files.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("a.inter", first);
  write("a.item", second);
  read_twice("recbole", {folder()});
  return 0;
}
