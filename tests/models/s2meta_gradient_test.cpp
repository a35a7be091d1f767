// The meta-gradient of a whole inner run against LibTorch's autograd and finite differences, with
// inner gradients and everything the controllers see held constant (first order).
#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include "kindling/models/s2meta/inner_loop.h"
#include "kindling/models/s2meta/smooth.h"
#include "tests/models/s2meta_support.h"
#include "tests/support/gradient_check.h"

namespace kindling::s2meta {
namespace {

struct RunOfOneTask {
  Options options;
  std::unique_ptr<Learner> learner;
  std::vector<float> omega;
  FrozenVectors vectors;
  Triples query;
  std::unique_ptr<InnerRun> run;
  std::vector<float> gradient;

  RunOfOneTask(Options chosen, std::size_t dim) : options(std::move(chosen)) {
    learner = std::make_unique<Learner>(options, dim);
    omega = learner->init(Rng(7));
    vectors = testing::random_vectors(20, 15, dim);
    query = testing::random_triples(vectors, 12);
    run = std::make_unique<InnerRun>(*learner);
    gradient.resize(learner->size());
    const auto support = testing::random_pairs(16, 20, 15);
    const std::vector<ItemId> candidates{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    const Controllers controllers = learner->pack(omega);
    Rng draws(11);
    run->forward(omega, controllers, {&vectors, support, candidates, &query}, draws, true);
    run->backward(omega, controllers, gradient);
  }

  // σ of every gate from [rows, 4H] sums; returns h' and c'.
  static std::pair<torch::Tensor, torch::Tensor> cell(const torch::Tensor& sums,
                                                      const torch::Tensor& c) {
    const auto gates = sums.chunk(4, 1);
    const torch::Tensor next =
        torch::sigmoid(gates[1]) * c + torch::sigmoid(gates[0]) * torch::tanh(gates[2]);
    return {torch::sigmoid(gates[3]) * torch::tanh(next), next};
  }

  torch::Tensor smooth_tensor(const torch::Tensor& x) const {
    const torch::Tensor large = x.abs() >= std::exp(-10.0);
    const torch::Tensor first =
        torch::where(large, torch::log(x.abs() + 1e-300) / 10.0, -torch::ones_like(x));
    return torch::stack({first, torch::where(large, torch::sign(x), x * std::exp(10.0))}, 1);
  }

  torch::Tensor theta_of_tensor(const torch::Tensor& w, std::size_t k) const {
    const Tensor& tensor = learner->net.tensors()[k];
    const auto& shape = learner->shape;
    const auto rows = static_cast<std::int64_t>(tensor.size());
    const torch::Tensor p = testing::part(w, learner->controller_begin(k), shape.count());
    const auto inputs = static_cast<std::int64_t>(shape.inputs());
    torch::Tensor h = testing::part(p, shape.start_hidden(), 16).expand({rows, 16});
    torch::Tensor c = testing::part(p, shape.start_cell(), 16).expand({rows, 16});
    torch::Tensor theta = testing::part(w, tensor.begin, tensor.size());
    const auto head = [&](std::size_t begin) {
      return torch::sigmoid(torch::mv(h, testing::part(p, begin, 16)) +
                            p[static_cast<std::int64_t>(begin) + 16]);
    };
    for (std::size_t t = 0; t < run->steps().size(); ++t) {
      torch::Tensor g =
          testing::part(testing::double_tensor(run->gradient(t)), tensor.begin, tensor.size());
      if (options.gradient_clamp > 0.0) {
        g = g.clamp(-options.gradient_clamp, options.gradient_clamp);
      }
      const auto loss = smooth(run->steps()[t].loss);
      std::vector<torch::Tensor> x{
          smooth_tensor(g), smooth_tensor(testing::part(testing::double_tensor(run->theta(t)),
                                                        tensor.begin, tensor.size()))};
      for (std::size_t l = 0; l < shape.loss_inputs; ++l) {
        x.push_back(torch::full({rows, 1}, loss[l], torch::kFloat64));
      }
      const torch::Tensor sums =
          torch::mm(torch::cat(x, 1),
                    testing::part(p, shape.input(), 64 * shape.inputs()).view({64, inputs}).t()) +
          torch::mm(h, testing::part(p, shape.hidden(), 64 * 16).view({64, 16}).t()) +
          testing::part(p, shape.input_bias(), 64) + testing::part(p, shape.hidden_bias(), 64);
      std::tie(h, c) = cell(sums, c);
      if (shape.layer_norm) {
        h = torch::layer_norm(h, {16}, testing::part(p, shape.norm_scale(), 16),
                              testing::part(p, shape.norm_shift(), 16), 1e-5);
      }
      theta = head(shape.beta()) * theta - head(shape.alpha()) * g;
    }
    return theta;
  }

  // − Σ ln(1 − p_t)(L_t − L_T)
  torch::Tensor policy(const torch::Tensor& w) const {
    const auto in = static_cast<std::int64_t>(learner->stop.inputs());
    const auto hidden = static_cast<std::int64_t>(learner->stop.hidden());
    std::int64_t at = static_cast<std::int64_t>(learner->stop_begin());
    const auto take = [&](std::int64_t count) {
      at += count;
      return w.narrow(0, at - count, count);
    };
    const torch::Tensor input = take(4 * hidden * in).view({4 * hidden, in});
    const torch::Tensor recurrent = take(4 * hidden * hidden).view({4 * hidden, hidden});
    const torch::Tensor biases = take(4 * hidden) + take(4 * hidden);
    const torch::Tensor weight = take(hidden);
    const torch::Tensor bias = take(1);
    torch::Tensor h = take(hidden).unsqueeze(0);
    torch::Tensor c = take(hidden).unsqueeze(0);
    torch::Tensor sum = torch::zeros({1}, torch::kFloat64);
    for (const InnerRun::Step& step : run->steps()) {
      std::vector<double> seen;
      for (const double norm : step.norms) seen.push_back(smooth(norm)[0]);
      seen.push_back(smooth(step.loss)[0]);
      const torch::Tensor x = torch::tensor(seen, torch::kFloat64).unsqueeze(0);
      std::tie(h, c) = cell(torch::mm(x, input.t()) + torch::mm(h, recurrent.t()) + biases, c);
      const torch::Tensor p = torch::sigmoid(torch::mv(h, weight) + bias);
      sum = sum - torch::log(1.0 - p) * (step.query_loss - run->final_loss());
    }
    return sum.sum();
  }

  torch::Tensor objective(const torch::Tensor& w) const {
    std::vector<torch::Tensor> parts;
    for (std::size_t k = 0; k < learner->net.tensors().size(); ++k) {
      parts.push_back(options.has_update_controller()
                          ? theta_of_tensor(w, k)
                          : fixed_rate_theta(w, learner->net.tensors()[k]));
    }
    const torch::Tensor loss =
        testing::torch_hinge(learner->net, options.network, torch::cat(parts), query);
    return options.has_stop_controller() ? loss + policy(w) : loss;
  }

  torch::Tensor fixed_rate_theta(const torch::Tensor& w, const Tensor& tensor) const {
    torch::Tensor theta = testing::part(w, tensor.begin, tensor.size());
    for (std::size_t t = 0; t < run->steps().size(); ++t) {
      theta = theta - options.fixed_rate * testing::part(testing::double_tensor(run->gradient(t)),
                                                         tensor.begin, tensor.size());
    }
    return theta;
  }

  void expect_equal_to_autograd() const {
    const torch::Tensor w = testing::double_tensor(omega).requires_grad_();
    const torch::Tensor value = objective(w);
    value.backward();
    double largest = 0.0;
    for (const float g : gradient) largest = std::max(largest, std::fabs(static_cast<double>(g)));
    ASSERT_GT(largest, 0.0);
    const double* wanted = w.grad().data_ptr<double>();
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(gradient[i]), wanted[i],
                  2e-5 * largest + 1e-3 * std::fabs(wanted[i]))
          << "parameter " << i << " of " << gradient.size();
    }
  }
};

Options small_options(const std::string& network) {
  Options options;
  options.network = network;
  options.inner_batch = 16;
  options.max_steps = 6;
  return options;
}

class MetaGradients : public ::testing::TestWithParam<const char*> {};

TEST_P(MetaGradients, EqualAutogradWithConstantInnerGradients) {
  const RunOfOneTask task(small_options(GetParam()), 8);
  ASSERT_GE(task.run->steps().size(), 4U);
  task.expect_equal_to_autograd();
}

INSTANTIATE_TEST_SUITE_P(All, MetaGradients, ::testing::Values("mapping", "interaction", "hybrid"),
                         [](const auto& param) { return std::string(param.param); });

TEST(MetaGradient, EqualsAutogradWithThePapersControllers) {
  Options options = small_options("interaction");
  options.layer_norm = false;
  options.loss_input = "both";
  options.gradient_clamp = 0.0;
  RunOfOneTask(options, 4).expect_equal_to_autograd();
}

TEST(MetaGradient, EqualsAutogradWithoutControllers) {
  Options options = small_options("hybrid");
  options.update = "fixed";
  options.stop = "fixed";
  const RunOfOneTask task(options, 4);
  EXPECT_EQ(task.run->steps().size(), 6U);
  task.expect_equal_to_autograd();
}

TEST(MetaGradient, MatchesFiniteDifferencesOfTheWholeRun) {
  Options options = small_options("interaction");
  options.max_steps = 3;
  const RunOfOneTask task(options, 4);
  const torch::Tensor omega = testing::double_tensor(task.omega);
  // ω_R; layer norm, heads and start of the first tensor's controller; head and start of the stop
  // controller. The rest is held fast by the comparison with autograd.
  const auto& shape = task.learner->shape;
  const auto net = static_cast<std::int64_t>(task.learner->net.size());
  const auto norm = net + static_cast<std::int64_t>(shape.norm_scale());
  const auto next = net + static_cast<std::int64_t>(shape.count());
  const auto end = static_cast<std::int64_t>(task.learner->size());
  const auto head = end - 3 * static_cast<std::int64_t>(task.learner->stop.hidden()) - 1;
  const torch::Tensor start = omega.narrow(0, 0, net).clone().requires_grad_();
  const torch::Tensor controller = omega.narrow(0, norm, next - norm).clone().requires_grad_();
  const torch::Tensor stop = omega.narrow(0, head, end - head).clone().requires_grad_();
  kindling::testing::expect_gradient_matches(
      [&] {
        return task.objective(torch::cat({start, omega.narrow(0, net, norm - net), controller,
                                          omega.narrow(0, next, head - next), stop}));
      },
      {start, controller, stop});
}

TEST(MetaGradient, StoredAndRecomputedAreTheSame) {
  Options options = small_options("mapping");
  const RunOfOneTask again(options, 8);
  options.backward = "stored";
  const RunOfOneTask stored(options, 8);
  EXPECT_EQ(stored.gradient, again.gradient);
  EXPECT_GT(stored.run->bytes(), 3 * again.run->bytes());
}

TEST(MetaGradient, PolicyOfStoppingHasTheOppositeSign) {
  Options options = small_options("mapping");
  const RunOfOneTask going_on(options, 4);
  options.policy = "stop";
  const RunOfOneTask stopping(options, 4);
  const auto& step = going_on.run->steps().back();
  ASSERT_NE(step.query_loss, going_on.run->final_loss());
  const std::size_t head_bias = going_on.learner->size() - 2 * going_on.learner->stop.hidden() - 1;
  EXPECT_LT(going_on.gradient[head_bias] * stopping.gradient[head_bias], 0.0F);
}

}  // namespace
}  // namespace kindling::s2meta
