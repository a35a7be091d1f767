#include "kindling/train/optimizers.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/kernels/adagrad.h"
#include "kindling/kernels/adam.h"

namespace kindling::train {

namespace {

// table[rows[r]] = values[r], or 0 without values. LibTorch's index_copy and index_fill go float by
// float.
void set_rows(torch::Tensor& table, const torch::Tensor& rows, const torch::Tensor& values) {
  const bool plain = table.is_cpu() && table.is_contiguous() && rows.is_contiguous() &&
                     table.scalar_type() == torch::kFloat32;
  if (!plain || (values.defined() && !values.is_contiguous())) {
    if (values.defined()) table.index_copy_(0, rows, values);
    if (!values.defined()) table.index_fill_(0, rows, 0.0);
    return;
  }
  const auto width = static_cast<std::size_t>(table.numel() / table.size(0));
  const auto* index = rows.data_ptr<std::int64_t>();
  const float* from = values.defined() ? values.data_ptr<float>() : nullptr;
  auto* const first = table.data_ptr<float>();  // asked once: it takes longer than a row
  for (std::int64_t r = 0; r < rows.numel(); ++r) {
    float* row = first + static_cast<std::size_t>(index[r]) * width;
    if (from != nullptr) {
      std::copy_n(from + static_cast<std::size_t>(r) * width, width, row);
    } else {
      std::fill_n(row, width, 0.0F);
    }
  }
}

class Sgd : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  std::vector<std::string> state_names() const override { return {}; }
  void update(Update now, std::vector<torch::Tensor>&) override {
    add_decay(now);
    now.p.add_(now.g, -options_.learning_rate);
  }
};

class Adagrad : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  std::vector<std::string> state_names() const override { return {"sum"}; }
  void update(Update now, std::vector<torch::Tensor>& state) override {
    if (in_one_pass(now, state)) {
      kernels::AdagradStep step;
      step.rate = static_cast<float>(options_.learning_rate);
      step.epsilon = static_cast<float>(options_.eps);
      step.decay = static_cast<float>(now.decay);
      kernels::adagrad(now.p.data_ptr<float>(), now.g.data_ptr<float>(), state[0].data_ptr<float>(),
                       static_cast<std::size_t>(now.p.numel()), step);
      return;
    }
    add_decay(now);
    state[0].addcmul_(now.g, now.g);
    now.p.addcdiv_(now.g, state[0].sqrt().add_(options_.eps), -options_.learning_rate);
  }
};

// Kingma & Ba 2015; with `decoupled` Loshchilov & Hutter 2019 (AdamW).
class Adam : public Optimizer {
 public:
  Adam(const OptimizerOptions& options, std::vector<Parameter> parameters, bool decoupled)
      : Optimizer(options, std::move(parameters)), decoupled_(decoupled) {}

 private:
  std::vector<std::string> state_names() const override { return {"mean", "square"}; }
  void update(Update now, std::vector<torch::Tensor>& state) override {
    const double lr = options_.learning_rate;
    if (in_one_pass(now, state)) return fused(now, state);
    if (decoupled_) {
      now.p.mul_(1.0 - lr * now.decay);
    } else {
      add_decay(now);
    }
    state[0].mul_(options_.beta1).add_(now.g, 1.0 - options_.beta1);
    state[1].mul_(options_.beta2).addcmul_(now.g, now.g, 1.0 - options_.beta2);
    const auto steps = static_cast<double>(now.step_count);
    const double mean_scale = 1.0 - std::pow(options_.beta1, steps);
    const double root_scale = std::sqrt(1.0 - std::pow(options_.beta2, steps));
    const torch::Tensor divisor = state[1].sqrt().div_(root_scale).add_(options_.eps);
    now.p.addcdiv_(state[0], divisor, -lr / mean_scale);
  }

  void fused(Update now, std::vector<torch::Tensor>& state) const {
    kernels::AdamStep step;
    step.rate = static_cast<float>(options_.learning_rate);
    step.beta1 = static_cast<float>(options_.beta1);
    step.beta2 = static_cast<float>(options_.beta2);
    step.epsilon = static_cast<float>(options_.eps);
    step.step = now.step_count;
    if (decoupled_) {
      if (now.decay != 0.0) now.p.mul_(1.0 - options_.learning_rate * now.decay);
    } else {
      step.decay = static_cast<float>(now.decay);
    }
    kernels::adam(now.p.data_ptr<float>(), now.g.data_ptr<float>(), state[0].data_ptr<float>(),
                  state[1].data_ptr<float>(), static_cast<std::size_t>(now.p.numel()), step);
  }

  bool decoupled_;
};

}  // namespace

Optimizer::Optimizer(OptimizerOptions options, std::vector<Parameter> parameters)
    : options_(std::move(options)), parameters_(std::move(parameters)) {}

void Optimizer::make_state() {
  if (!state_.empty()) return;
  const std::size_t parts = state_names().size();
  for (const Parameter& parameter : parameters_) {
    std::vector<torch::Tensor> tensors;
    for (std::size_t part = 0; part < parts; ++part) {
      tensors.push_back(torch::zeros_like(parameter.value.detach()));
    }
    state_.push_back(std::move(tensors));
  }
}

void Optimizer::add_rows(const std::string& parameter, torch::Tensor rows, torch::Tensor gradient) {
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    if (parameters_[index].name != parameter) continue;
    const bool again = std::any_of(row_gradients_.begin(), row_gradients_.end(),
                                   [&](const RowGradient& r) { return r.parameter == index; });
    check(!again || !parameters_[index].whole, "a whole parameter has one row gradient a step");
    row_gradients_.push_back({index, std::move(rows), std::move(gradient)});
    return;
  }
  throw Error(Kind::kInternal, fmt::format("no parameter {}", parameter));
}

