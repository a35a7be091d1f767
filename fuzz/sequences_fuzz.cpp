// Sequences and their item table.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("sequences.tsv", first);
  write("items.tsv", second);
  read_twice("sequences", {folder()});
  return 0;
}
