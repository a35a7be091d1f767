#include "kindling/models/s2meta/scenario_net.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/gemm.h"
#include "kindling/kernels/tile_gemm.h"

namespace kindling::s2meta {

namespace {

using kernels::gemm;
using kernels::Op;
using kernels::tile_gemm;

// y [rows, out] = x Wᵀ + b, then ReLU when asked.
void linear_forward(const float* weight, const float* bias, std::size_t in, std::size_t out,
                    std::size_t rows, const float* x, bool relu, float* y) {
  tile_gemm(Op::kPlain, Op::kTransposed, rows, out, in, x, weight, 0.0F, y);
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = y + r * out;
    for (std::size_t o = 0; o < out; ++o) {
      const float sum = row[o] + bias[o];
      row[o] = relu && sum < 0.0F ? 0.0F : sum;
    }
  }
}

// [rows, 2d]: user r % users, item r.
void concatenate_pairs(MatrixView users, MatrixView items, std::vector<float>& pairs) {
  const std::size_t dim = users.cols();
  pairs.resize(items.rows() * 2 * dim);
  for (std::size_t r = 0; r < items.rows(); ++r) {
    std::copy_n(users.row(r % users.rows()).data(), dim, &pairs[r * 2 * dim]);
    std::copy_n(items.row(r).data(), dim, &pairs[r * 2 * dim + dim]);
  }
}

}  // namespace

ScenarioNet::ScenarioNet(const std::string& kind, std::size_t dim)
    : network_(kind == "mapping"       ? Network::kMapping
               : kind == "interaction" ? Network::kInteraction
                                       : Network::kHybrid),
      dim_(dim) {
  const auto share = [dim](std::size_t part) { return std::max<std::size_t>(1, dim / part); };
  switch (network_) {
    case Network::kInteraction:
      first_ = add_mlp("pair", {2 * dim, dim, share(2), share(4), 1});
      break;
    case Network::kMapping:
      first_ = add_mlp("user", {dim, dim, dim});
      second_ = add_mlp("item", {dim, dim, dim});
      break;
    case Network::kHybrid:
      first_ = add_mlp("pair", {2 * dim, dim, share(2)});
      second_ = add_mlp("output", {share(2) + dim, 1});
      tensors_.back().fan_in = share(2) + dim;  // the only bias that does not start at zero [C]
      break;
  }
}

ScenarioNet::Mlp ScenarioNet::add_mlp(const std::string& name,
                                      const std::vector<std::size_t>& widths) {
  Mlp mlp;
  for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
    const std::string layer = name + std::to_string(l);
    const Tensor weight{layer + ".weight", widths[l + 1], widths[l], size_, widths[l]};
    const Tensor bias{layer + ".bias", widths[l + 1], 0, size_ + weight.size(), 0};
    size_ += weight.size() + bias.size();
    mlp.push_back({widths[l], widths[l + 1], weight.begin, bias.begin});
    tensors_.push_back(weight);
    tensors_.push_back(bias);
  }
  return mlp;
}

std::vector<float> ScenarioNet::init(Rng& rng) const {
  std::vector<float> theta(size_, 0.0F);
  for (const Tensor& tensor : tensors_) {
    if (tensor.fan_in == 0) continue;
    const double width = 1.0 / std::sqrt(static_cast<double>(tensor.fan_in));
    for (std::size_t i = 0; i < tensor.size(); ++i) {
      theta[tensor.begin + i] = static_cast<float>(rng.uniform(-width, width));
    }
  }
  return theta;
}

void ScenarioNet::run_mlp(const Mlp& mlp, const float* theta, std::size_t rows, std::size_t first,
                          Scratch& scratch) {
  for (std::size_t l = 0; l < mlp.size(); ++l) {
    const Layer& layer = mlp[l];
    std::vector<float>& y = scratch.layers[first + l + 1];
    y.resize(rows * layer.out);
    linear_forward(theta + layer.weight, theta + layer.bias, layer.in, layer.out, rows,
                   scratch.layers[first + l].data(), l + 1 < mlp.size(), y.data());
  }
}

// gradients[first + mlp.size()] holds the gradient of the output; the input's is not computed
// below the first layer.
void ScenarioNet::run_mlp_back(const Mlp& mlp, const float* theta, std::size_t rows,
                               std::size_t first, float* gradient, Scratch& scratch) {
  for (std::size_t l = mlp.size(); l-- > 0;) {
    const Layer& layer = mlp[l];
    const float* d_y = scratch.gradients[first + l + 1].data();
    const std::vector<float>& x = scratch.layers[first + l];
    tile_gemm(Op::kTransposed, Op::kPlain, layer.out, layer.in, rows, d_y, x.data(), 0.0F,
              gradient + layer.weight);
    float* d_bias = gradient + layer.bias;
    std::fill_n(d_bias, layer.out, 0.0F);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < layer.out; ++o) d_bias[o] += d_y[r * layer.out + o];
    }
    if (l == 0) continue;
    std::vector<float>& d_x = scratch.gradients[first + l];
    d_x.resize(rows * layer.in);
    tile_gemm(Op::kPlain, Op::kPlain, rows, layer.in, layer.out, d_y, theta + layer.weight, 0.0F,
              d_x.data());
    for (std::size_t i = 0; i < d_x.size(); ++i) d_x[i] = x[i] > 0.0F ? d_x[i] : 0.0F;
  }
}

