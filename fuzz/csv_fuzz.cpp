// Delimited interactions and items with guessed columns.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("interactions.csv", first);
  write("items.csv", second);
  read_twice("csv", {folder()});
  return 0;
}
