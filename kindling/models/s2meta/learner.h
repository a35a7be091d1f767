// What a meta learner is made of, without its parameters: the network, the controllers, and where
// each lies in one flat array ω = [ω_R, ω_u of each tensor, ω_s].
//
//   const Learner learner(options, vectors.dim());
//   std::vector<float> omega = learner.init(rng);                 // [learner.size()]
//   const Controllers controllers = learner.pack(omega);          // anew after every change of ω
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kindling/kernels/update_controller.h"
#include "kindling/models/s2meta/options.h"
#include "kindling/models/s2meta/scenario_net.h"
#include "kindling/models/s2meta/stop_controller.h"

namespace kindling::s2meta {

using Controllers = std::vector<kernels::PackedController>;  // one a tensor

class Learner {
 public:
  Learner(const Options& options, std::size_t dim);

  Options options;
  ScenarioNet net;
  kernels::ControllerShape shape;
  StopController stop;

  // ω_R is always there (RandInit never reads or changes it), the controllers too.
  std::size_t size() const { return stop_begin() + stop.size(); }
  std::size_t controller_begin(std::size_t tensor) const {
    return net.size() + tensor * shape.count();
  }
  std::size_t stop_begin() const { return controller_begin(net.tensors().size()); }
  template <class T>
  std::span<T> stop_part(std::span<T> omega) const {
    return omega.subspan(stop_begin(), stop.size());
  }

  // Every part from its own stream of `rng`.
  std::vector<float> init(const Rng& rng) const;
  Controllers pack(std::span<const float> omega) const;

  // One piece of work of the update controllers: rows [chunk] of a tensor.
  struct Piece {
    std::size_t tensor;
    std::size_t chunk;
  };
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  std::vector<float> init_controller(Rng& rng) const;
  std::vector<Piece> pieces_;
};

}  // namespace kindling::s2meta