// layers of `scratch`: first_ from 0, second_ behind it.
void ScenarioNet::forward(const float* theta, const Triples& batch, Scratch& scratch) const {
  const std::size_t n = batch.count();
  const std::size_t second = first_.size() + 1;
  scratch.layers.resize(second + second_.size() + 1);
  scratch.gradients.resize(scratch.layers.size());
  scratch.scores.resize(2 * n);
  if (network_ == Network::kMapping) {
    scratch.layers[0].assign(batch.users.data(), batch.users.data() + n * dim_);
    scratch.layers[second].assign(batch.items.data(), batch.items.data() + 2 * n * dim_);
    run_mlp(first_, theta, n, 0, scratch);
    run_mlp(second_, theta, 2 * n, second, scratch);
    const float* u = scratch.layers[second - 1].data();
    const float* v = scratch.layers.back().data();
    for (std::size_t r = 0; r < 2 * n; ++r) {
      float sum = 0.0F;
      for (std::size_t d = 0; d < dim_; ++d) sum += u[r % n * dim_ + d] * v[r * dim_ + d];
      scratch.scores[r] = sum;
    }
    return;
  }
  concatenate_pairs(batch.users, batch.items, scratch.layers[0]);
  run_mlp(first_, theta, 2 * n, 0, scratch);
  if (network_ == Network::kInteraction) {
    std::copy_n(scratch.layers[second - 1].data(), 2 * n, scratch.scores.data());
    return;
  }
  const std::size_t hidden = first_.back().out;
  std::vector<float>& joined = scratch.layers[second];  // [2n, hidden + d]
  joined.resize(2 * n * (hidden + dim_));
  for (std::size_t r = 0; r < 2 * n; ++r) {
    float* row = &joined[r * (hidden + dim_)];
    std::copy_n(&scratch.layers[second - 1][r * hidden], hidden, row);
    const float* u = batch.users.row(r % n).data();
    const float* v = batch.items.row(r).data();
    for (std::size_t d = 0; d < dim_; ++d) row[hidden + d] = u[d] * v[d];
  }
  run_mlp(second_, theta, 2 * n, second, scratch);
  std::copy_n(scratch.layers.back().data(), 2 * n, scratch.scores.data());
}

void ScenarioNet::backward(const float* theta, const Triples& batch, float* gradient,
                           Scratch& scratch) const {
  const std::size_t n = batch.count();
  const std::size_t second = first_.size() + 1;
  const std::vector<float>& d_scores = scratch.d_scores;
  if (network_ == Network::kInteraction) {
    scratch.gradients[second - 1] = d_scores;
    run_mlp_back(first_, theta, 2 * n, 0, gradient, scratch);
    return;
  }
  if (network_ == Network::kHybrid) {
    scratch.gradients.back() = d_scores;
    run_mlp_back(second_, theta, 2 * n, second, gradient, scratch);
    // Only the first part of the last layer's input depends on θ.
    const std::size_t hidden = first_.back().out;
    std::vector<float>& d_hidden = scratch.gradients[second - 1];
    d_hidden.resize(2 * n * hidden);
    const float* weight = theta + second_.front().weight;
    for (std::size_t r = 0; r < 2 * n; ++r) {
      for (std::size_t h = 0; h < hidden; ++h) d_hidden[r * hidden + h] = d_scores[r] * weight[h];
    }
    run_mlp_back(first_, theta, 2 * n, 0, gradient, scratch);
    return;
  }
  const float* u = scratch.layers[second - 1].data();
  const float* v = scratch.layers.back().data();
  std::vector<float>& d_u = scratch.gradients[second - 1];
  std::vector<float>& d_v = scratch.gradients.back();
  d_u.resize(n * dim_);
  d_v.resize(2 * n * dim_);
  for (std::size_t r = 0; r < n; ++r) {
    const float plus = d_scores[r];
    const float minus = d_scores[n + r];
    for (std::size_t d = 0; d < dim_; ++d) {
      const std::size_t at = r * dim_ + d;
      d_u[at] = plus * v[at] + minus * v[n * dim_ + at];
      d_v[at] = plus * u[at];
      d_v[n * dim_ + at] = minus * u[at];
    }
  }
  run_mlp_back(first_, theta, n, 0, gradient, scratch);
  run_mlp_back(second_, theta, 2 * n, second, gradient, scratch);
}

