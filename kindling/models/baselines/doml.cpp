// DOML: a rating net in each domain over fixed vectors of users and items, and two maps between the
// users' latent spaces that learn from those who are in both.
//
// Source: Li & Tuzhilin, Dual Metric Learning for Effective and Efficient Cross-Domain
//         Recommendations, TKDE 2021; lpworld/DOML.
// Differs: BPRMF vectors of both domains stand for the review features, which these data lack; BPR
//          in place of squared error on ratings, as in RecGURU's comparison; the linear layers are
//          trained, which the code builds and never hands to its optimiser; no dropout when
//          scoring; shared users are taught in batches, not one at a time; the loss is the sum
//          over a batch, as BPRMF's, where the code's squared error is a mean [B14].
//
//   net_d(u, i) = MLP [2d, 64, d] -> 1 of [A_d p_u ; B_d q_i], ReLU        d: target or source
//   maps        W_ts x_u ≈ x_u', W_st x_u' ≈ x_u, orthogonal start, + 1e-6 Σ|W Wᵀ − 1|
//   score       (1 − α) net_t(u, i) + α net_s(W_ts x_u, i) for shared users, net_t(u, i) for others
#include <algorithm>
#include <numeric>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/user_map.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/transformer.h"
#include "kindling/nn/user_network.h"

namespace kindling::doml {

namespace {

constexpr std::size_t kItemsAtOnce = 2048;  // their hidden layers stay in the cache

struct Options {
  FactorOptions factors;
  std::int64_t epochs = 100;
  std::int64_t batch_size = 1024;
  std::int64_t hidden = 64;
  double learning_rate = 1e-3;
  double dropout = 0.1;
  double map_learning_rate = 0.1;
  double orthogonality = 1e-6;
  double alpha = 0.03;
  std::int64_t validate_every = 5;

  template <class Visitor>
  void fields(Visitor& field) {
    factors.fields(field);
    field("net_epochs", epochs, kPositive, "passes over both domains' interactions [B14]");
    field("net_batch", batch_size, kPositive, "triples in a step of the nets [B14]");
    field("hidden", hidden, kPositive, "first hidden width of the nets, the second is dim [B14]");
    field("net_learning_rate", learning_rate, kPositive, "SGD's step size for the nets [B14]");
    field("dropout", dropout, kRate, "in the nets, while training only [B14]");
    field("map_learning_rate", map_learning_rate, kPositive, "SGD's step size for the maps [B14]");
    field("orthogonality", orthogonality, kNotNegative, "weight of Σ|W Wᵀ − 1| [B14]");
    field("alpha", alpha, kUnit, "share of the other domain's net for shared users [B14]");
    field("net_validate_every", validate_every, kPositive, "passes between validations [R14]");
  }
};

// One domain's linear layers and net.
class DomainNet : public torch::nn::Module {
 public:
  DomainNet(const Options& options, Rng& rng) : dropout_(options.dropout) {
    const std::int64_t d = options.factors.dim;
    const std::int64_t shapes[][2] = {
        {d, d}, {d, d}, {options.hidden, 2 * d}, {d, options.hidden}, {1, d}};
    for (int layer = 0; layer < 5; ++layer) {
      const nn::LinearStart start = nn::linear_start(shapes[layer][0], shapes[layer][1], rng);
      weight_[layer] = register_parameter("w" + std::to_string(layer), start.weight);
      bias_[layer] = register_parameter("b" + std::to_string(layer), start.bias);
    }
  }

  torch::Tensor latent_users(const torch::Tensor& p) const { return linear(p, 0); }  // [n, d]
  // Of latent users and item vectors, pair by pair: [n].
  torch::Tensor score(const torch::Tensor& latent, const torch::Tensor& q, Rng& rng) const {
    return finish(user_parts(latent) + item_parts(q), rng);
  }
  // The first hidden layer is a sum of what the user and what the item give: [n, hidden] each.
  torch::Tensor user_parts(const torch::Tensor& latent) const {
    return latent.mm(weight_[2].narrow(1, 0, latent.size(1)).t());
  }
  torch::Tensor item_parts(const torch::Tensor& q) const {
    const torch::Tensor latent = linear(q, 1);
    return torch::addmm(bias_[2], latent, weight_[2].narrow(1, q.size(1), q.size(1)).t());
  }
  // The layers behind the sum: [n].
  torch::Tensor finish(const torch::Tensor& sum, Rng& rng) const {
    const double rate = is_training() ? dropout_ : 0.0;
    torch::Tensor x = nn::dropout(torch::relu(sum), rate, rng);
    x = nn::dropout(torch::relu(linear(x, 3)), rate, rng);
    return linear(x, 4).squeeze(1);
  }

