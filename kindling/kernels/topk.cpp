#include "kindling/kernels/topk.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kindling/base/error.h"

namespace kindling::kernels {

namespace {

void check_finite(float score, std::uint32_t item) {
  if (std::isfinite(score)) return;
  throw Error(Kind::kInternal,
              "the score of item " + std::to_string(item) + " is not a finite number", {},
              "look for NaN in the model's weights or vectors");
}

}  // namespace

void TopK::offer(float score, std::uint32_t item) {
  check_finite(score, item);
  const Scored newcomer{score, item};
  if (heap_.size() < k_) {
    heap_.push_back(newcomer);
    std::push_heap(heap_.begin(), heap_.end(), is_better);
  } else if (k_ > 0 && is_better(newcomer, heap_.front())) {
    std::pop_heap(heap_.begin(), heap_.end(), is_better);
    heap_.back() = newcomer;
    std::push_heap(heap_.begin(), heap_.end(), is_better);
  }
}

std::vector<Scored> TopK::sorted() const {
  std::vector<Scored> all = heap_;
  std::sort(all.begin(), all.end(), is_better);
  return all;
}

std::vector<Scored> topk_reference(const float* scores, std::size_t items, std::size_t k) {
  std::vector<Scored> all(items);
  for (std::size_t j = 0; j < items; ++j) {
    all[j] = {scores[j], static_cast<std::uint32_t>(j)};
    check_finite(scores[j], all[j].item);
  }
  std::sort(all.begin(), all.end(), is_better);
  all.resize(std::min(k, items));
  return all;
}

std::vector<Scored> topk(const float* scores, std::size_t items, std::size_t k) {
  TopK best(std::min(k, items));
  float threshold = best.threshold();
  for (std::size_t j = 0; j < items; ++j) {
    // Ids come in ascending order, so an equal score is never better; NaN must not slip past.
    if (scores[j] <= threshold && std::isfinite(scores[j])) continue;
    best.offer(scores[j], static_cast<std::uint32_t>(j));
    threshold = best.threshold();
  }
  return best.sorted();
}

}  // namespace kindling::kernels
