#include "kindling/models/baselines/neumf_net.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling::neumf {

namespace {

constexpr float kBeta1 = 0.9F;
constexpr float kBeta2 = 0.999F;

float adam_rate(float rate, std::int64_t t) {
  const auto steps = static_cast<double>(t);
  return rate * static_cast<float>(std::sqrt(1.0 - std::pow(double{kBeta2}, steps)) /
                                   (1.0 - std::pow(double{kBeta1}, steps)));
}

Matrix gather(const Matrix& table, std::span<const std::uint32_t> ids) {
  Matrix rows(ids.size(), table.cols());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    const auto row = table.row(ids[r]);
    std::copy(row.begin(), row.end(), rows.row(r).begin());
  }
  return rows;
}

}  // namespace

Table::Table(std::size_t rows)
    : value(rows, kRow), mean_(rows, kRow), square_(rows, kRow), slot_(rows, 0) {}

void Table::init(Rng& rng) {
  constexpr double kDeviation = 0.01;
  for (std::size_t i = 0; i < value.rows() * kRow; ++i) {
    value.data()[i] = static_cast<float>(kDeviation * rng.normal());
  }
}

void Table::forget_moments() {
  mean_ = Matrix(value.rows(), value.cols());
  square_ = Matrix(value.rows(), value.cols());
}

Matrix Table::take(std::span<const std::uint32_t> ids) const { return gather(value, ids); }

void Table::step(std::span<const std::uint32_t> ids, const Matrix& gradient, float rate, bool adam,
                 std::int64_t t) {
  Matrix sums(ids.size(), kRow);
  std::vector<std::uint32_t> touched;
  for (std::size_t r = 0; r < ids.size(); ++r) {
    std::uint32_t& slot = slot_[ids[r]];
    if (slot == 0) {
      touched.push_back(ids[r]);
      slot = static_cast<std::uint32_t>(touched.size());
    }
    for (std::size_t c = 0; c < kRow; ++c) sums(slot - 1, c) += gradient(r, c);
  }
  const float scaled = adam ? adam_rate(rate, t) : rate;
  for (std::size_t n = 0; n < touched.size(); ++n) {
    slot_[touched[n]] = 0;
    move(touched[n], sums.row(n), scaled, adam);
  }
}

void Table::move(std::uint32_t id, std::span<const float> gradient, float rate, bool adam) {
  constexpr float kEpsilon = 1e-8F;
  for (std::size_t c = 0; c < kRow; ++c) {
    const float g = gradient[c];
    if (!adam) {
      value(id, c) -= rate * g;
      continue;
    }
    mean_(id, c) += (1.0F - kBeta1) * (g - mean_(id, c));
    square_(id, c) += (1.0F - kBeta2) * (g * g - square_(id, c));
    value(id, c) -= rate * mean_(id, c) / (std::sqrt(square_(id, c)) + kEpsilon);
  }
}

Net::Net(std::size_t users, std::size_t items, std::size_t frozen_dim)
    : frozen_(frozen_dim > 0), factor_head_(kFactorWidth), tower_head_(kFactorWidth), bias_(1) {
  if (frozen_) {
    user_project_ = Dense(frozen_dim, kRow);
    item_project_ = Dense(frozen_dim, kRow);
  } else {
    users_ = Table(users);
    items_ = Table(items);
  }
  for (std::size_t in = 2 * kTowerWidth; in > kFactorWidth; in /= 2)
    tower_.emplace_back(in, in / 2);
}

Net Net::sized_like(const ModelState& state) {
  std::int64_t users = 0;
  std::int64_t items = 0;
  std::int64_t dim = 0;
  for (const NamedTensor& tensor : state) {
    if (tensor.shape.size() != 2) continue;
    if (tensor.name == "users") users = tensor.shape[0];
    if (tensor.name == "items") items = tensor.shape[0];
    if (tensor.name == "user_project.weight") dim = tensor.shape[1];
  }
  if (dim == 0 && (users == 0 || items == 0)) {
    throw Error(Kind::kCorrupt, "the tensors are not those of a neumf model");
  }
  return {static_cast<std::size_t>(users), static_cast<std::size_t>(items),
          static_cast<std::size_t>(dim)};
}