 private:
  torch::Tensor linear(const torch::Tensor& x, int layer) const {
    return torch::addmm(bias_[layer], x, weight_[layer].t());
  }
  double dropout_;
  torch::Tensor weight_[5], bias_[5];
};

class Net : public torch::nn::Module {
 public:
  Net(const Options& options, const Rng& rng) {
    Rng weights = rng.fork("weights");
    target = register_module("target", std::make_shared<DomainNet>(options, weights));
    source = register_module("source", std::make_shared<DomainNet>(options, weights));
    const std::int64_t d = options.factors.dim;
    for (auto* map : {&to_source, &to_target}) {
      // Gram-Schmidt of a normal matrix.
      const torch::Tensor drawn = normal(d, weights);
      *map = register_parameter(map == &to_source ? "to_source" : "to_target",
                                std::get<0>(torch::linalg_qr(drawn)).contiguous());
    }
  }

  std::shared_ptr<DomainNet> target, source;
  torch::Tensor to_source, to_target;  // [d, d]; x W

 private:
  static torch::Tensor normal(std::int64_t d, Rng& rng) {
    torch::Tensor values = torch::empty({d, d});
    for (std::int64_t i = 0; i < d * d; ++i) {
      values.data_ptr<float>()[i] = static_cast<float>(rng.normal());
    }
    return values;
  }
};

// Vectors of somebody, known or not, and of the items: FactorModel's rules.
class Vectors : public FactorModel {
 public:
  Vectors() : FactorModel("doml") {}
  void fit(const TrainTask& task, FitContext&) override { require_domains(task, true); }
  void set(Factors factors) { factors_ = std::move(factors); }
  const Factors& factors() const { return factors_; }
};

class Doml : public Recommender {
 public:
  explicit Doml(Options options) : options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    vectors_.fit(task, context);
    nn::use_base_threads();
    const auto ask = [&](const Factors& factors) {
      vectors_.set(factors);
      return context.validate(vectors_);
    };
    const Pretrained start =
        pretrain(*task.target_train->data, *task.source->data, options_.factors, "doml", context,
                 context.validate ? std::function<double(const Factors&)>(ask) : nullptr);
    vectors_.set(start.target);
    shared_ = Matrix(start.target_data.users, 1);
    for (const SharedUser& user : start.shared) shared_(user.first, 0) = 1.0F;
    const Rng rng = Rng(context.seed).fork("doml");
    net_ = std::make_shared<Net>(options_, rng);
    learn(start, rng, context);
    freeze();
    for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
  }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    const torch::NoGradGuard no_grad;
    const Matrix users = vectors_.user_vectors(domain, queries);
    std::vector<std::int64_t> index(candidates.begin(), candidates.end());
    for (const std::int64_t item : index) {
      check(item < target_items_.size(0), "a candidate is not an item of the domain");
    }
    Matrix scores(queries.size(), candidates.size());
    if (index.empty()) return scores;
    const torch::Tensor latent = net_->target->latent_users(nn::borrow_matrix(users));  // [Q, d]
    const torch::Tensor own = net_->target->user_parts(latent);
    const torch::Tensor mapped = net_->source->user_parts(latent.mm(net_->to_source));
    for (std::size_t at = 0; at < index.size(); at += kItemsAtOnce) {
      const std::size_t count = std::min(kItemsAtOnce, index.size() - at);
      const torch::Tensor chosen = nn::index_tensor(
          std::vector<std::int64_t>(index.begin() + static_cast<std::ptrdiff_t>(at),
                                    index.begin() + static_cast<std::ptrdiff_t>(at + count)),
          torch::kCPU);
      const torch::Tensor here = target_items_.index_select(0, chosen);
      torch::Tensor there;  // read for shared users only, who are few
      for (std::size_t q = 0; q < queries.size(); ++q) {
        const auto row = static_cast<std::int64_t>(q);
        Rng none(0);
        torch::Tensor values = net_->target->finish(here + own[row], none);
        if (is_shared(queries[q].user)) {
          if (!there.defined()) there = source_items_.index_select(0, chosen);
          const torch::Tensor other = net_->source->finish(there + mapped[row], none);
          values = (1.0 - options_.alpha) * values + options_.alpha * other;
        }
        const torch::Tensor flat = values.contiguous();
        std::copy_n(flat.data_ptr<float>(), count, scores.row(q).data() + at);
      }
    }
    return scores;
  }

