// MovieLens in its three editions.
#include "fuzz/reader_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling::fuzz;
  const auto [first, second] = two_files({reinterpret_cast<const char*>(data), size});
  // A first byte of 1 or 2 picks the older editions.
  const char kind = first.empty() ? 0 : first[0];
  const bool tabs = kind == 1;
  const bool colons = kind == 2;
  const auto rest = tabs || colons ? first.substr(1) : first;
  for (const char* old : {"u.data", "u.item", "ratings.dat", "movies.dat", "ratings.csv"}) {
    std::filesystem::remove(folder() + "/" + old);
  }
  write(tabs ? "u.data" : colons ? "ratings.dat" : "ratings.csv", rest);
  write(tabs ? "u.item" : colons ? "movies.dat" : "movies.csv", second);
  read_twice("movielens", {folder()});
  return 0;
}
