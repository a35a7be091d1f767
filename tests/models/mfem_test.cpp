// MFEM's map between the domains, with and without gradients that pile up [B13], beside its
// formulas in double.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/models/registry.h"
#include "kindling/models/user_map.h"
#include "kindling/nn/tensors.h"

namespace kindling {
namespace {

constexpr std::int64_t kMapDim = 4;
constexpr std::int64_t kMapSteps = 6;
constexpr double kMapRate = 0.05;

// Users p0 … with two items each; the last two have names of their own.
Dataset six_and_two(const std::string& own, int shift) {
  DatasetBuilder builder(false);
  for (int j = 0; j < 7; ++j) builder.item("i" + std::to_string(j));
  for (int u = 0; u < 8; ++u) {
    const UserId user = builder.user((u < 6 ? "p" : own) + std::to_string(u));
    for (const int item : {u, 2 * u + shift}) builder.add(user, static_cast<ItemId>(item % 7), 0);
  }
  return std::move(builder).build(own);
}

class MfemMap : public ::testing::Test {
 protected:
  // The users' vectors after fit(). One batch of all shared users is one step of the map; the merge
  // net stays where it began.
  torch::Tensor fitted(bool zero_gradients) const {
    OptionValues values = factor_options_;
    for (const auto& [name, value] :
         {std::pair{"map_epochs", std::to_string(kMapSteps)},
          std::pair{"map_learning_rate", std::to_string(kMapRate)},
          std::pair{"map_validation", std::string("0")},
          std::pair{"zero_gradients", std::string(zero_gradients ? "true" : "false")},
          std::pair{"merge_steps", std::string("1")},
          std::pair{"merge_learning_rate", std::string("1e-30")}}) {
      values.emplace_back(name, value);
    }
    TrainTask task;
    task.source = Domain{&source_, nullptr};
    task.target_train = Domain{&target_, nullptr};
    FitContext context;
    const auto model = make_model("mfem", values);
    model->fit(task, context);
    const NamedTensor users = model->state().front();
    return torch::tensor(users.values).view(users.shape).to(torch::kFloat64);
  }

  // linear, GELU (tanh), linear, LayerNorm
  static torch::Tensor mapped(const MapNet& map, const torch::Tensor& users) {
    const auto p = map.named_parameters();
    const torch::Tensor middle = torch::gelu(users.mm(p["w1"].t()) + p["b1"], "tanh");
    const torch::Tensor x = middle.mm(p["w2"].t()) + p["b2"];
    const torch::Tensor centred = x - x.mean(1, true);
    return centred / (centred.square().mean(1, true) + 1e-8).sqrt() * p["gain"] + p["shift"];
  }

  // Adam as Kingma & Ba have it on whatever lies in the gradients, which backward() adds to.
  static void learn(const torch::Tensor& x, const torch::Tensor& y, bool zero_gradients,
                    const MapNet& map) {
    const auto parameters = map.parameters();
    std::vector<torch::Tensor> mean, square;
    for (const torch::Tensor& parameter : parameters) {
      mean.push_back(torch::zeros_like(parameter));
      square.push_back(torch::zeros_like(parameter));
    }
    for (std::int64_t step = 1; step <= kMapSteps; ++step) {
      (mapped(map, x) - y).square().mean().backward();
      const torch::NoGradGuard no_grad;
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        torch::Tensor parameter = parameters[i];
        const torch::Tensor g = parameter.grad();
        mean[i] = 0.9 * mean[i] + 0.1 * g;
        square[i] = 0.98 * square[i] + 0.02 * g * g;
        const auto t = static_cast<double>(step);
        parameter -= kMapRate * (mean[i] / (1.0 - std::pow(0.9, t))) /
                     ((square[i] / (1.0 - std::pow(0.98, t))).sqrt() + 1e-8);
        if (zero_gradients) parameter.mutable_grad() = torch::Tensor();
      }
    }
  }

  torch::Tensor reference(bool zero_gradients) const {
    FactorOptions options;
    for (const auto& [name, value] : factor_options_) set_option(options, name, value);
    FitContext context;
    const Pretrained start = pretrain(target_, source_, options, "mfem", context, {});
    Rng weights = Rng(context.seed).fork("mfem").fork("weights");
    MapNet map(kMapDim, weights);
    MergeNet merge(kMapDim, weights);
    map.to(torch::kFloat64);
    merge.to(torch::kFloat64);
    const torch::Tensor users = nn::copy_matrix(start.target.users).to(torch::kFloat64);
    const torch::Tensor shared = nn::copy_matrix(start.source.users).narrow(0, 0, 6);
    const torch::Tensor wanted = shared.to(torch::kFloat64);  // p0 … p5 in either domain
    learn(users.narrow(0, 0, 6), wanted, zero_gradients, map);
    const torch::NoGradGuard no_grad;
    return merge.forward(users, torch::cat({wanted, mapped(map, users.narrow(0, 6, 2))}));
  }

  static double apart(const torch::Tensor& a, const torch::Tensor& b) {
    return (a - b).abs().max().item<double>();
  }

  Dataset target_ = six_and_two("t", 1);
  Dataset source_ = six_and_two("s", 3);
  OptionValues factor_options_ = {
      {"dim", std::to_string(kMapDim)}, {"epochs", "2"}, {"init_sd", "1"}, {"batch_size", "4"}};
};

TEST_F(MfemMap, TakesPlainStepsOfAdam) { EXPECT_LT(apart(fitted(true), reference(true)), 1e-4); }

TEST_F(MfemMap, PilesGradientsUpFromStepToStepWhenTheyAreNotZeroed) {
  EXPECT_LT(apart(fitted(false), reference(false)), 1e-4);
}

TEST_F(MfemMap, IsWhatTheSwitchChanges) {
  const torch::Tensor zeroed = fitted(true);
  const torch::Tensor piled = fitted(false);

  EXPECT_EQ(apart(zeroed.narrow(0, 0, 6), piled.narrow(0, 0, 6)), 0.0);  // true source vectors
  EXPECT_GT(apart(zeroed.narrow(0, 6, 2), piled.narrow(0, 6, 2)), 1e-2);
}

}  // namespace
}  // namespace kindling