double ScenarioNet::loss(const float* theta, const Triples& batch, Scratch& scratch) const {
  forward(theta, batch, scratch);
  const std::size_t n = batch.count();
  double sum = 0.0;
  for (std::size_t r = 0; r < n; ++r) {
    const double margin =
        1.0 - static_cast<double>(scratch.scores[r]) + static_cast<double>(scratch.scores[n + r]);
    if (!(margin <= 0.0)) sum += margin;  // NaN counts, so that it is seen
  }
  return sum / static_cast<double>(n);
}

double ScenarioNet::loss_and_gradient(const float* theta, const Triples& batch, float* gradient,
                                      Scratch& scratch) const {
  const double value = loss(theta, batch, scratch);
  const std::size_t n = batch.count();
  scratch.d_scores.assign(2 * n, 0.0F);
  const float share = 1.0F / static_cast<float>(n);
  for (std::size_t r = 0; r < n; ++r) {
    if (1.0F - scratch.scores[r] + scratch.scores[n + r] <= 0.0F) continue;
    scratch.d_scores[r] = -share;
    scratch.d_scores[n + r] = share;
  }
  backward(theta, batch, gradient, scratch);
  return value;
}

Matrix ScenarioNet::score(const float* theta, MatrixView users, MatrixView items) const {
  Matrix scores(users.rows(), items.rows());
  if (users.rows() == 0 || items.rows() == 0) return scores;
  if (network_ == Network::kMapping) {
    Scratch scratch;
    scratch.layers.resize(first_.size() + 1);
    const auto map = [&](const Mlp& mlp, MatrixView x) {
      scratch.layers[0].assign(x.data(), x.data() + x.rows() * dim_);
      run_mlp(mlp, theta, x.rows(), 0, scratch);
      return scratch.layers[mlp.size()];
    };
    const std::vector<float> u = map(first_, users);
    const std::vector<float> v = map(second_, items);
    gemm(Op::kPlain, Op::kTransposed, users.rows(), items.rows(), dim_, 1.0F, u.data(), v.data(),
         0.0F, scores.data());
    return scores;
  }
  score_pairs(theta, users, items, scores);
  return scores;
}

// The first layer splits into a user's and an item's part, computed once each; every pair then adds
// the two. hybrid's product joins as (w ⊙ e_u)·e_i, one matrix product.
void ScenarioNet::score_pairs(const float* theta, MatrixView users, MatrixView items,
                              Matrix& scores) const {
  const Layer& layer = first_.front();
  std::vector<float> of_user(layer.out * dim_);
  std::vector<float> of_item(layer.out * dim_);
  for (std::size_t o = 0; o < layer.out; ++o) {
    const float* row = theta + layer.weight + o * 2 * dim_;
    std::copy_n(row, dim_, &of_user[o * dim_]);
    std::copy_n(row + dim_, dim_, &of_item[o * dim_]);
  }
  std::vector<float> u(users.rows() * layer.out);
  std::vector<float> v(items.rows() * layer.out);
  const std::vector<float> zeros(layer.out, 0.0F);
  linear_forward(of_user.data(), zeros.data(), dim_, layer.out, users.rows(), users.data(), false,
                 u.data());
  linear_forward(of_item.data(), theta + layer.bias, dim_, layer.out, items.rows(), items.data(),
                 false, v.data());
  const std::size_t count = items.rows();
  const Mlp rest(first_.begin() + 1, first_.end());
  parallel_for(users.rows(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch scratch;
    scratch.layers.resize(rest.size() + 1);
    scratch.layers[0].resize(count * layer.out);
    for (std::size_t r = begin; r < end; ++r) {
      float* hidden = scratch.layers[0].data();
      for (std::size_t c = 0; c < count; ++c) {
        for (std::size_t o = 0; o < layer.out; ++o) {
          const float sum = u[r * layer.out + o] + v[c * layer.out + o];
          hidden[c * layer.out + o] = sum < 0.0F ? 0.0F : sum;
        }
      }
      run_mlp(rest, theta, count, 0, scratch);
      const std::vector<float>& result = scratch.layers[rest.size()];
      if (network_ == Network::kInteraction) {
        std::copy_n(result.data(), count, scores.row(r).data());
      } else {
        const Layer& last = second_.front();
        gemm(Op::kPlain, Op::kTransposed, count, 1, rest.back().out, 1.0F, result.data(),
             theta + last.weight, 0.0F, scores.row(r).data());
      }
    }
  });
  if (network_ == Network::kInteraction) return;
  const Layer& last = second_.front();
  const float* weight = theta + last.weight + first_.back().out;
  Matrix weighted(users.rows(), dim_);
  for (std::size_t r = 0; r < users.rows(); ++r) {
    for (std::size_t d = 0; d < dim_; ++d) weighted(r, d) = users(r, d) * weight[d];
  }
  gemm(Op::kPlain, Op::kTransposed, users.rows(), count, dim_, 1.0F, weighted.data(), items.data(),
       1.0F, scores.data());
  for (std::size_t i = 0; i < users.rows() * count; ++i) scores.data()[i] += theta[last.bias];
}

}  // namespace kindling::s2meta
