#include "kindling/eval/candidates.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/text.h"
#include "kindling/data/candidate_file.h"

namespace kindling {

namespace {

constexpr double kPower = 0.75;  // of the item counts [R12]
constexpr std::size_t kKeepInMemory = std::size_t{64} << 20U;
constexpr std::size_t kMostInFile = std::size_t{8} << 30U;

// A set of items in an array of twice its size: no memory is asked for between users.
class TakenItems {
 public:
  void reset(std::size_t most) {
    std::size_t size = 16;
    while (size < 2 * most) size *= 2;
    slots_.assign(size, kFree);
  }
  // Whether `item` was not there before.
  bool insert(ItemId item) {
    std::size_t at = (item * std::size_t{0x9E3779B9U}) & (slots_.size() - 1);
    while (slots_[at] != kFree) {
      if (slots_[at] == item) return false;
      at = (at + 1) & (slots_.size() - 1);
    }
    slots_[at] = item;
    return true;
  }
  bool contains(ItemId item) const {
    std::size_t at = (item * std::size_t{0x9E3779B9U}) & (slots_.size() - 1);
    while (slots_[at] != kFree && slots_[at] != item) at = (at + 1) & (slots_.size() - 1);
    return slots_[at] == item;
  }

 private:
  static constexpr ItemId kFree = ~ItemId{0};
  std::vector<ItemId> slots_;
};

// Successive draws without replacement, all at once: the smallest of Exp(1)/weight come first
// (Efraimidis & Spirakis 2006). For lists that take most of what there is.
void race(const std::vector<double>& weights, const TakenItems& taken, std::size_t count, Rng& rng,
          std::vector<ItemId>& list) {
  std::vector<std::pair<double, ItemId>> arrivals;
  for (ItemId item = 0; item < weights.size(); ++item) {
    if (weights[item] <= 0.0 || taken.contains(item)) continue;
    arrivals.emplace_back(-std::log1p(-rng.uniform()) / weights[item], item);
  }
  check(arrivals.size() >= count, "a candidate list takes more items than there are");
  std::partial_sort(arrivals.begin(), arrivals.begin() + static_cast<std::ptrdiff_t>(count),
                    arrivals.end());
  for (std::size_t i = 0; i < count; ++i) list.push_back(arrivals[i].second);
}

}  // namespace

CandidateOptions parse_candidates(const std::string& text) {
  CandidateOptions options;
  if (text == "full") return options;
  const auto parts = split(text, ':');
  if (parts.size() == 2 && (parts[0] == "popularity" || parts[0] == "uniform")) {
    const auto count = to_int(parts[1]);
    if (!count || *count < 1 || *count > 100'000'000) {
      throw Error(Kind::kBadOption, fmt::format("{} is no number of negatives", quote(parts[1])),
                  "--candidates", "for example popularity:199");
    }
    options.draw = std::string(parts[0]);
    options.negatives = static_cast<std::size_t>(*count);
    return options;
  }
  const bool like_a_path = text.find_first_of("/.") != std::string::npos;
  std::error_code none;
  if (!like_a_path && !std::filesystem::is_regular_file(text, none)) {
    throw Error(Kind::kBadOption, fmt::format("unknown candidates {}", quote(text)), "--candidates",
                "expected full, popularity:N, uniform:N or a file that is there");
  }
  options.draw = "file";
  options.path = text;
  return options;
}

std::string name_of(const CandidateOptions& options) {
  if (options.draw == "full" || options.draw == "file") {
    return options.draw == "full" ? options.draw : options.path;
  }
  return fmt::format("{}:{}", options.draw, options.negatives);
}

CandidateLists::CandidateLists(const Dataset& target, const CandidateOptions& options,
                               const std::string& stream)
    : target_(&target),
      options_(options),
      root_(Rng(options.seed).fork("candidates").fork(options.draw).fork(stream)) {
  check(options_.draw != "full", "ranking the whole catalogue needs no lists");
  if (options_.draw == "file") {
    CandidateFile file = load_candidate_file(options_.path, target);
    options_.negatives = file.negatives;
    options_.released = file.released;
    options_.seed = file.seed;
    stored_ = std::move(file.lists);
    return;
  }
  const auto counts = item_counts(target);
  weights_.resize(counts.size());
  for (std::size_t j = 0; j < counts.size(); ++j) {
    weights_[j] =
        options_.draw == "uniform" ? 1.0 : std::pow(static_cast<double>(counts[j]), kPower);
    drawable_ += weights_[j] > 0.0 ? 1U : 0U;
  }
  sampler_.emplace_back(weights_);
  check_room();
  if (target.user_count() * options_.negatives * sizeof(ItemId) <= kKeepInMemory) {
    stored_ = all();
  }
}

std::vector<ItemId> CandidateLists::all() const {
  if (!stored_.empty()) return stored_;
  const std::size_t users = target_->user_count();
  std::vector<ItemId> lists(users * options_.negatives, 0);
  parallel_for(users, 256, [&](std::size_t begin, std::size_t end) {
    std::vector<ItemId> list;
    for (std::size_t u = begin; u < end; ++u) {
      if (target_->history(static_cast<UserId>(u)).empty()) continue;
      draw(static_cast<UserId>(u), list);
      std::copy(list.begin(), list.end(),
                lists.begin() + static_cast<std::ptrdiff_t>(u * options_.negatives));
    }
  });
  return lists;
}

// Before any work: also where lists are drawn one by one, later.
void CandidateLists::check_room() const {
  for (UserId user = 0; user < target_->user_count(); ++user) {
    if (target_->history(user).empty()) continue;
    require_room(user, excluded_candidates(*target_, user, options_.released).size());
  }
}

void CandidateLists::require_room(UserId user, std::size_t own) const {
  const std::size_t wanted = options_.negatives;
  if (options_.released ? drawable_ > own : drawable_ >= own + wanted) return;
  throw Error(Kind::kBadInput,
              fmt::format("the catalogue has {} items to draw from, of which user {} took {}: "
                          "no room for {} negatives",
                          drawable_, quote(target_->user_ids().name(user)), own, wanted),
              quote(target_->name),
              "ask for fewer, or for the whole catalogue (evaluate --candidates full)");
}

void CandidateLists::draw(UserId user, std::vector<ItemId>& list) const {
  const std::vector<ItemId> own = excluded_candidates(*target_, user, options_.released);
  const std::size_t wanted = options_.negatives;
  require_room(user, own.size());
  Rng rng = root_.fork("user", user);
  TakenItems taken;
  taken.reset(own.size() + wanted);
  for (const ItemId item : own) taken.insert(item);
  list.clear();
  if (options_.released) {
    while (list.size() < wanted) {
      const ItemId item = sampler_.front().draw(rng);
      if (!taken.contains(item)) list.push_back(item);
    }
    return;
  }
  // Refused draws are cheap until the list has eaten most of the popular items.
  for (std::size_t tries = 4 * wanted + 64; list.size() < wanted && tries > 0; --tries) {
    const ItemId item = sampler_.front().draw(rng);
    if (taken.insert(item)) list.push_back(item);
  }
  if (list.size() < wanted) race(weights_, taken, wanted - list.size(), rng, list);
}

void CandidateLists::negatives(UserId user, std::vector<ItemId>& list) const {
  check(user < target_->user_count(), "a candidate list of somebody else");
  if (stored_.empty()) {
    draw(user, list);
    return;
  }
  const auto begin = stored_.begin() + static_cast<std::ptrdiff_t>(user * options_.negatives);
  list.assign(begin, begin + static_cast<std::ptrdiff_t>(options_.negatives));
}

void CandidateLists::save(const std::string& path) const {
  const std::size_t users = target_->user_count();
  const std::size_t bytes = users * options_.negatives * sizeof(ItemId);
  if (bytes > kMostInFile) {
    throw Error(Kind::kUnsupported,
                fmt::format("lists of {} users x {} negatives are {} GiB", users,
                            options_.negatives, bytes >> 30U),
                path, "they follow from the seed: name the draw and the seed instead of a file");
  }
  save_candidate_file({.draw = name_of(options_),
                       .seed = options_.seed,
                       .released = options_.released,
                       .negatives = options_.negatives,
                       .lists = all()},
                      *target_, path);
}

}  // namespace kindling
