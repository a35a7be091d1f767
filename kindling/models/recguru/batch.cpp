#include "kindling/models/recguru/batch.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"

namespace kindling::recguru {

namespace {

constexpr int kTries = 100;  // draws before a user is taken to have everything

std::span<const Event> kept_events(std::span<const Event> history, std::int64_t max_length) {
  return history.last(std::min(history.size(), static_cast<std::size_t>(max_length - 1)));
}

std::int64_t place_of(std::int64_t row, TableRows* map) {
  return map == nullptr ? row : map->add(row);
}

// The rows that were pushed since the last offset end in the last slot.
void close_sequence(std::int64_t max_length, PackedRows& rows) {
  const std::int64_t length = rows.rows() - rows.offsets.back();
  for (std::int64_t r = 0; r < length; ++r) rows.positions.push_back(max_length - length + r);
  rows.offsets.push_back(rows.rows());
}

// How many of a user's kept events the user vector may read: some, and not all where there are two.
std::size_t beginning_of(std::size_t kept, Rng& rng) {
  return kept < 2 ? 0 : 1 + rng.below(kept - 1);
}

}  // namespace

TestItems leaked_items(const std::string& negatives_exclude, const TrainTask& task) {
  if (negatives_exclude == "training") return {};
  if (!task.test_items) {
    throw Error(Kind::kUnsupported, "negatives_exclude=training+test needs the test items", {},
                "train with --target and --protocol leave-two-out, or leave it at training: to "
                "know the test items is a leak");
  }
  return task.test_items();
}

DomainData::DomainData(const Dataset& data, std::span<const std::vector<ItemId>> leaked)
    : data_(&data) {
  check(leaked.empty() || leaked.size() == data.user_count(), "a list of test items for each user");
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    const auto first = static_cast<std::ptrdiff_t>(seen_.size());
    for (const Event& event : history) seen_.push_back(event.item);
    if (!leaked.empty()) seen_.insert(seen_.end(), leaked[user].begin(), leaked[user].end());
    std::sort(seen_.begin() + first, seen_.end());
    seen_.erase(std::unique(seen_.begin() + first, seen_.end()), seen_.end());
    offsets_.push_back(seen_.size());
    if (!history.empty()) users_.push_back(user);
  }
  if (users_.empty()) {
    throw Error(Kind::kBadInput, "the domain has no user with an event", data.name,
                "check the import or use less filtering");
  }
}

bool DomainData::has(UserId user, ItemId item) const {
  const auto begin = seen_.begin() + static_cast<std::ptrdiff_t>(offsets_[user]);
  const auto end = seen_.begin() + static_cast<std::ptrdiff_t>(offsets_[user + 1]);
  if (end - begin <= 16) return std::find(begin, end, item) != end;
  return std::binary_search(begin, end, item);
}

void DomainData::prepare_popular(double power) {
  std::vector<double> weights;
  for (const std::uint64_t count : item_counts(*data_)) {
    weights.push_back(count == 0 ? 0.0 : std::pow(static_cast<double>(count), power));
  }
  popular_ = std::make_unique<AliasSampler>(weights);
}

std::int64_t DomainData::draw_negative(UserId user, bool popular, Rng& rng) const {
  check(!popular || popular_ != nullptr, "popular negatives are not prepared");
  ItemId item = 0;
  for (int t = 0; t < kTries; ++t) {
    item = popular ? popular_->draw(rng) : static_cast<ItemId>(rng.below(data_->item_count()));
    if (!has(user, item)) break;
  }
  return item;
}

void push_encoder(std::span<const Event> history, std::int64_t items, std::int64_t max_length,
                  TableRows* map, PackedRows& rows) {
  for (const Event& event : kept_events(history, max_length)) {
    rows.ids.push_back(place_of(event.item, map));
  }
  rows.ids.push_back(place_of(items, map));
  close_sequence(max_length, rows);
}

