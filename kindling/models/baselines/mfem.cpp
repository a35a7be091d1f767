// MFEM: factor vectors in each domain, a map between the users' vectors, a net that merges both.
//
// Source: Man et al., Cross-Domain Recommendation: An Embedding and Mapping Approach, IJCAI 2017,
//         as RecGURU's comparison has it (its code, specs/baselines.md C).
// Differs: gradients are set to zero between steps of the map; that code never does [B13].
//
//   1 BPRMF in both domains, then frozen                  p_t, q_t; p_s
//   2 map(p_t) -> p_s on shared users, squared error      80 % train, 20 % pick the epoch
//   3 merge([p_t ; p_s or map(p_t)]) · q_t                BPR on shared and on target-only users
#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/user_map.h"
#include "kindling/nn/tensors.h"

namespace kindling::mfem {

namespace {

struct Options {
  FactorOptions factors;
  std::int64_t map_epochs = 200;
  std::int64_t map_batch = 300;
  double map_learning_rate = 0.006;
  double map_validation = 0.2;
  bool zero_gradients = true;
  std::int64_t merge_steps = 500;
  double merge_learning_rate = 0.006;
  std::int64_t merge_validate_every = 25;

  template <class Visitor>
  void fields(Visitor& field) {
    factors.fields(field);
    field("map_epochs", map_epochs, kPositive, "passes over the shared users [B13]");
    field("map_batch", map_batch, kPositive, "shared users in a step of the map [B13]");
    field("map_learning_rate", map_learning_rate, kPositive, "Adam's step size for the map [B13]");
    field("map_validation", map_validation, between(0.0, 0.9),
          "share of the shared users that picks the map's epoch [B13]");
    field("zero_gradients", zero_gradients, kAny,
          "false: gradients of the map pile up from step to step, as in RecGURU's code [B13]");
    field("merge_steps", merge_steps, kPositive, "steps of the merge net [B13]");
    field("merge_learning_rate", merge_learning_rate, kPositive,
          "Adam's step size for the merge net [B13]");
    field("merge_validate_every", merge_validate_every, kPositive,
          "steps of the merge net between validations [R14]");
  }
};

class Mfem : public FactorModel {
 public:
  explicit Mfem(Options options) : FactorModel("mfem"), options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    require_domains(task, true);
    nn::use_base_threads();
    const auto ask = [&](const Factors& factors) {
      factors_ = factors;
      return context.validate(*this);
    };
    const Pretrained start =
        pretrain(*task.target_train->data, *task.source->data, options_.factors, "mfem", context,
                 context.validate ? std::function<double(const Factors&)>(ask) : nullptr);
    factors_ = start.target;
    const Rng rng = Rng(context.seed).fork("mfem");
    Rng weights = rng.fork("weights");
    MapNet map(options_.factors.dim, weights);
    MergeNet merge(options_.factors.dim, weights);
    learn_map(start, map, rng.fork("map"));
    learn_merge(start, map, merge, rng.fork("merge"), context);
  }

 private:
  void learn_map(const Pretrained& start, MapNet& map, const Rng& rng) const {
    std::vector<SharedUser> users = start.shared;
    Rng order = rng.fork("split");
    shuffle(std::span<SharedUser>(users), order);
    const auto held =
        static_cast<std::size_t>(options_.map_validation * static_cast<double>(users.size()));
    const auto rows = [&](const Matrix& table, std::size_t first, std::size_t last, bool target) {
      std::vector<std::int64_t> index;
      for (std::size_t i = first; i < last; ++i) {
        index.push_back(target ? users[i].first : users[i].second);
      }
      return nn::copy_matrix(table).index_select(0, nn::index_tensor(index, torch::kCPU));
    };
    const torch::Tensor x = rows(start.target.users, held, users.size(), true);
    const torch::Tensor y = rows(start.source.users, held, users.size(), false);
    const torch::Tensor held_x = rows(start.target.users, 0, held, true);
    const torch::Tensor held_y = rows(start.source.users, 0, held, false);
    const auto adam = train::make_optimizer({.kind = "adam",
                                             .learning_rate = options_.map_learning_rate,
                                             .eps = 1e-8,
                                             .beta1 = 0.9,
                                             .beta2 = 0.98},
                                            parameters_of("map", map));
    BestParameters best;
    std::vector<torch::Tensor> piled(adam->parameters().size());
    for (std::int64_t epoch = 0; epoch < options_.map_epochs; ++epoch) {
      Rng shuffled = rng.fork("epoch", static_cast<std::uint64_t>(epoch));
      const auto permuted = permutation(static_cast<std::size_t>(x.size(0)), shuffled);
      const std::vector<std::int64_t> index(permuted.begin(), permuted.end());
      const torch::Tensor all = nn::index_tensor(index, torch::kCPU);
      for (std::int64_t at = 0; at < x.size(0); at += options_.map_batch) {
        const torch::Tensor some = all.narrow(0, at, std::min(options_.map_batch, x.size(0) - at));
        const torch::Tensor loss =
            torch::mse_loss(map.forward(x.index_select(0, some)), y.index_select(0, some));
        loss.backward();
        if (!options_.zero_gradients) pile_up(*adam, piled);
        adam->step();
      }
      if (held == 0) continue;
      const torch::NoGradGuard no_grad;
      best.offer(torch::mse_loss(map.forward(held_x), held_y).item<double>(), map);
    }
    best.restore(map);
  }

