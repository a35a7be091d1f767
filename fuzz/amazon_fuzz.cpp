// Reviews and metadata as JSON lines, ratings as CSV.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  write("reviews.json", first);
  write("meta.json", second);
  write("ratings.csv", first);
  read_twice("amazon", {folder() + "/reviews.json", folder() + "/meta.json"});
  read_twice("amazon", {folder() + "/ratings.csv"});
  return 0;
}
