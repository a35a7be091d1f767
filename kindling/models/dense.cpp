#include "kindling/models/dense.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/kernels/gemm.h"

namespace kindling {

Tunable::Tunable(std::size_t count)
    : value(count, 0.0F), gradient(count, 0.0F), mean_(count, 0.0F), square_(count, 0.0F) {}

void Tunable::adam(const AdamRates& rates, std::int64_t t) {
  const auto steps = static_cast<double>(t);
  const auto grown1 = static_cast<float>(1.0 - std::pow(static_cast<double>(rates.beta1), steps));
  const auto grown2 = static_cast<float>(1.0 - std::pow(static_cast<double>(rates.beta2), steps));
  const float rate = rates.rate / grown1;
  const float scale = 1.0F / std::sqrt(grown2);
  for (std::size_t i = 0; i < value.size(); ++i) {
    float g = gradient[i];
    if (rates.clip > 0.0F) g = std::clamp(g, -rates.clip, rates.clip);
    mean_[i] += (1.0F - rates.beta1) * (g - mean_[i]);
    square_[i] += (1.0F - rates.beta2) * (g * g - square_[i]);
    value[i] -= rate * mean_[i] / (std::sqrt(square_[i]) * scale + rates.epsilon);
    gradient[i] = 0.0F;
  }
}

void Tunable::forget_moments() {
  std::fill(mean_.begin(), mean_.end(), 0.0F);
  std::fill(square_.begin(), square_.end(), 0.0F);
}

void Tunable::sgd(float rate) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    value[i] -= rate * gradient[i];
    gradient[i] = 0.0F;
  }
}

Dense::Dense(std::size_t in, std::size_t out) : weight(in * out), bias(out), in_(in), out_(out) {}

void Dense::init_uniform(Rng& rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in_));
  for (float& w : weight.value) w = static_cast<float>(rng.uniform(-bound, bound));
  for (float& b : bias.value) b = static_cast<float>(rng.uniform(-bound, bound));
}

void Dense::init_glorot(Rng& rng) {
  const double bound = std::sqrt(6.0 / static_cast<double>(in_ + out_));
  for (float& w : weight.value) w = static_cast<float>(rng.uniform(-bound, bound));
  std::fill(bias.value.begin(), bias.value.end(), 0.0F);
}

Matrix Dense::forward(const Matrix& x) const {
  check(x.cols() == in_, "a dense layer got rows of another width");
  Matrix y(x.rows(), out_);
  for (std::size_t r = 0; r < y.rows(); ++r) {
    std::copy(bias.value.begin(), bias.value.end(), y.row(r).begin());
  }
  kernels::gemm(kernels::Op::kPlain, kernels::Op::kTransposed, x.rows(), out_, in_, 1.0F, x.data(),
                weight.value.data(), 1.0F, y.data());
  return y;
}

Matrix Dense::backward(const Matrix& x, const Matrix& dy, bool wants_dx) {
  kernels::gemm(kernels::Op::kTransposed, kernels::Op::kPlain, out_, in_, x.rows(), 1.0F, dy.data(),
                x.data(), 1.0F, weight.gradient.data());
  for (std::size_t r = 0; r < dy.rows(); ++r) {
    for (std::size_t c = 0; c < out_; ++c) bias.gradient[c] += dy(r, c);
  }
  Matrix dx(wants_dx ? x.rows() : 0, in_);
  if (wants_dx) {
    kernels::gemm(kernels::Op::kPlain, kernels::Op::kPlain, x.rows(), in_, out_, 1.0F, dy.data(),
                  weight.value.data(), 0.0F, dx.data());
  }
  return dx;
}

void Dense::step(const AdamRates& rates, std::int64_t t) {
  weight.adam(rates, t);
  bias.adam(rates, t);
}

void Dense::forget_moments() {
  weight.forget_moments();
  bias.forget_moments();
}

void Dense::step_sgd(float rate) {
  weight.sgd(rate);
  bias.sgd(rate);
}

void Dense::append_state(const std::string& name, ModelState& state) const {
  const auto out = static_cast<std::int64_t>(out_);
  state.push_back({name + ".weight", {out, static_cast<std::int64_t>(in_)}, weight.value});
  state.push_back({name + ".bias", {out}, bias.value});
}

void relu_in_place(Matrix& x) {
  float* const values = x.data();
  for (std::size_t i = 0; i < x.rows() * x.cols(); ++i) values[i] = std::max(values[i], 0.0F);
}

void relu_backward_in_place(const Matrix& y, Matrix& dy) {
  for (std::size_t i = 0; i < y.rows() * y.cols(); ++i) {
    if (y.data()[i] <= 0.0F) dy.data()[i] = 0.0F;
  }
}

const NamedTensor& require_tensor(const ModelState& state, const std::string& name,
                                  const std::vector<std::int64_t>& shape) {
  const auto found = std::find_if(state.begin(), state.end(),
                                  [&](const NamedTensor& tensor) { return tensor.name == name; });
  if (found == state.end()) throw Error(Kind::kCorrupt, fmt::format("tensor {} is missing", name));
  if (found->shape != shape) {
    throw Error(Kind::kCorrupt, fmt::format("tensor {} has another shape than expected", name));
  }
  for (const float value : found->values) {
    if (!std::isfinite(value)) {
      throw Error(Kind::kCorrupt, fmt::format("tensor {} is not finite", name));
    }
  }
  return *found;
}

}  // namespace kindling
