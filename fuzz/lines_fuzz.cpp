// Lines of plain and gzip files: the input is read as it is, whatever its first bytes say.
#include "fuzz/reader_fuzz.h"
#include "kindling/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling;
  fuzz::write("lines", {reinterpret_cast<const char*>(data), size});
  try {
    std::uint64_t bytes = 0;
    // A low limit, so that long lines are met.
    for (LineReader lines(fuzz::folder() + "/lines", 4096); lines.next();) {
      bytes += lines.line().size();
    }
    (void)bytes;
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}