void Net::init(Rng& rng) {
  if (frozen_) {
    user_project_.init_glorot(rng);
    item_project_.init_glorot(rng);
  } else {
    users_.init(rng);
    items_.init(rng);
  }
  for (Dense& layer : tower_) layer.init_glorot(rng);
  const double bound = std::sqrt(3.0 / static_cast<double>(2 * kFactorWidth));  // LeCun uniform
  for (auto* head : {&factor_head_, &tower_head_}) {
    for (float& w : head->value) w = static_cast<float>(rng.uniform(-bound, bound));
  }
}

void Net::forget_moments() {
  if (frozen_) {
    user_project_.forget_moments();
    item_project_.forget_moments();
  } else {
    users_.forget_moments();
    items_.forget_moments();
  }
  for (Dense& layer : tower_) layer.forget_moments();
  for (Tunable* tunable : {&factor_head_, &tower_head_, &bias_}) tunable->forget_moments();
}

void Net::halve_heads(float bias) {
  for (auto* head : {&factor_head_, &tower_head_}) {
    for (float& w : head->value) w *= 0.5F;
  }
  bias_.value[0] = bias;
}

std::vector<float> Net::logits(const FrozenVectors& vectors, std::span<const UserId> users,
                               std::span<const ItemId> items, Half half, Trace& trace) const {
  trace.users = rows_of(vectors, users, true);
  trace.items = rows_of(vectors, items, false);
  trace.tower.clear();
  Matrix x(users.size(), 2 * kTowerWidth);
  for (std::size_t r = 0; r < users.size(); ++r) {
    const auto u = trace.users.row(r).subspan(kFactorWidth);
    const auto i = trace.items.row(r).subspan(kFactorWidth);
    std::copy(u.begin(), u.end(), x.row(r).begin());
    std::copy(i.begin(), i.end(), x.row(r).begin() + kTowerWidth);
  }
  trace.tower.push_back(std::move(x));
  for (const Dense& layer : tower_) {
    Matrix y = layer.forward(trace.tower.back());
    relu_in_place(y);
    trace.tower.push_back(std::move(y));
  }
  std::vector<float> out(users.size(), bias_.value[0]);
  for (std::size_t r = 0; r < users.size(); ++r) {
    for (std::size_t c = 0; c < kFactorWidth; ++c) {
      if (half != Half::kTower) {
        out[r] += factor_head_.value[c] * trace.users(r, c) * trace.items(r, c);
      }
      if (half != Half::kFactors) out[r] += tower_head_.value[c] * trace.tower.back()(r, c);
    }
  }
  return out;
}

double Net::learn(const FrozenVectors& vectors, const Batch& batch, Half half, float rate,
                  bool adam, std::int64_t t) {
  Trace trace;
  std::vector<float> pull = logits(vectors, batch.users, batch.items, half, trace);
  double loss = 0.0;
  const auto count = static_cast<float>(pull.size());
  for (std::size_t r = 0; r < pull.size(); ++r) {
    const float x = pull[r];
    loss += std::max(x, 0.0F) - x * batch.labels[r] + std::log1p(std::exp(-std::fabs(x)));
    pull[r] = (1.0F / (1.0F + std::exp(-x)) - batch.labels[r]) / count;
  }
  Matrix du(pull.size(), kRow);
  Matrix di(pull.size(), kRow);
  for (const float p : pull) bias_.gradient[0] += p;
  if (half != Half::kTower) factor_gradient(trace, pull, du, di);
  if (half != Half::kFactors) tower_gradient(trace, pull, du, di);
  step(vectors, batch, du, di, half, rate, adam, t);
  return loss / static_cast<double>(count);
}

void Net::append_state(ModelState& state) const {
  const auto shape = [](const Matrix& m) {
    return std::vector<std::int64_t>{static_cast<std::int64_t>(m.rows()),
                                     static_cast<std::int64_t>(m.cols())};
  };
  const auto add = [&](const char* name, const Matrix& m) {
    state.push_back({name, shape(m), {m.data(), m.data() + m.rows() * m.cols()}});
  };
  if (frozen_) {
    user_project_.append_state("user_project", state);
    item_project_.append_state("item_project", state);
  } else {
    add("users", users_.value);
    add("items", items_.value);
  }
  for (std::size_t n = 0; n < tower_.size(); ++n) {
    tower_[n].append_state(fmt::format("tower.{}", n), state);
  }
  const auto width = static_cast<std::int64_t>(kFactorWidth);
  state.push_back({"factor_head", {width}, factor_head_.value});
  state.push_back({"tower_head", {width}, tower_head_.value});
  state.push_back({"bias", {1}, bias_.value});
}

