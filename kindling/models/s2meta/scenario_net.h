// The small recommender of one scenario: f(u, i; θ) on frozen vectors, all of θ in one flat array.
//
//   interaction   MLP([e_u; e_i]) -> 1, layers 2d, d, d/2, d/4, 1
//   mapping       g_u(e_u) · g_i(e_i), two MLPs d, d, d
//   hybrid        w·[MLP([e_u; e_i]); e_u ⊙ e_i] + b, MLP 2d, d, d/2
// ReLU between layers, none after the last (specs: s2meta 3, decision S6).
//
//   const ScenarioNet net("mapping", 128);
//   std::vector<float> theta = net.init(rng);                          // [net.size()]
//   double loss = net.loss_and_gradient(theta.data(), batch, gradient.data(), scratch);
//   Matrix scores = net.score(theta.data(), users, items);             // [users, items]
//
// Threads: const methods from many threads, each with its own Scratch.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kindling/base/matrix.h"
#include "kindling/base/random.h"

namespace kindling::s2meta {

// A tensor of θ: a weight [out, in], or a bias [out] (in = 0).
struct Tensor {
  std::string name;
  std::size_t out = 0;
  std::size_t in = 0;
  std::size_t begin = 0;   // in θ
  std::size_t fan_in = 0;  // of the layer; 0 for a bias that starts at zero
  std::size_t size() const { return in == 0 ? out : out * in; }
};

// Vectors of n training triples: row r of users, of positives (items, row r) and of negatives
// (items, row n + r).
struct Triples {
  Matrix users;  // [n, d]
  Matrix items;  // [2n, d]
  std::size_t count() const { return users.rows(); }
};

class ScenarioNet {
 public:
  // Activations of one forward pass, kept to spare allocations.
  struct Scratch {
    std::vector<std::vector<float>> layers;
    std::vector<std::vector<float>> gradients;
    std::vector<float> scores;    // [2n] f of positives, then of negatives
    std::vector<float> d_scores;  // [2n]
  };

  ScenarioNet(const std::string& kind, std::size_t dim);

  std::size_t dim() const { return dim_; }
  std::size_t size() const { return size_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // Weights uniform ±1/√fan_in, biases 0 but hybrid's last (PyTorch's default).
  std::vector<float> init(Rng& rng) const;

  // Mean over the triples of max(0, 1 − f(u, i) + f(u, i⁻)).
  double loss(const float* theta, const Triples& batch, Scratch& scratch) const;
  // The same and its gradient [size()], overwritten.
  double loss_and_gradient(const float* theta, const Triples& batch, float* gradient,
                           Scratch& scratch) const;

  // users [U, d], items [C, d] -> [U, C].
  Matrix score(const float* theta, MatrixView users, MatrixView items) const;

 private:
  enum class Network { kInteraction, kMapping, kHybrid };
  struct Layer {
    std::size_t in, out, weight, bias;
  };
  using Mlp = std::vector<Layer>;

  Mlp add_mlp(const std::string& name, const std::vector<std::size_t>& widths);
  void forward(const float* theta, const Triples& batch, Scratch& scratch) const;
  void backward(const float* theta, const Triples& batch, float* gradient, Scratch& scratch) const;
  // Layer l of `mlp` reads layers[first + l] and writes layers[first + l + 1].
  static void run_mlp(const Mlp& mlp, const float* theta, std::size_t rows, std::size_t first,
                      Scratch& scratch);
  static void run_mlp_back(const Mlp& mlp, const float* theta, std::size_t rows, std::size_t first,
                           float* gradient, Scratch& scratch);
  void score_pairs(const float* theta, MatrixView users, MatrixView items, Matrix& scores) const;

  Network network_;
  std::size_t dim_;
  std::size_t size_ = 0;
  std::vector<Tensor> tensors_;
  Mlp first_;   // interaction, hybrid: of the pair; mapping: of the user
  Mlp second_;  // mapping: of the item; hybrid: the last layer
};

}  // namespace kindling::s2meta
