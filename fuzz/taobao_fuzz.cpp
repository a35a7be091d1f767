// Theme click logs.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("log.csv", first);
  write("items.csv", second);
  read_twice("taobao", {folder() + "/log.csv", folder() + "/items.csv"});
  return 0;
}
