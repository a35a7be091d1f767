// From histories to what RecGURU's network reads: packed rows, positions counted from the right
// end, negatives.
//
//   items v_1 … v_n of a user, the last L - 1 of them
//   encoder   v_1 … v_n [eos]              [eos] in slot L - 1
//   decoder   [bos] v_1 … v_{n-1}          the last in slot L - 1; row r is asked for v_{r+1}
//   query     [bos] v_1 … v_n              the same, one further: the last row is asked for the
//   next
//
// Row numbers of a table with V items: item j is row j, [eos] row V, [bos] row V + 1.
// Source: specs/recguru.md 2.4 with the mask defects of section 3 removed: pads do not exist here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/data/dataset.h"
#include "kindling/data/negatives.h"
#include "kindling/models/recommender.h"
#include "kindling/models/table_rows.h"

namespace kindling::recguru {

// Sequences one behind the other; ids are places in a TableRows, or rows of the table without one.
struct PackedRows {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> positions;  // slots 0 … L - 1

  std::int64_t sequences() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  std::int64_t rows() const { return static_cast<std::int64_t>(ids.size()); }
};

// The test items that negatives_exclude asks to leave out as well; none for "training". That is the
// released code's leak [R9]. Error{kUnsupported} when the task does not tell them.
TestItems leaked_items(const std::string& negatives_exclude, const TrainTask& task);

// One domain as training sees it: its users with at least one event.
class DomainData {
 public:
  // Error{kBadInput} when no user has an event; `data` must outlive this. `leaked`: by user, items
  // that are no negatives either [R9].
  explicit DomainData(const Dataset& data, std::span<const std::vector<ItemId>> leaked = {});

  std::span<const UserId> users() const { return users_; }
  std::int64_t items() const { return static_cast<std::int64_t>(data_->item_count()); }
  std::size_t table_rows() const { return data_->item_count() + 2; }
  std::span<const Event> history(UserId user) const { return data_->history(user); }
  const Dataset& data() const { return *data_; }

  // One item that the user's training events (and what leaked) do not hold, uniform or by
  // popularity [R9, R11]. A user who has everything gets any item.
  std::int64_t draw_negative(UserId user, bool popular, Rng& rng) const;
  void prepare_popular(double power);

 private:
  bool has(UserId user, ItemId item) const;

  const Dataset* data_;
  std::vector<UserId> users_;
  std::vector<std::uint64_t> offsets_{0};  // of seen_
  std::vector<ItemId> seen_;               // each user's items, sorted
  std::unique_ptr<AliasSampler> popular_;
};

// Appends one sequence; `map` may be null.
void push_encoder(std::span<const Event> history, std::int64_t items, std::int64_t max_length,
                  TableRows* map, PackedRows& rows);
// `with_last`: a query's, with all the items; else a training sequence's, without the last.
void push_decoder(std::span<const Event> history, std::int64_t items, std::int64_t max_length,
                  bool with_last, TableRows* map, PackedRows& rows);

struct DomainBatch {
  PackedRows encoder;
  PackedRows decoder;
  std::vector<std::int64_t> candidates;  // [decoder rows, 1 + K], the target first
  std::int64_t columns = 0;              // 1 + K
};

// Training sequences of `users`: what encoder and decoder read, and K negatives a position.
DomainBatch make_domain_batch(const DomainData& domain, std::span<const UserId> users,
                              std::int64_t max_length, std::int64_t negatives, TableRows* map,
                              Rng rng);
// What the encoder reads alone.
PackedRows encoder_rows(const DomainData& domain, std::span<const UserId> users,
                        std::int64_t max_length, TableRows* map);
// The target and K negatives of each decoder row, [rows, 1 + K].
std::vector<std::int64_t> draw_candidates(const DomainData& domain, std::span<const UserId> users,
                                          std::int64_t max_length, std::int64_t negatives,
                                          bool popular, TableRows* map, Rng rng);

// What the encoder reads of a random beginning of each training sequence, at least one item where
// there are two; `later` receives the decoder rows whose targets lie behind it.
PackedRows past_rows(const DomainData& domain, std::span<const UserId> users,
                     std::int64_t max_length, TableRows* map, Rng rng,
                     std::vector<std::int64_t>& later);

// The same beginnings, and before each of them the history of nobody: 2 sequences a user, in the
// order of use. `parts` receives 2 · users + 1 offsets: decoder rows [parts[i], parts[i + 1]) may
// read the user vector of sequence i, which knows none of their targets.
PackedRows past_and_empty_rows(const DomainData& domain, std::span<const UserId> users,
                               std::int64_t max_length, TableRows* map, Rng rng,
                               std::vector<std::int64_t>& parts);

// Users in random order without end: batch 0, 1, … of passes over them, each pass shuffled anew,
// incomplete batches dropped. Batch `number` follows from the rng and the number alone.
class UserBatches {
 public:
  UserBatches(std::size_t users, std::size_t batch_size, const Rng& rng);

  // Positions in the list of users; valid until the next call.
  std::span<const std::uint32_t> batch(std::uint64_t number);
  std::size_t size() const { return batch_size_; }

 private:
  std::size_t users_;
  std::size_t batch_size_;
  Rng rng_;
  std::uint64_t pass_ = 0;
  std::vector<std::uint32_t> order_;  // of pass pass_ - 1
};

}  // namespace kindling::recguru
