// Which items a target is ranked against: the whole catalogue, or a fixed list a user.
//
//   const CandidateLists lists(shop, parse_candidates("popularity:199"));
//   lists.negatives(user, list);                       // 199 items that the user never took
//   lists.save("shop.candidates");                     // the same lists for somebody else's
//   program const CandidateLists same(shop, parse_candidates("shop.candidates"));
//
// A list is drawn for each user from a fixed seed, so every model and every run sees the same one:
// without replacement, by popularity^0.75 over all of the user's and everybody's events or
// uniformly, never an item of the user's own history (train, validation and test) [R12]. `released`
// draws as the code of RecGURU's authors does: with replacement, and the validation item may occur.
// Sampled candidates make every metric larger than ranking the whole catalogue does: results carry
// a label that says so.
//
// Source: specs/recguru.md section 6. Threads: const methods may be called from many threads.
// Errors: Error{kBadOption} for a name that is no draw, Error{kBadInput} when the catalogue is too
// small for the lists; Error{kCorrupt} for a file that is damaged or of another dataset.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kindling/data/dataset.h"
#include "kindling/data/negatives.h"
#include "kindling/data/split.h"
#include "kindling/eval/ranking.h"

namespace kindling {

struct CandidateOptions {
  std::string draw = "full";  // full, popularity, uniform or file
  std::size_t negatives = 0;  // a list; with the target there is one candidate more
  std::string path;           // of draw file
  std::uint64_t seed = 1;
  bool released = false;
};

// "full", "popularity:199", "uniform:19999", or the path of a file.
CandidateOptions parse_candidates(const std::string& text);
// "popularity:199" again.
std::string name_of(const CandidateOptions& options);

class CandidateLists {
 public:
  // `stream` keeps lists apart that must not be the same: "test", "validation". `target` must
  // outlive this object. Lists of up to 64 MiB in all are drawn at once, larger ones when asked
  // for.
  CandidateLists(const Dataset& target, const CandidateOptions& options,
                 const std::string& stream = "test");

  const CandidateOptions& options() const { return options_; }
  // The list of `user`, in the order of drawing.
  void negatives(UserId user, std::vector<ItemId>& list) const;
  // One file (docs/file_formats.md). Error{kUnsupported} when it would exceed 8 GiB.
  void save(const std::string& path) const;

 private:
  void draw(UserId user, std::vector<ItemId>& list) const;
  void check_room() const;
  void require_room(UserId user, std::size_t own) const;
  std::vector<ItemId> all() const;

  const Dataset* target_;
  CandidateOptions options_;
  Rng root_;
  std::vector<double> weights_;  // of items; 0: never drawn
  std::size_t drawable_ = 0;
  std::vector<AliasSampler> sampler_;  // one, or none for lists from a file
  std::vector<ItemId> stored_;         // [users, negatives], or empty
};

// rank_targets() among each query's own list. Queries need their user. Models whose score is a dot
// product are counted row by row without gathering; the others are asked query by query.
std::vector<RankedQuery> rank_among(const Recommender& model, const Domain& domain,
                                    std::span<const RankingQuery> queries,
                                    const CandidateLists& lists,
                                    const RankingOptions& options = {});

}  // namespace kindling
