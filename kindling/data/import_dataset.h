// Files of the outside world -> a Dataset: reader, transforms, overlap removal. What
// `kindling import` and the experiments do.
//
//   ImportRequest request{.format = "csv", .paths = {"events.csv", "items.csv"}};
//   request.options["max_users"] = "5000";
//   const Imported shop = import_dataset(request);
//   save_dataset(shop.data, "data/shop");
//
// Errors: those of the reader, of the transforms and Error{kBadOption} for an option that neither
// knows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kindling/data/readers/reader.h"

namespace kindling {

struct ImportRequest {
  std::string format;                          // one of all_readers()
  std::vector<std::string> paths;              // files or folders
  std::map<std::string, std::string> options;  // of the reader and of the transforms
  std::string name;                            // empty: from the path
  std::string without;  // dataset directory whose users and items are left out [Z4]
};

struct Imported {
  Dataset data;
  ImportReport report;
  Json steps;  // what the transforms changed
};

Imported import_dataset(const ImportRequest& request);

}  // namespace kindling
