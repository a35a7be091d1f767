#include "kindling/models/gru4rec_official/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/ready_threads.h"
#include "kindling/kernels/adagrad.h"
#include "kindling/kernels/dropout_mask.h"
#include "kindling/kernels/gru.h"
#include "kindling/kernels/shared_negatives.h"
#include "kindling/kernels/shared_softmax.h"
#include "kindling/kernels/tile_gemm.h"

namespace kindling::gru4rec_official {

namespace {

using kernels::Op;

// Multiplications of a GRU's matrix so small that two threads would mostly wait for each other's
// caches: one takes the layer, the other what can be done meanwhile.
constexpr std::size_t kSmallGru = 1 << 21;

std::size_t count_of(const std::vector<std::int64_t>& shape) {
  return static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

// Every sequence is one step long.
kernels::PackedSteps single_steps(std::size_t rows) {
  std::vector<std::int64_t> offsets(rows + 1);
  std::iota(offsets.begin(), offsets.end(), std::int64_t{0});
  return kernels::PackedSteps(offsets);
}

// values *= mask of a dropout; the mask is kept for the way back.
void drop(std::vector<float>& values, std::vector<float>& mask, double p, const Rng& rng) {
  if (p <= 0.0) return;
  mask.resize(values.size());
  kernels::dropout_mask(rng.seed(), p, mask.data(), mask.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= mask[i];
}

}  // namespace

// Uniform in ±√(6 / (rows + columns)), each of `blocks` gates as a matrix of its own.
Trainer::Parameter Trainer::make_parameter(const char* name, std::vector<std::int64_t> shape,
                                           std::size_t blocks, const Rng& rng) const {
  Parameter parameter{name, shape, Floats(count_of(shape)), {}, {}};
  parameter.sums.assign(parameter.values.size(), 0.0F);
  if (options_.momentum > 0.0) parameter.velocities.assign(parameter.values.size(), 0.0F);
  if (blocks == 0) return parameter;  // a bias: zeros
  const double rows = static_cast<double>(shape[0]) / static_cast<double>(blocks);
  const double limit = std::sqrt(6.0 / (rows + static_cast<double>(shape[1])));
  Rng draws = rng.fork(name);
  for (float& value : parameter.values) value = static_cast<float>(draws.uniform(-limit, limit));
  return parameter;
}

Trainer::Trainer(const Options& options, std::int64_t items, const Rng& rng)
    : options_(options), items_(items) {
  const std::int64_t d = options.dim;
  table_ = make_parameter("table", {items, d}, 1, rng);
  bias_ = make_parameter("bias", {items}, 0, rng);
  input_ = make_parameter("input", {3 * d, d}, 3, rng);
  hidden_ = make_parameter("hidden", {3 * d, d}, 3, rng);
  input_bias_ = make_parameter("input_bias", {3 * d}, 0, rng);
  hidden_bias_ = make_parameter("hidden_bias", {3 * d}, 0, rng);
  slot_.assign(static_cast<std::size_t>(items), -1);
  d_input_.resize(input_.values.size());
  d_hidden_.resize(hidden_.values.size());
  d_input_bias_.resize(input_bias_.values.size());
  d_hidden_bias_.resize(hidden_bias_.values.size());
}

std::vector<Trainer::Parameter*> Trainer::parameters() {
  return {&table_, &bias_, &input_, &hidden_, &input_bias_, &hidden_bias_};
}

kernels::GruWeights Trainer::weights() const {
  return {input_.values.data(), hidden_.values.data(), input_bias_.values.data(),
          hidden_bias_.values.data()};
}

void Trainer::start(std::size_t rows) {
  state_.assign(rows * static_cast<std::size_t>(options_.dim), 0.0F);
}

void Trainer::reset_row(std::size_t r) {
  const auto d = static_cast<std::size_t>(options_.dim);
  std::fill_n(state_.begin() + static_cast<std::ptrdiff_t>(r * d), d, 0.0F);
}

void Trainer::keep_rows(std::span<const std::size_t> rows) {
  const auto d = static_cast<std::size_t>(options_.dim);
  std::vector<float> kept(rows.size() * d);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::memcpy(kept.data() + r * d, state_.data() + rows[r] * d, d * sizeof(float));
  }
  state_ = std::move(kept);
}

void Trainer::gather(std::span<const std::int64_t> rows, float* out) const {
  const auto d = static_cast<std::size_t>(options_.dim);
  parallel_for(rows.size(), 256, [&](std::size_t begin, std::size_t end) {
    constexpr std::size_t kAhead = 4;  // rows stand anywhere in the table
    for (std::size_t r = begin; r < end; ++r) {
      if (r + kAhead < end) {
        const float* later = table_.values.data() + static_cast<std::size_t>(rows[r + kAhead]) * d;
        for (std::size_t i = 0; i < d; i += 16) __builtin_prefetch(later + i);
      }
      std::memcpy(out + r * d, table_.values.data() + static_cast<std::size_t>(rows[r]) * d,
                  d * sizeof(float));
    }
  });
}

double Trainer::step(const Step& step, const Rng& rng) {
  double loss = 0.0;
  with_ready_threads([&] { loss = run(step, rng); });
  return loss;
}

double Trainer::run(const Step& step, const Rng& rng) {
  const auto d = static_cast<std::size_t>(options_.dim);
  const std::size_t rows = step.inputs.size();
  const std::size_t columns = rows + step.negatives.size();
  check(state_.size() == rows * d && step.targets.size() == rows, "a batch of another size");
  const bool small = rows * d * d < kSmallGru;
  if (!small) forward(step.inputs, rng);
  parallel_for(2, 1, [&](std::size_t begin, std::size_t end) {
    if (begin == 0 && small) forward(step.inputs, rng);
    if (end == 2) order_classes(step);
  });
  out_ = next_;
  drop(out_, mask_out_, options_.dropout_hidden, rng.fork("hidden"));
  d_out_.resize(rows * d);
  d_rows_.resize((columns + rows) * d);
  d_bias_.resize(columns + rows);
  std::fill_n(d_bias_.data() + columns, rows, 0.0F);
  const double loss =
      options_.loss == "bpr-max"
          ? bpr_max(rows)
          : kernels::shared_softmax({rows, columns, d, out_.data(), table_.values.data(),
                                     classes_.data(), shift_.data(), targets_.data(), batch()},
                                    {d_out_.data(), d_rows_.data(), d_bias_.data()});
  if (options_.dropout_hidden > 0.0) {
    for (std::size_t i = 0; i < d_out_.size(); ++i) d_out_[i] *= mask_out_[i];
  }
  if (small) {
    parallel_for(2, 1, [&](std::size_t begin, std::size_t) {  // loops inside run on one thread
      if (begin == 0) backward();
    });
  } else {
    backward();
  }
  update_rows();
  state_.swap(options_.dropout_hidden > 0.0 ? out_ : next_);  // the carried state is dropped too
  return loss;
}

// The new states next_ from state_, and what backward() needs.
void Trainer::forward(std::span<const std::int64_t> inputs, const Rng& rng) {
  const auto d = static_cast<std::size_t>(options_.dim);
  const std::size_t rows = inputs.size();
  x_.resize(rows * d);
  next_.resize(rows * d);
  gates_.resize(rows * 4 * d);
  previous_.resize(rows * d);
  gather(inputs, x_.data());
  drop(x_, mask_in_, options_.dropout_embedding, rng.fork("embedding"));
  kernels::gru_forward({d, d}, single_steps(rows), weights(), {x_.data(), state_.data()},
                       {next_.data(), nullptr, gates_.data(), previous_.data()});
}

// From d_out_ the gradients of the inputs' rows, the last of d_rows_, and a step of the GRU.
void Trainer::backward() {
  const auto d = static_cast<std::size_t>(options_.dim);
  const std::size_t rows = d_out_.size() / d;
  float* d_x = d_rows_.data() + d_rows_.size() - rows * d;
  kernels::GruGradients gradients;
  gradients.x = d_x;
  gradients.input = d_input_.data();
  gradients.hidden = d_hidden_.data();
  gradients.input_bias = d_input_bias_.data();
  gradients.hidden_bias = d_hidden_bias_.data();
  kernels::gru_backward({d, d}, single_steps(rows), weights(), x_.data(), gates_.data(),
                        previous_.data(), d_out_.data(), gradients);
  update_gru();
  if (options_.dropout_embedding > 0.0) {
    for (std::size_t i = 0; i < rows * d; ++i) d_x[i] *= mask_in_[i];
  }
}

double Trainer::bpr_max(std::size_t rows) {
  const auto d = static_cast<std::size_t>(options_.dim);
  const kernels::SharedShape shape{rows, classes_.size(), targets_.data(), batch()};
  scores_.resize(rows * shape.columns);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy(shift_.begin(), shift_.end(), scores_.data() + r * shape.columns);
  }
  kernels::tile_gemm(Op::kPlain, Op::kTransposed, rows, shape.columns, d, out_.data(),
                     table_.values.data(), 1.0F, scores_.data(), {.b = classes_.data()});
  const double loss =
      kernels::bpr_max(scores_.data(), shape,
                       {static_cast<float>(options_.elu), static_cast<float>(options_.bpreg)});
  kernels::tile_gemm(Op::kPlain, Op::kPlain, rows, d, shape.columns, scores_.data(),
                     table_.values.data(), 0.0F, d_out_.data(), {.b = classes_.data()});
  kernels::tile_gemm(Op::kTransposed, Op::kPlain, shape.columns, d, rows, scores_.data(),
                     out_.data(), 0.0F, d_rows_.data());
  kernels::column_sums(scores_.data(), shape, d_bias_.data());
  return loss;
}

// Classes stand in an order in which an item has about the same place in every step, so that mostly
// the same thread works on its row: rows that change hands come slowly from another core's cache.
void Trainer::order_classes(const Step& step) {
  constexpr std::size_t kBuckets = 64;
  constexpr std::size_t kLine = 16;  // items whose biases share a line of the cache
  const auto bucket = [](std::int64_t item) {
    return static_cast<std::size_t>(item) / kLine % kBuckets;
  };
  const std::size_t rows = step.targets.size();
  const std::size_t columns = rows + step.negatives.size();
  std::array<std::uint32_t, kBuckets + 1> next{};
  for (const std::int64_t item : step.targets) ++next[bucket(item) + 1];
  for (const std::int64_t item : step.negatives) ++next[bucket(item) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  classes_.resize(columns);
  shift_.resize(columns);
  targets_.resize(rows);
  for (std::size_t c = 0; c < columns; ++c) {
    const std::int64_t item = c < rows ? step.targets[c] : step.negatives[c - rows];
    const std::uint32_t at = next[bucket(item)]++;
    if (c < rows) targets_[c] = at;
    classes_[at] = item;
    shift_[at] = bias_.values[static_cast<std::size_t>(item)];
    if (!step.log_q.empty()) shift_[at] -= step.log_q[c];
  }
  group_rows(step.inputs);
}

// Gradients of equal items are summed before they enter the accumulator, as for a dense table.
void Trainer::group_rows(std::span<const std::int64_t> inputs) {
  unique_.clear();
  place_.clear();
  first_.assign(1, 0);
  const std::span<const std::int64_t> parts[] = {classes_, inputs};
  for (const auto& items : parts) {
    for (const std::int64_t item : items) {
      std::int32_t& slot = slot_[static_cast<std::size_t>(item)];
      if (slot < 0) {
        slot = static_cast<std::int32_t>(unique_.size());
        unique_.push_back(item);
        first_.push_back(0);
      }
      place_.push_back(static_cast<std::uint32_t>(slot));
      ++first_[static_cast<std::size_t>(slot) + 1];
    }
  }
  for (const std::int64_t item : unique_) slot_[static_cast<std::size_t>(item)] = -1;
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
  members_.resize(place_.size());
  for (std::uint32_t i = 0; i < place_.size(); ++i) members_[next[place_[i]]++] = i;
}

kernels::AdagradStep Trainer::rule() const {
  return {.rate = static_cast<float>(options_.learning_rate),
          .epsilon = static_cast<float>(options_.eps),
          .inside = true,
          .momentum = static_cast<float>(options_.momentum)};
}

void Trainer::update_rows() {
  const kernels::RowGroups groups{unique_.data(), first_.data(), members_.data(), unique_.size()};
  const auto d = static_cast<std::size_t>(options_.dim);
  kernels::adagrad_row_groups(table_.values.data(), d_rows_.data(), table_.sums.data(), groups, d,
                              rule(), table_.velocity());
  kernels::adagrad_row_groups(bias_.values.data(), d_bias_.data(), bias_.sums.data(), groups, 1,
                              rule(), bias_.velocity());
}

void Trainer::update_gru() {
  const std::pair<Parameter*, std::vector<float>*> all[] = {{&input_, &d_input_},
                                                            {&hidden_, &d_hidden_},
                                                            {&input_bias_, &d_input_bias_},
                                                            {&hidden_bias_, &d_hidden_bias_}};
  for (const auto& [parameter, gradient] : all) {
    kernels::adagrad(parameter->values.data(), gradient->data(), parameter->sums.data(),
                     gradient->size(), rule(), parameter->velocity());
  }
}

Matrix Trainer::states(std::span<const std::span<const Event>> histories) const {
  const auto d = static_cast<std::size_t>(options_.dim);
  const auto longest = static_cast<std::size_t>(options_.max_length);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> items;
  for (const auto& history : histories) {
    for (const Event& event : history.last(std::min(history.size(), longest))) {
      if (static_cast<std::int64_t>(event.item) >= items_) {
        throw Error(Kind::kBadInput,
                    fmt::format("a history holds item {}, the domain has {}", event.item, items_));
      }
      items.push_back(event.item);
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  Matrix result(histories.size(), d);
  if (items.empty()) return result;
  std::vector<float> x(items.size() * d);
  gather(items, x.data());
  std::vector<float> all(items.size() * d);
  kernels::gru_forward({d, d}, kernels::PackedSteps(offsets), weights(), {x.data(), nullptr},
                       {all.data(), nullptr, nullptr, nullptr});
  for (std::size_t h = 0; h < histories.size(); ++h) {
    if (offsets[h + 1] == offsets[h]) continue;  // the state before anything happened: zeros
    const auto last = static_cast<std::size_t>(offsets[h + 1] - 1);
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(last * d), d, result.row(h).begin());
  }
  return result;
}

ModelState Trainer::state() const {
  ModelState all;
  for (const Parameter* parameter :
       {&table_, &bias_, &input_, &hidden_, &input_bias_, &hidden_bias_}) {
    const Floats& values = parameter->values;
    all.push_back({parameter->name, parameter->shape, {values.begin(), values.end()}});
  }
  return all;
}

void Trainer::load_state(const ModelState& state) {
  std::size_t restored = 0;
  for (Parameter* parameter : parameters()) {
    for (const NamedTensor& saved : state) {
      if (saved.name != parameter->name) continue;
      if (saved.shape != parameter->shape || saved.values.size() != parameter->values.size()) {
        throw Error(Kind::kCorrupt,
                    fmt::format("tensor {} has another shape than the options say", saved.name));
      }
      parameter->values.assign(saved.values.begin(), saved.values.end());
      ++restored;
    }
  }
  if (restored != parameters().size() || restored != state.size()) {
    throw Error(Kind::kCorrupt, "the model's tensors do not fit its options");
  }
}

}  // namespace kindling::gru4rec_official
