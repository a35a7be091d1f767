// Each user's list of negatives in a file, so that other programs can rank among the same ones.
//
//   save_candidate_file({.draw = "popularity:199", .negatives = 199, .lists = lists}, shop, path);
//   const CandidateFile file = load_candidate_file(path, shop);
//
// The format is described in docs/file_formats.md. Errors: Error{kCorrupt} for a file that is
// damaged, of another dataset, or whose lists hold what they must not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kindling/data/dataset.h"

namespace kindling {

struct CandidateFile {
  std::string draw;  // how the lists were drawn: "popularity:199"
  std::uint64_t seed = 0;
  bool released = false;      // drawn as RecGURU's code does [R12]
  std::size_t negatives = 0;  // of a list
  std::vector<ItemId> lists;  // [users, negatives]; zeros for users without events
};

// What a list of `user` must not hold, ascending: the items of the whole history [R12]; `released`:
// all but the last but one, which the code means to leave out and does not.
std::vector<ItemId> excluded_candidates(const Dataset& data, UserId user, bool released);

void save_candidate_file(const CandidateFile& file, const Dataset& data, const std::string& path);
CandidateFile load_candidate_file(const std::string& path, const Dataset& data);

}  // namespace kindling
