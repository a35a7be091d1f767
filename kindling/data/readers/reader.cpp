#include "kindling/data/readers/reader.h"

#include <algorithm>
#include <array>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/data/readers/formats.h"

namespace kindling {

namespace {

// One line a format.
constexpr std::array kReaders = {
    Reader{"sequences", "sequences.tsv [items.tsv], or a folder that holds them",
           describe_sequences, read_sequences},
    Reader{"csv", "interactions.csv [items.csv], or a folder with interactions.tsv and items.tsv",
           describe_csv, read_csv},
    Reader{"recbole", "a folder or NAME.inter [NAME.item]", describe_recbole, read_recbole},
    Reader{"movielens", "a folder of MovieLens 100K, 1M, 10M, 20M, 25M, 32M or latest",
           describe_movielens, read_movielens},
    Reader{"amazon", "reviews (.json, .json.gz or .csv) [metadata.json(.gz)], or a folder",
           describe_amazon, read_amazon},
    Reader{"mind", "a folder with behaviors.tsv and news.tsv, or several of them", describe_mind,
           read_mind},
    Reader{"taobao", "theme click log [item table]", describe_taobao, read_taobao},
};

}  // namespace

Json ImportReport::to_json() const {
  return {{"rows", rows},
          {"left_out", left_out},
          {"skipped", skipped},
          {"examples", examples},
          {"notes", notes}};
}

std::span<const Reader> all_readers() { return kReaders; }

const Reader& find_reader(const std::string& name) {
  const auto* const found = std::find_if(kReaders.begin(), kReaders.end(),
                                         [&](const Reader& reader) { return name == reader.name; });
  if (found != kReaders.end()) return *found;
  std::vector<std::string> names;
  names.reserve(kReaders.size());
  for (const Reader& reader : kReaders) names.emplace_back(reader.name);
  const auto near = nearest_name(name, names);
  throw Error(Kind::kNotFound, "unknown format " + quote(name), {},
              near ? "did you mean " + *near + "?" : "the formats are: " + join(names, ", "));
}

}  // namespace kindling
