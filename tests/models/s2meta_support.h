// A small few-shot problem, and s2Meta's network written with LibTorch: what tests compare with.
#pragma once

#include <string>
#include <vector>

#include "kindling/models/s2meta/inner_loop.h"
#include "kindling/nn/torch.h"

namespace kindling::s2meta::testing {

inline FrozenVectors random_vectors(std::size_t users, std::size_t items, std::size_t dim,
                                    std::uint64_t seed = 3) {
  Rng rng(seed);
  FrozenVectors vectors{Matrix(users, dim), Matrix(items, dim)};
  for (std::size_t i = 0; i < users * dim; ++i) {
    vectors.users.data()[i] = static_cast<float>(rng.normal());
  }
  for (std::size_t i = 0; i < items * dim; ++i) {
    vectors.items.data()[i] = static_cast<float>(rng.normal());
  }
  return vectors;
}

inline std::vector<UserItem> random_pairs(std::size_t count, std::uint32_t users,
                                          std::uint32_t items, std::uint64_t seed = 4) {
  Rng rng(seed);
  std::vector<UserItem> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    pairs.push_back({static_cast<UserId>(rng.below(users)), static_cast<ItemId>(rng.below(items))});
  }
  return pairs;
}

inline Triples random_triples(const FrozenVectors& vectors, std::size_t count,
                              std::uint64_t seed = 5) {
  const auto users = static_cast<std::uint32_t>(vectors.users.rows());
  const auto items = static_cast<std::uint32_t>(vectors.items.rows());
  std::vector<ItemId> negatives;
  for (const UserItem& pair : random_pairs(count, users, items, seed + 1)) {
    negatives.push_back(pair.item);
  }
  return gather_triples(vectors, random_pairs(count, users, items, seed), negatives);
}

inline torch::Tensor double_tensor(const Matrix& matrix) {
  const auto rows = static_cast<std::int64_t>(matrix.rows());
  const auto cols = static_cast<std::int64_t>(matrix.cols());
  return torch::from_blob(const_cast<float*>(matrix.data()), {rows, cols}).to(torch::kFloat64);
}

inline torch::Tensor double_tensor(const std::vector<float>& values) {
  return torch::from_blob(const_cast<float*>(values.data()),
                          {static_cast<std::int64_t>(values.size())})
      .to(torch::kFloat64);
}

inline torch::Tensor part(const torch::Tensor& flat, std::size_t begin, std::size_t count) {
  return flat.narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count));
}

// f(u, i; θ) of rows of vectors, θ flat.
inline torch::Tensor torch_scores(const ScenarioNet& net, const std::string& kind,
                                  const torch::Tensor& theta, const torch::Tensor& users,
                                  const torch::Tensor& items) {
  const auto& tensors = net.tensors();
  const auto linear = [&](std::size_t k, const torch::Tensor& x) {
    const Tensor& weight = tensors[2 * k];
    const Tensor& bias = tensors[2 * k + 1];
    return torch::addmm(
        part(theta, bias.begin, bias.size()), x,
        part(theta, weight.begin, weight.size())
            .view({static_cast<std::int64_t>(weight.out), static_cast<std::int64_t>(weight.in)})
            .t());
  };
  const torch::Tensor both = torch::cat({users, items}, 1);
  if (kind == "mapping") {
    return (linear(1, torch::relu(linear(0, users))) * linear(3, torch::relu(linear(2, items))))
        .sum(1);
  }
  if (kind == "hybrid") {
    return linear(2, torch::cat({linear(1, torch::relu(linear(0, both))), users * items}, 1))
        .squeeze(1);
  }
  torch::Tensor x = both;
  for (std::size_t k = 0; k < 3; ++k) x = torch::relu(linear(k, x));
  return linear(3, x).squeeze(1);
}

inline torch::Tensor torch_hinge(const ScenarioNet& net, const std::string& kind,
                                 const torch::Tensor& theta, const Triples& batch) {
  const torch::Tensor users = double_tensor(batch.users);
  const auto items = double_tensor(batch.items).chunk(2);
  return torch::relu(1.0 - torch_scores(net, kind, theta, users, items[0]) +
                     torch_scores(net, kind, theta, users, items[1]))
      .mean();
}

}  // namespace kindling::s2meta::testing