  // What a loop that never calls zero_grad() hands to its optimiser.
  static void pile_up(train::Optimizer& adam, std::vector<torch::Tensor>& piled) {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < piled.size(); ++i) {
      torch::Tensor value = adam.parameters()[i].value;
      piled[i] = piled[i].defined() ? piled[i] + value.grad() : value.grad().clone();
      value.mutable_grad() = piled[i].clone();
    }
  }

  void learn_merge(const Pretrained& start, const MapNet& map, MergeNet& merge, const Rng& rng,
                   FitContext& context) {
    const torch::Tensor users = nn::copy_matrix(start.target.users);
    const torch::Tensor items = nn::copy_matrix(start.target.items);
    const torch::Tensor source = nn::copy_matrix(start.source.users);
    torch::Tensor other;  // [users, d] the source vector of each, true or mapped
    {
      const torch::NoGradGuard no_grad;
      other = source_vectors(start, map, users, source);
    }
    std::vector<std::int64_t> shared;
    for (const SharedUser& user : start.shared) shared.push_back(user.first);
    const TripleSource both(start.target_data, shared);
    const TripleSource alone(start.target_data, start.alone);
    const auto batch = options_.factors.batch_size;
    const auto both_batch = shared_batch(batch, shared.size(), start.target_data.users);
    const auto adam = train::make_optimizer({.kind = "adam",
                                             .learning_rate = options_.merge_learning_rate,
                                             .eps = 1e-8,
                                             .beta1 = 0.9,
                                             .beta2 = 0.98},
                                            parameters_of("merge", merge));
    double best = -1.0;
    Matrix kept;
    const auto publish = [&] {
      const torch::NoGradGuard no_grad;
      factors_.users = nn::to_matrix(merge.forward(users, other));
    };
    for (std::int64_t step = 1; step <= options_.merge_steps && goes_on(context, "mfem", step);
         ++step) {
      Rng draws = rng.fork("step", static_cast<std::uint64_t>(step));
      torch::Tensor loss = torch::zeros({});
      for (const auto& [triples, count] :
           {std::pair{&both, both_batch}, std::pair{&alone, batch}}) {
        if (triples->empty()) continue;
        const TripleSource::Batch drawn = triples->draw(count, draws);
        loss = loss + bpr_sum(merge.forward(users.index_select(0, drawn.users),
                                            other.index_select(0, drawn.users)),
                              items, drawn);
      }
      loss.backward();
      adam->step();
      if (!context.validate ||
          (step % options_.merge_validate_every != 0 && step != options_.merge_steps)) {
        continue;
      }
      publish();
      const double hits = context.validate(*this);
      if (hits > best) {
        best = hits;
        kept = factors_.users;
      }
    }
    if (best >= 0.0) {
      factors_.users = kept;
    } else {
      publish();
    }
    if (best >= 0.0) record(context, best);
  }

  static torch::Tensor source_vectors(const Pretrained& start, const MapNet& map,
                                      const torch::Tensor& users, const torch::Tensor& source) {
    std::vector<std::int64_t> here, there;
    for (const SharedUser& user : start.shared) {
      here.push_back(user.first);
      there.push_back(user.second);
    }
    return map.forward(users).index_copy(
        0, nn::index_tensor(here, torch::kCPU),
        source.index_select(0, nn::index_tensor(there, torch::kCPU)));
  }

  // The last line of the curve is the merged model's, that of the saved state.
  static void record(FitContext& context, double hits) {
    EpochRecord last;
    if (!context.history.empty()) last = context.history.back();
    context.history.clear();
    last.validation_hr = hits;
    context.history.push_back(last);
    if (context.on_epoch) context.on_epoch(last);
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Mfem>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::mfem
