// The network of NeuMF with its gradients written out: a factorisation half and a network half.
//
//   user, item -> rows [8 + 32] -> [p∘q (8) ; MLP([64]) -> 32 -> 16 -> 8, relu] -> 1 logit
//
// Rows come from tables of its own, or from the frozen vectors through one linear layer [B4].
// Source: He et al., Neural Collaborative Filtering, WWW 2017; specs/baselines.md B.
#pragma once

#include <span>
#include <vector>

#include "kindling/models/dense.h"
#include "kindling/models/few_shot.h"

namespace kindling::neumf {

inline constexpr std::size_t kFactorWidth = 8;  // of the factorisation half
inline constexpr std::size_t kTowerWidth = 32;  // of the network half, each of user and item
inline constexpr std::size_t kRow = kFactorWidth + kTowerWidth;

enum class Half { kFactors, kTower, kBoth };

// Rows with Adam moments that move only when a batch holds them.
class Table {
 public:
  Table() = default;
  explicit Table(std::size_t rows);

  void init(Rng& rng);  // N(0, 0.01²)
  Matrix take(std::span<const std::uint32_t> ids) const;
  // `gradient` [ids, kRow]; ids may repeat.
  void step(std::span<const std::uint32_t> ids, const Matrix& gradient, float rate, bool adam,
            std::int64_t t);

  void forget_moments();

  Matrix value;

 private:
  void move(std::uint32_t id, std::span<const float> gradient, float rate, bool adam);

  Matrix mean_;
  Matrix square_;
  std::vector<std::uint32_t> slot_;
};

struct Batch {
  std::vector<UserId> users;
  std::vector<ItemId> items;
  std::vector<float> labels;
};

class Net {
 public:
  // `frozen_dim` 0: tables of its own.
  Net(std::size_t users, std::size_t items, std::size_t frozen_dim);
  // Of the sizes that a saved state says. Error{kCorrupt} when it is no state of a Net.
  static Net sized_like(const ModelState& state);

  // Tables N(0, 0.01²), layers Glorot-uniform, heads LeCun-uniform.
  void init(Rng& rng);
  // After pre-training: half of each head's weights, and this bias [B3].
  void halve_heads(float bias);
  float bias() const { return bias_.value[0]; }
  void set_bias(float bias) { bias_.value[0] = bias; }
  // A phase of training begins: Adam starts anew.
  void forget_moments();

  // What learn() needs of the forward pass.
  struct Trace {
    Matrix users;
    Matrix items;
    std::vector<Matrix> tower;  // inputs of each layer, then the output
  };
  std::vector<float> logits(const FrozenVectors& vectors, std::span<const UserId> users,
                            std::span<const ItemId> items, Half half, Trace& trace) const;
  // One step, Adam or SGD; returns the mean log loss before it. `t` counts from 1.
  double learn(const FrozenVectors& vectors, const Batch& batch, Half half, float rate, bool adam,
               std::int64_t t);

  void append_state(ModelState& state) const;
  void load(const ModelState& state);

 private:
  Matrix rows_of(const FrozenVectors& vectors, std::span<const std::uint32_t> ids,
                 bool users) const;
  void factor_gradient(const Trace& trace, const std::vector<float>& pull, Matrix& du, Matrix& di);
  void tower_gradient(const Trace& trace, const std::vector<float>& pull, Matrix& du, Matrix& di);
  void step(const FrozenVectors& vectors, const Batch& batch, const Matrix& du, const Matrix& di,
            Half half, float rate, bool adam, std::int64_t t);

  bool frozen_;
  Table users_;
  Table items_;
  Dense user_project_;
  Dense item_project_;
  std::vector<Dense> tower_;
  Tunable factor_head_;
  Tunable tower_head_;
  Tunable bias_;
};

}  // namespace kindling::neumf
