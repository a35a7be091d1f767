#include "kindling/nn/user_network.h"

#include "kindling/base/error.h"
#include "kindling/nn/gru.h"
#include "kindling/nn/hrnn.h"
#include "kindling/nn/tcn.h"

namespace kindling::nn {

namespace {

// ZESRec-G: u_t is the state after step t. Carried: the state of each layer [B, D].
class GruNetwork : public UserNetwork {
 public:
  GruNetwork(const UserNetworkOptions& options, Rng& rng) : dropout_(options.dropout) {
    for (std::int64_t layer = 0; layer < options.layers; ++layer) {
      layers_.push_back(register_module("layer" + std::to_string(layer),
                                        std::make_shared<Gru>(options.dim, options.dim, rng)));
    }
  }

  torch::Tensor forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                        NetworkState* carried, Rng& rng) override {
    const bool fresh = carried == nullptr || carried->parts.empty();
    check(fresh || carried->parts.size() == layers_.size(), "one carried state for each layer");
    NetworkState next;
    torch::Tensor x = inputs;
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      if (layer > 0 && is_training()) x = dropout(x, dropout_, rng);
      torch::Tensor last;
      x = layers_[layer]->forward(x, batch.offsets, fresh ? torch::Tensor() : carried->parts[layer],
                                  carried != nullptr ? &last : nullptr);
      next.parts.push_back(last);
    }
    if (carried != nullptr) *carried = std::move(next);
    return x;
  }

 private:
  double dropout_;
  std::vector<std::shared_ptr<Gru>> layers_;
};

void require(bool holds, const char* option, const std::string& found, const char* rule) {
  if (holds) return;
  throw Error(Kind::kBadOption, std::string(rule) + ", found " + found, option);
}

}  // namespace

std::shared_ptr<UserNetwork> make_user_network(const UserNetworkOptions& options, Rng& rng) {
  const auto number = [](auto value) { return std::to_string(value); };
  require(options.dim > 0, "dim", number(options.dim), "must be above 0");
  require(options.layers > 0, "layers", number(options.layers), "must be above 0");
  require(options.tcn_blocks > 0 && options.tcn_blocks <= 16, "tcn_blocks",
          number(options.tcn_blocks), "must be between 1 and 16");
  require(options.tcn_kernel > 0, "tcn_kernel", number(options.tcn_kernel), "must be above 0");
  require(options.gap_dim > 0, "gap_dim", number(options.gap_dim), "must be above 0");
  require(options.dropout >= 0.0 && options.dropout < 1.0, "dropout", number(options.dropout),
          "must be at least 0 and below 1");
  if (options.kind == "gru") return std::make_shared<GruNetwork>(options, rng);
  if (options.kind == "tcn") return std::make_shared<Tcn>(options, rng);
  if (options.kind == "hrnn") return std::make_shared<Hrnn>(options, rng);
  if (options.kind == "hgru") return std::make_shared<Hgru>(options, rng);
  throw Error(Kind::kBadOption, "there is no user network " + quote(options.kind), "network",
              "one of gru, tcn, hrnn, hgru");
}

}  // namespace kindling::nn
