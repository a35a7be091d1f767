// Readers: files of the outside world -> Dataset. One table lists them all.
//
//   ImportReport report;
//   Dataset shop = find_reader("csv").read({"events.csv", "items.csv"}, {{"user", "customer"}},
//                                          report);
//   report.to_json();    // rows read, left out and skipped, with reasons
//
// A reader gives every user, item and event that the files hold; filters (repeats, short
// histories, k-core) come afterwards, in transforms.h. Nothing is dropped in silence: what an
// option leaves out and what is skipped as unreadable is counted by reason in the report.
// Errors: Error{kBadInput} with file:line, the value and a hint; Error{kBadOption};
// Error{kNotFound}.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/base/options.h"
#include "kindling/data/dataset.h"

namespace kindling {

// Option names and values as the user gave them.
using ReaderValues = std::vector<std::pair<std::string, std::string>>;

struct ImportReport {
  std::int64_t rows = 0;  // rows or records of interactions and items that were read
  std::map<std::string, std::int64_t> left_out;  // by an option or a documented rule
  std::map<std::string, std::int64_t> skipped;   // unreadable, under bad_rows=skip; by file
  std::vector<std::string> examples;             // the first few messages of skipped rows
  std::vector<std::string> notes;                // what was detected ("2018 edition, …")

  Json to_json() const;
};

struct Reader {
  const char* name;
  const char* files;  // what PATH... is, for the help text
  std::vector<OptionInfo> (*describe)();
  Dataset (*read)(const std::vector<std::string>& paths, const ReaderValues& values,
                  ImportReport& report);
};

std::span<const Reader> all_readers();
// Error{kNotFound} with the nearest name.
const Reader& find_reader(const std::string& name);

}  // namespace kindling
