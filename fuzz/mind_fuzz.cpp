// Behaviors and news.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("behaviors.tsv", first);
  write("news.tsv", second);
  read_twice("mind", {folder()});
  read("mind", {folder()}, {{"history", "before"}});
  return 0;
}
