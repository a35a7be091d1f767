// BPRMF: matrix factorisation by Bayesian personalised ranking on the target's interactions.
//
// Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009;
//         guoyang9/BPR-pytorch and RecGURU's adaptation of it [B9].
// Differs: the sampler of the adaptation may draw the pad row; here every negative is an item. The
//          best state is that of the best validation HR@10 [R14], in the adaptation HR@30.
//
//   user [d] · item [d]; −Σ log σ(p_u·q_i − p_u·q_j) over batches of (u, i, j)
#include "kindling/models/factors.h"
#include "kindling/models/registry.h"

namespace kindling::bprmf {

namespace {

class Bprmf : public FactorModel {
 public:
  explicit Bprmf(FactorOptions options) : FactorModel("bprmf"), options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    require_domains(task, false);
    const BprData data = bpr_data(*task.target_train->data);
    factors_ = start_factors(data, options_, Rng(context.seed).fork("bprmf"));
    std::function<double()> validate;
    if (context.validate) validate = [&] { return context.validate(*this); };
    train_factors(data, options_, "bprmf", context, validate, factors_);
  }

 private:
  FactorOptions options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  FactorOptions options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Bprmf>(options);
}

std::vector<OptionInfo> describe() { return describe_options(FactorOptions{}); }

}  // namespace kindling::bprmf