  ModelState state() const override {
    ModelState all = vectors_.state();
    all.push_back(named_tensor("shared", shared_));
    for (const auto& parameter : net_->named_parameters()) {
      const torch::Tensor values = parameter.value().detach().contiguous();
      const float* first = values.data_ptr<float>();
      all.push_back(
          {"net." + parameter.key(), values.sizes().vec(), {first, first + values.numel()}});
    }
    return all;
  }

  void load_state(const ModelState& state, const Json&) override {
    nn::use_base_threads();
    vectors_.set({matrix_of(state, "users", "doml"), matrix_of(state, "items", "doml")});
    shared_ = matrix_of(state, "shared", "doml");
    if (static_cast<std::int64_t>(vectors_.factors().users.cols()) != options_.factors.dim ||
        static_cast<std::int64_t>(vectors_.factors().items.cols()) != options_.factors.dim ||
        shared_.rows() != vectors_.factors().users.rows() || shared_.cols() != 1) {
      throw Error(Kind::kCorrupt, "tables of a model doml do not fit its options");
    }
    net_ = std::make_shared<Net>(options_, Rng(0));
    nn::NamedTensors tensors;
    for (const NamedTensor& saved : state) {
      if (!saved.name.starts_with("net.")) continue;
      tensors.emplace_back(saved.name.substr(4),
                           torch::from_blob(const_cast<float*>(saved.values.data()), saved.shape));
    }
    nn::load_parameters(*net_, tensors);
    freeze();
    for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
  }

 private:
  bool is_shared(std::optional<UserId> user) const {
    return user && *user < shared_.rows() && shared_(*user, 0) > 0.0F;
  }
  // What of the scores depends on the items alone, for the net as it is; both nets read the
  // target's items.
  void freeze() {
    const torch::NoGradGuard no_grad;
    net_->eval();
    const torch::Tensor items = nn::borrow_matrix(vectors_.factors().items);
    target_items_ = net_->target->item_parts(items);
    source_items_ = net_->source->item_parts(items);
  }

  // The loss of a batch under one domain's net; `alpha` > 0 adds the other's, without gradient.
  torch::Tensor triple_loss(const torch::Tensor& users, const torch::Tensor& items,
                            const TripleSource::Batch& batch, bool target, double alpha,
                            Rng& rng) const {
    const DomainNet& own = target ? *net_->target : *net_->source;
    const torch::Tensor latent = own.latent_users(users.index_select(0, batch.users));
    const torch::Tensor q = items.index_select(0, batch.items);
    const torch::Tensor r = items.index_select(0, batch.negatives);
    torch::Tensor difference = own.score(latent, q, rng) - own.score(latent, r, rng);
    if (alpha > 0.0) {
      const torch::Tensor mapped = latent.detach().mm(net_->to_source);
      const torch::Tensor other =
          net_->source->score(mapped, q, rng) - net_->source->score(mapped, r, rng);
      difference = (1.0 - alpha) * difference + alpha * other.detach();
    }
    return torch::softplus(-difference).sum();
  }

  torch::Tensor map_loss(const torch::Tensor& here, const torch::Tensor& there) const {
    const auto off = [](const torch::Tensor& w) {
      return (w.mm(w.t()) - torch::eye(w.size(0))).abs().sum();
    };
    return torch::mse_loss(here.mm(net_->to_source), there) +
           torch::mse_loss(there.mm(net_->to_target), here) +
           options_.orthogonality * (off(net_->to_source) + off(net_->to_target));
  }

  // What the passes of learn() share.
  struct Lesson {
    torch::Tensor users[2], items[2];  // target, source
    TripleSource target, source, both;
    torch::Tensor shared_here, shared_there;  // [shared, d]
    std::unique_ptr<train::Optimizer> nets, maps;
  };

