// The k best scores with their ids, best first. Equal scores: the smaller id first, so that the
// list does not depend on batches or threads.
//
//   TopK best(10);
//   best.offer(score, item);          // any number of times, in any order
//   for (const Scored& s : best.sorted()) …
//
// Errors: Error{kInternal} for a score that is NaN or infinite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kindling::kernels {

struct Scored {
  float score = 0.0F;
  std::uint32_t item = 0;
  friend bool operator==(const Scored&, const Scored&) = default;
};

// A larger score is better; among equals the smaller id.
inline bool is_better(const Scored& a, const Scored& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) { heap_.reserve(k); }

  void offer(float score, std::uint32_t item);
  // The score that a newcomer must reach; -infinity until k are held.
  float threshold() const {
    return heap_.size() < k_ || k_ == 0 ? -std::numeric_limits<float>::infinity()
                                        : heap_.front().score;
  }
  std::vector<Scored> sorted() const;

 private:
  std::size_t k_;
  std::vector<Scored> heap_;  // the worst of the kept ones in front
};

// A full sort: the answer the fast one is held to.
std::vector<Scored> topk_reference(const float* scores, std::size_t items, std::size_t k);
std::vector<Scored> topk(const float* scores, std::size_t items, std::size_t k);

}  // namespace kindling::kernels
