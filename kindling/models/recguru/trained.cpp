#include "kindling/models/recguru/trained.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kindling::recguru {

namespace {

train::Tensors tensors_of(const torch::nn::Module& module) {
  train::Tensors all;
  for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
}

}  // namespace

train::Tensors Trained::parameters() const {
  train::Tensors all = tensors_of(net_);
  for (const int domain : {kSource, kTarget}) {
    if (tables_.of[domain].defined()) all.emplace_back(kTableNames[domain], tables_.of[domain]);
  }
  return all;
}

train::Tensors Trained::critic_parameters() const {
  return critic_ == nullptr ? train::Tensors{} : tensors_of(*critic_);
}

std::unique_ptr<train::Optimizer> Trained::adam(double rate, double beta1, double beta2, double eps,
                                                const train::Tensors& tensors) const {
  std::vector<train::Parameter> parameters;
  for (const auto& [name, tensor] : tensors) {
    parameters.push_back({name, tensor, 0.0, options_.tables == "dense"});
  }
  return train::make_optimizer(
      {.kind = "adam", .learning_rate = rate, .eps = eps, .beta1 = beta1, .beta2 = beta2},
      parameters);
}

void Trained::start(int phase, double rate) {
  critic_optimizer_.reset();
  if (phase == 0) optimizer_ = adam(rate, 0.9, options_.pretrain_beta2, 1e-9, parameters());
  if (phase == 1) {
    optimizer_ = adam(rate, 0.5, 0.9, 1e-8, parameters());
    critic_optimizer_ = adam(rate, 0.5, 0.9, 1e-8, critic_parameters());
  }
  if (phase == 2) optimizer_ = adam(rate, 0.9, options_.finetune_beta2, 1e-8, parameters());
  for (const auto& [name, parameter] : parameters()) {
    torch::Tensor same = parameter;
    same.mutable_grad() = torch::Tensor();
  }
}

train::Tensors Trained::state() const {
  train::Tensors all = with_prefix("net/", parameters());
  append(all, with_prefix("critic/", critic_parameters()));
  append(all, with_prefix("optimizer/", optimizer_->state()));
  if (!critic_optimizer_) return all;
  append(all, with_prefix("critic_optimizer/", critic_optimizer_->state()));
  return all;
}

void Trained::restore(const train::Tensors& state, const std::string& place) {
  recguru::restore(of_prefix("net/", state), parameters(), place);
  recguru::restore(of_prefix("critic/", state), critic_parameters(), place);
  optimizer_->load_state(of_prefix("optimizer/", state));
  if (!critic_optimizer_) return;
  critic_optimizer_->load_state(of_prefix("critic_optimizer/", state));
}

bool Trained::finite() const {
  const train::Tensors all = state();
  return std::all_of(all.begin(), all.end(), [](const auto& named) {
    return torch::isfinite(named.second).all().template item<bool>();
  });
}

void GoodStates::clear() {
  last_.clear();
  later_.clear();
}

void GoodStates::start(const train::Tensors& state) { last_ = later_ = copies(state); }

void GoodStates::keep(const train::Tensors& state) {
  last_ = std::move(later_);
  later_ = copies(state);
}

void GoodStates::save(train::Tensors& into) const {
  append(into, with_prefix("good/", last_));
  append(into, with_prefix("later/", later_));
}

void GoodStates::load(const train::Tensors& from) {
  last_ = of_prefix("good/", from);
  later_ = of_prefix("later/", from);
}

}  // namespace kindling::recguru