  Lesson prepare(const Pretrained& start) const {
    std::vector<std::int64_t> here, there;
    for (const SharedUser& user : start.shared) {
      here.push_back(user.first);
      there.push_back(user.second);
    }
    Lesson lesson{{nn::copy_matrix(start.target.users), nn::copy_matrix(start.source.users)},
                  {nn::copy_matrix(start.target.items), nn::copy_matrix(start.source.items)},
                  {start.target_data, everybody(start.target_data)},
                  {start.source_data, everybody(start.source_data)},
                  {start.target_data, here},
                  {},
                  {},
                  nullptr,
                  nullptr};
    lesson.shared_here = lesson.users[0].index_select(0, nn::index_tensor(here, torch::kCPU));
    lesson.shared_there = lesson.users[1].index_select(0, nn::index_tensor(there, torch::kCPU));
    auto nets = parameters_of("target", *net_->target);
    for (const auto& parameter : parameters_of("source", *net_->source)) nets.push_back(parameter);
    lesson.nets =
        train::make_optimizer({.kind = "sgd", .learning_rate = options_.learning_rate}, nets);
    lesson.maps =
        train::make_optimizer({.kind = "sgd", .learning_rate = options_.map_learning_rate},
                              {{"to_source", net_->to_source}, {"to_target", net_->to_target}});
    return lesson;
  }

  // As many triples as `from` has interactions. Returns the mean loss.
  double pass(const Lesson& lesson, const TripleSource& from, bool target, double alpha, Rng& rng,
              const FitContext& context) const {
    const int side = target ? 0 : 1;
    double sum = 0.0;
    for (std::int64_t at = 0; at < from.size(); at += options_.batch_size) {
      stop_if_asked(context, "doml");
      const auto batch = from.draw(std::min(options_.batch_size, from.size() - at), rng);
      const torch::Tensor loss =
          triple_loss(lesson.users[side], lesson.items[side], batch, target, alpha, rng);
      loss.backward();
      lesson.nets->step();
      sum += loss.item<double>();
    }
    return sum / static_cast<double>(std::max<std::int64_t>(from.size(), 1));
  }

  // One step of both maps on all shared users.
  void map_step(const Lesson& lesson) const {
    torch::Tensor x, y;
    {
      const torch::NoGradGuard no_grad;
      x = net_->target->latent_users(lesson.shared_here);
      y = net_->source->latent_users(lesson.shared_there);
    }
    map_loss(x, y).backward();
    lesson.maps->step();
  }

  void learn(const Pretrained& start, const Rng& rng, FitContext& context) {
    const Lesson lesson = prepare(start);
    double best = -1.0;
    ModelState kept;
    context.history.clear();
    for (std::int64_t epoch = 1; epoch <= options_.epochs && goes_on(context, "doml", epoch);
         ++epoch) {
      net_->train();
      Rng draws = rng.fork("epoch", static_cast<std::uint64_t>(epoch));
      EpochRecord record;
      record.epoch = epoch;
      record.learning_rate = options_.learning_rate;
      record.train_loss = pass(lesson, lesson.target, true, 0.0, draws, context);
      pass(lesson, lesson.source, false, 0.0, draws, context);
      map_step(lesson);
      pass(lesson, lesson.both, true, options_.alpha, draws, context);
      if (context.validate && (epoch % options_.validate_every == 0 || epoch == options_.epochs)) {
        freeze();
        record.validation_hr = context.validate(*this);
        if (*record.validation_hr > best) {
          best = *record.validation_hr;
          kept = state();
        }
      }
      context.history.push_back(record);
      if (context.on_epoch) context.on_epoch(record);
    }
    if (best >= 0.0) load_state(kept, {});
  }

  static std::vector<std::int64_t> everybody(const BprData& data) {
    std::vector<std::int64_t> users(data.users);
    std::iota(users.begin(), users.end(), 0);
    return users;
  }

  Options options_;
  Vectors vectors_;
  Matrix shared_;  // [users, 1] 1 for users of both domains
  std::shared_ptr<Net> net_;
  torch::Tensor target_items_, source_items_;  // [items, hidden] item_parts() of the two nets
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Doml>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::doml
