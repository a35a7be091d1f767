#include "kindling/models/s2meta/learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindling::s2meta {

namespace {

constexpr std::size_t kPaperStopHidden = 18;

StopController make_stop(const Options& options, std::size_t tensors) {
  if (options.stop_inputs == "total") return StopController(2, kPaperStopHidden);
  return StopController(tensors + 1, 2 * (tensors + 1));
}

}  // namespace

Learner::Learner(const Options& chosen, std::size_t dim)
    : options(chosen),
      net(chosen.network, dim),
      shape{chosen.loss_input == "both" ? std::size_t{2} : std::size_t{1}, chosen.layer_norm},
      stop(make_stop(chosen, net.tensors().size())) {
  for (std::size_t k = 0; k < net.tensors().size(); ++k) {
    const std::size_t chunks = kernels::controller_chunks(net.tensors()[k].size());
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) pieces_.push_back({k, chunk});
  }
}

// PyTorch's default for the cell, Xavier-normal heads; biases of the heads 0 (α about a half) and 5
// (β about 0.993); h_0 and c_0 standard normal [C]. The forget gate's bias is 1 in all 16 units
// [S9]; "input" does what the code does: entries 4 … 7, which are the input gate's.
std::vector<float> Learner::init_controller(Rng& rng) const {
  constexpr std::size_t kUnits = kernels::kControllerHidden;
  std::vector<float> p(shape.count());
  const double width = 1.0 / std::sqrt(static_cast<double>(kUnits));
  for (std::size_t i = 0; i < shape.norm_scale(); ++i) {
    p[i] = static_cast<float>(rng.uniform(-width, width));
  }
  const std::size_t first = options.forget_bias == "input" ? 4 : kUnits;
  const std::size_t count = options.forget_bias == "input" ? 4 : kUnits;
  for (std::size_t i = first; i < first + count; ++i) {
    p[shape.input_bias() + i] = 1.0F;
    p[shape.hidden_bias() + i] = 0.0F;
  }
  std::fill_n(&p[shape.norm_scale()], kUnits, 1.0F);
  const double xavier = std::sqrt(2.0 / static_cast<double>(kUnits + 1));
  for (const std::size_t head : {shape.alpha(), shape.beta()}) {
    for (std::size_t u = 0; u < kUnits; ++u) {
      p[head + u] = static_cast<float>(rng.normal() * xavier);
    }
  }
  p[shape.beta() + kUnits] = 5.0F;
  for (std::size_t i = shape.start_hidden(); i < shape.count(); ++i) {
    p[i] = static_cast<float>(rng.normal());
  }
  return p;
}

std::vector<float> Learner::init(const Rng& rng) const {
  Rng of_start = rng.fork("start");
  std::vector<float> omega = net.init(of_start);
  for (std::size_t k = 0; k < net.tensors().size(); ++k) {
    Rng of_controller = rng.fork("controller", k);
    const std::vector<float> part = init_controller(of_controller);
    omega.insert(omega.end(), part.begin(), part.end());
  }
  Rng of_stop = rng.fork("stop");
  const std::vector<float> part = stop.init(of_stop);
  omega.insert(omega.end(), part.begin(), part.end());
  return omega;
}

Controllers Learner::pack(std::span<const float> omega) const {
  const float clamp = options.gradient_clamp > 0.0 ? static_cast<float>(options.gradient_clamp)
                                                   : std::numeric_limits<float>::infinity();
  Controllers controllers;
  for (std::size_t k = 0; k < net.tensors().size(); ++k) {
    controllers.emplace_back(shape, omega.subspan(controller_begin(k), shape.count()), clamp);
  }
  return controllers;
}

}  // namespace kindling::s2meta