void Net::load(const ModelState& state) {
  ModelState own;
  append_state(own);
  const auto values = [&](const std::string& name) -> const std::vector<float>& {
    for (const NamedTensor& tensor : own) {
      if (tensor.name == name) return require_tensor(state, name, tensor.shape).values;
    }
    throw Error(Kind::kInternal, "unknown tensor " + name);
  };
  const auto put = [&](const char* name, Matrix& m) {
    std::copy(values(name).begin(), values(name).end(), m.data());
  };
  const auto put_layer = [&](const std::string& name, Dense& layer) {
    layer.weight.value = values(name + ".weight");
    layer.bias.value = values(name + ".bias");
  };
  if (frozen_) {
    put_layer("user_project", user_project_);
    put_layer("item_project", item_project_);
  } else {
    put("users", users_.value);
    put("items", items_.value);
  }
  for (std::size_t n = 0; n < tower_.size(); ++n) put_layer(fmt::format("tower.{}", n), tower_[n]);
  factor_head_.value = values("factor_head");
  tower_head_.value = values("tower_head");
  bias_.value = values("bias");
}

Matrix Net::rows_of(const FrozenVectors& vectors, std::span<const std::uint32_t> ids,
                    bool users) const {
  if (!frozen_) return (users ? users_ : items_).take(ids);
  return (users ? user_project_ : item_project_)
      .forward(gather(users ? vectors.users : vectors.items, ids));
}

void Net::factor_gradient(const Trace& trace, const std::vector<float>& pull, Matrix& du,
                          Matrix& di) {
  for (std::size_t r = 0; r < pull.size(); ++r) {
    for (std::size_t c = 0; c < kFactorWidth; ++c) {
      const float u = trace.users(r, c);
      const float i = trace.items(r, c);
      factor_head_.gradient[c] += pull[r] * u * i;
      du(r, c) = pull[r] * factor_head_.value[c] * i;
      di(r, c) = pull[r] * factor_head_.value[c] * u;
    }
  }
}

void Net::tower_gradient(const Trace& trace, const std::vector<float>& pull, Matrix& du,
                         Matrix& di) {
  Matrix dy(pull.size(), kFactorWidth);
  for (std::size_t r = 0; r < pull.size(); ++r) {
    for (std::size_t c = 0; c < kFactorWidth; ++c) {
      tower_head_.gradient[c] += pull[r] * trace.tower.back()(r, c);
      dy(r, c) = pull[r] * tower_head_.value[c];
    }
  }
  for (std::size_t n = tower_.size(); n-- > 0;) {
    relu_backward_in_place(trace.tower[n + 1], dy);
    dy = tower_[n].backward(trace.tower[n], dy);
  }
  for (std::size_t r = 0; r < pull.size(); ++r) {
    for (std::size_t c = 0; c < kTowerWidth; ++c) {
      du(r, kFactorWidth + c) = dy(r, c);
      di(r, kFactorWidth + c) = dy(r, kTowerWidth + c);
    }
  }
}

void Net::step(const FrozenVectors& vectors, const Batch& batch, const Matrix& du, const Matrix& di,
               Half half, float rate, bool adam, std::int64_t t) {
  const AdamRates rates{.rate = rate};
  const auto move = [&](Tunable& one) { adam ? one.adam(rates, t) : one.sgd(rate); };
  const auto move_layer = [&](Dense& layer) { adam ? layer.step(rates, t) : layer.step_sgd(rate); };
  move(bias_);
  if (half != Half::kTower) move(factor_head_);
  if (half != Half::kFactors) {
    move(tower_head_);
    for (Dense& layer : tower_) move_layer(layer);
  }
  if (frozen_) {
    user_project_.backward(gather(vectors.users, batch.users), du, false);
    item_project_.backward(gather(vectors.items, batch.items), di, false);
    move_layer(user_project_);
    move_layer(item_project_);
  } else {
    users_.step(batch.users, du, rate, adam, t);
    items_.step(batch.items, di, rate, adam, t);
  }
}

}  // namespace kindling::neumf