double Optimizer::gradient_norm() const {
  double sum = 0.0;
  const auto add = [&](const torch::Tensor& gradient) {
    const double norm = gradient.norm().item<double>();
    sum += norm * norm;
  };
  for (const Parameter& parameter : parameters_) {
    if (parameter.value.grad().defined()) add(parameter.value.grad());
  }
  for (const RowGradient& rows : row_gradients_) add(rows.gradient);
  return std::sqrt(sum);
}

void Optimizer::clip(double limit) {
  const double norm = gradient_norm();
  if (!(norm > limit)) return;
  const double factor = limit / norm;
  for (const Parameter& parameter : parameters_) {
    if (parameter.value.grad().defined()) parameter.value.mutable_grad().mul_(factor);
  }
  for (RowGradient& rows : row_gradients_) rows.gradient.mul_(factor);
}

void Optimizer::step() {
  const torch::NoGradGuard no_grad;
  make_state();
  ++steps_;
  for (std::size_t index = 0; index < parameters_.size(); ++index) step_dense(index);
  for (const RowGradient& rows : row_gradients_) {
    if (parameters_[rows.parameter].whole) {
      step_whole(rows);
    } else {
      step_rows(rows);
    }
  }
  row_gradients_.clear();
}

void Optimizer::step_dense(std::size_t index) {
  torch::Tensor value = parameters_[index].value;
  if (!value.grad().defined()) return;
  update({value, value.grad(), parameters_[index].decay, steps_}, state_[index]);
  value.mutable_grad() = torch::Tensor();
}

void Optimizer::step_rows(const RowGradient& row_gradient) {
  torch::Tensor value = parameters_[row_gradient.parameter].value;
  std::vector<torch::Tensor>& whole = state_[row_gradient.parameter];
  torch::Tensor p = value.index_select(0, row_gradient.rows);
  std::vector<torch::Tensor> state;
  for (const torch::Tensor& tensor : whole) {
    state.push_back(tensor.index_select(0, row_gradient.rows));
  }
  update({p, row_gradient.gradient, 0.0, steps_}, state);
  value.index_copy_(0, row_gradient.rows, p);
  for (std::size_t part = 0; part < state.size(); ++part) {
    whole[part].index_copy_(0, row_gradient.rows, state[part]);
  }
}

void Optimizer::step_whole(const RowGradient& row_gradient) {
  const Parameter& parameter = parameters_[row_gradient.parameter];
  zeros_.resize(parameters_.size());
  torch::Tensor& whole = zeros_[row_gradient.parameter];
  if (!whole.defined()) whole = torch::zeros_like(parameter.value.detach());
  set_rows(whole, row_gradient.rows, row_gradient.gradient);
  update({parameter.value, whole, parameter.decay, steps_}, state_[row_gradient.parameter]);
  set_rows(whole, row_gradient.rows, torch::Tensor());
}

Tensors Optimizer::state() const {
  Tensors all;
  const auto names = state_names();
  for (std::size_t index = 0; index < state_.size(); ++index) {
    for (std::size_t part = 0; part < names.size(); ++part) {
      all.emplace_back(parameters_[index].name + "." + names[part], state_[index][part]);
    }
  }
  // float32 counts exactly to 2^24; two parts keep larger step counts exact.
  all.emplace_back("steps", torch::tensor({static_cast<float>(steps_ >> 20),
                                           static_cast<float>(steps_ & ((1 << 20) - 1))}));
  return all;
}

void Optimizer::load_state(const Tensors& state) {
  const torch::NoGradGuard no_grad;
  const auto find = [&](const std::string& name) {
    for (const auto& [known, tensor] : state) {
      if (known == name) return tensor;
    }
    throw Error(Kind::kCorrupt, fmt::format("the optimiser state lacks {}", name));
  };
  const torch::Tensor steps = find("steps").cpu();
  if (steps.numel() != 2) throw Error(Kind::kCorrupt, "the optimiser's step count is damaged");
  steps_ = (static_cast<std::int64_t>(steps[0].item<float>()) << 20) +
           static_cast<std::int64_t>(steps[1].item<float>());
  state_.clear();
  if (steps_ == 0) return;
  make_state();
  const auto names = state_names();
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    for (std::size_t part = 0; part < names.size(); ++part) {
      const std::string name = parameters_[index].name + "." + names[part];
      const torch::Tensor saved = find(name);
      if (saved.sizes() != state_[index][part].sizes()) {
        throw Error(Kind::kCorrupt, fmt::format("the optimiser state {} has another shape", name));
      }
      state_[index][part].copy_(saved);
    }
  }
}

bool Optimizer::in_one_pass(const Update& now, const std::vector<torch::Tensor>& state) {
  const auto packed = [](const torch::Tensor& tensor) {
    return tensor.is_contiguous() && tensor.is_cpu() && tensor.scalar_type() == torch::kFloat32;
  };
  return packed(now.p) && packed(now.g) && std::all_of(state.begin(), state.end(), packed);
}

void Optimizer::add_decay(Update& now) {
  if (now.decay != 0.0) now.g = now.g.add(now.p, now.decay);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<Parameter> parameters) {
  if (options.kind == "sgd") return std::make_unique<Sgd>(options, std::move(parameters));
  if (options.kind == "adagrad") return std::make_unique<Adagrad>(options, std::move(parameters));
  if (options.kind == "adam" || options.kind == "adamw") {
    return std::make_unique<Adam>(options, std::move(parameters), options.kind == "adamw");
  }
  throw Error(Kind::kBadOption, fmt::format("unknown optimiser {}", quote(options.kind)), {},
              "the optimisers are sgd, adam, adamw, adagrad");
}

}  // namespace kindling::train
