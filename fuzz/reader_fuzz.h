// What the reader targets share: write the input to files in memory, read them, and accept either
// a dataset or an Error that is the user's to mend.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <stdlib.h>

#include "kindling/base/error.h"
#include "kindling/data/readers/reader.h"

namespace kindling::fuzz {

// One folder for the whole process; /dev/shm keeps the disk out of it.
inline const std::string& folder() {
  static const std::string path = [] {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/kindling-fuzz-XXXXXX"
                                                           : "/tmp/kindling-fuzz-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }();
  return path;
}

inline void write(const std::string& name, std::string_view content) {
  std::ofstream(folder() + "/" + name, std::ios::binary) << content;
}

// Everything from "\n%%\n" on is the second file.
inline std::pair<std::string_view, std::string_view> two_files(std::string_view input) {
  constexpr std::string_view kMark = "\n%%\n";
  const std::size_t at = input.find(kMark);
  if (at == std::string_view::npos) return {input, {}};
  return {input.substr(0, at + 1), input.substr(at + kMark.size())};
}

inline void expect_users_mistake(const Error& error) {
  if (exit_code(error.kind()) == 2) return;
  std::fprintf(stderr, "not a user's mistake: %s\n", error.what());
  std::abort();
}

inline void read(const char* format, const std::vector<std::string>& paths,
                 const ReaderValues& values = {}) {
  try {
    ImportReport report;
    const Dataset data = find_reader(format).read(paths, values, report);
    if (data.item_count() == 0) std::abort();
  } catch (const Error& error) {
    expect_users_mistake(error);
  }
}

// With bad rows stopping the import, and with bad rows skipped.
inline void read_twice(const char* format, const std::vector<std::string>& paths) {
  read(format, paths);
  read(format, paths, {{"bad_rows", "skip"}});
}

}  // namespace kindling::fuzz