void push_decoder(std::span<const Event> history, std::int64_t items, std::int64_t max_length,
                  bool with_last, TableRows* map, PackedRows& rows) {
  const auto kept = kept_events(history, max_length);
  rows.ids.push_back(place_of(items + 1, map));
  for (std::size_t i = 0; i + (with_last ? 0 : 1) < kept.size(); ++i) {
    rows.ids.push_back(place_of(kept[i].item, map));
  }
  close_sequence(max_length, rows);
}

PackedRows encoder_rows(const DomainData& domain, std::span<const UserId> users,
                        std::int64_t max_length, TableRows* map) {
  PackedRows rows;
  for (const UserId user : users) {
    push_encoder(domain.history(user), domain.items(), max_length, map, rows);
  }
  return rows;
}

std::vector<std::int64_t> draw_candidates(const DomainData& domain, std::span<const UserId> users,
                                          std::int64_t max_length, std::int64_t negatives,
                                          bool popular, TableRows* map, Rng rng) {
  std::vector<std::int64_t> candidates;
  for (const UserId user : users) {
    for (const Event& event : kept_events(domain.history(user), max_length)) {
      candidates.push_back(place_of(event.item, map));
      for (std::int64_t k = 0; k < negatives; ++k) {
        candidates.push_back(place_of(domain.draw_negative(user, popular, rng), map));
      }
    }
  }
  return candidates;
}

DomainBatch make_domain_batch(const DomainData& domain, std::span<const UserId> users,
                              std::int64_t max_length, std::int64_t negatives, TableRows* map,
                              Rng rng) {
  DomainBatch batch;
  batch.encoder = encoder_rows(domain, users, max_length, map);
  for (const UserId user : users) {
    push_decoder(domain.history(user), domain.items(), max_length, false, map, batch.decoder);
  }
  batch.candidates = draw_candidates(domain, users, max_length, negatives, false, map, rng);
  batch.columns = 1 + negatives;
  return batch;
}

PackedRows past_rows(const DomainData& domain, std::span<const UserId> users,
                     std::int64_t max_length, TableRows* map, Rng rng,
                     std::vector<std::int64_t>& later) {
  PackedRows rows;
  std::int64_t first = 0;  // decoder row where the user's begin
  for (const UserId user : users) {
    const auto kept = kept_events(domain.history(user), max_length);
    const std::size_t cut = beginning_of(kept.size(), rng);
    push_encoder(kept.first(cut), domain.items(), max_length, map, rows);
    const auto end = first + static_cast<std::int64_t>(kept.size());
    for (auto row = first + static_cast<std::int64_t>(cut); row < end; ++row) later.push_back(row);
    first = end;
  }
  return rows;
}

PackedRows past_and_empty_rows(const DomainData& domain, std::span<const UserId> users,
                               std::int64_t max_length, TableRows* map, Rng rng,
                               std::vector<std::int64_t>& parts) {
  PackedRows rows;
  parts.assign(1, 0);
  for (const UserId user : users) {
    const auto kept = kept_events(domain.history(user), max_length);
    const std::size_t cut = beginning_of(kept.size(), rng);
    push_encoder({}, domain.items(), max_length, map, rows);
    push_encoder(kept.first(cut), domain.items(), max_length, map, rows);
    const std::int64_t first = parts.back();
    parts.push_back(first + static_cast<std::int64_t>(cut));
    parts.push_back(first + static_cast<std::int64_t>(kept.size()));
  }
  return rows;
}

UserBatches::UserBatches(std::size_t users, std::size_t batch_size, const Rng& rng)
    : users_(users), batch_size_(std::min(users, batch_size)), rng_(rng) {
  check(users > 0 && batch_size > 0, "batches need users");
}

std::span<const std::uint32_t> UserBatches::batch(std::uint64_t number) {
  const std::uint64_t each = users_ / batch_size_;
  const std::uint64_t pass = number / each;
  if (pass_ != pass + 1) {
    Rng stream = rng_.fork("pass", pass);
    order_ = permutation(users_, stream);
    pass_ = pass + 1;
  }
  return std::span<const std::uint32_t>(order_).subspan(number % each * batch_size_, batch_size_);
}

}  // namespace kindling::recguru
