// ZESRec: a sequence model over text vectors, trained on one domain, used unchanged on another.
//
// Source: Ding, Deoras, Wang, Wang, "Zero-Shot Recommender Systems"; no code by the authors is
//         public. specs/zesrec.md lists where the paper is silent (Z1–Z23); each is an option.
// Differs: item vectors are divided by their mean norm [Z22]: with raw ones training fails.
//
//   text vectors of the domain -> W x + b -> item vectors -> f_seq over the history -> user vector
//   score(user, item) = user vector · item vector; offsets of the source are dropped [MAP]
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"
#include "kindling/models/zesrec/item_scale.h"
#include "kindling/models/zesrec/net.h"
#include "kindling/models/zesrec/training.h"
#include "kindling/nn/tensors.h"

namespace kindling::zesrec {

namespace {

constexpr std::size_t kQueriesAtOnce = 1024;

// The device by name. Error{kBadOption} when this build or machine has none.
torch::Device find_device(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  if (name != "cuda") {
    throw Error(Kind::kBadOption, fmt::format("unknown device {}", quote(name)), {},
                "the devices are cpu and cuda");
  }
  if (!at::globalContext().hasCUDA()) {
    throw Error(Kind::kBadOption, "device cuda is not available", {},
                "this LibTorch was built without CUDA or the machine has no GPU; use cpu, or build "
                "against a LibTorch with CUDA");
  }
  return torch::kCUDA;
}

// Tells two sets of vectors apart by their content: a pointer may be reused.
std::uint64_t content_key(const Matrix& values) {
  std::uint64_t key = values.rows() * 0x9e3779b97f4a7c15ULL + values.cols();
  const std::size_t count = values.rows() * values.cols();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, values.data() + i, sizeof bits);
    key = (key ^ bits) * 0x100000001b3ULL;
  }
  return key;
}

// The part that MAP and Monte-Carlo inference share.
class Core {
 public:
  explicit Core(Options options) : options_(std::move(options)) {
    if (options_.samples_vectors() && !(options_.lambda_v > 0)) {
      throw Error(Kind::kBadOption, "variant=full needs lambda_v > 0");
    }
    if (options_.inference == "mc" && !options_.samples_vectors()) {
      throw Error(Kind::kBadOption, "inference=mc needs variant=full", {},
                  "the other variants have nothing to sample");
    }
  }

  void fit(const TrainTask& task, FitContext& context) {
    if (!task.source) {
      throw Error(Kind::kUnsupported, "zesrec needs a source domain to learn from", {},
                  "pass --source DIR");
    }
    if (task.source->data == nullptr) throw Error(Kind::kInternal, "a source without data");
    const ItemVectors& vectors = require_vectors(*task.source, "zesrec");
    nn::use_base_threads();
    const torch::Device device = find_device(context.device);
    seed_ = context.seed;
    build(static_cast<std::int64_t>(vectors.dim()));
    net_->to(device);
    const torch::Tensor items = nn::copy_matrix(scale_items(vectors.values, options_)).to(device);
    facts_ = train_network(*net_, items, *task.source, options_, context);
    net_->offsets = torch::Tensor();  // dropped: they belong to the source's items
    net_->to(torch::kCPU);
    finish();
  }

  ModelState state() const {
    ModelState all;
    for (const auto& parameter : net().named_parameters()) {
      const torch::Tensor values = parameter.value().detach().contiguous();
      const float* first = values.data_ptr<float>();
      all.push_back({parameter.key(), values.sizes().vec(), {first, first + values.numel()}});
    }
    return all;
  }

  void load_state(const ModelState& state, const Json& details) {
    const auto width = json_get<std::int64_t>(details, "vector_dim", "model details");
    if (width < 1 || width > 1'000'000) {
      throw Error(Kind::kCorrupt, fmt::format("vector_dim is {}", width), "model details");
    }
    nn::use_base_threads();
    seed_ = json_get_or<std::uint64_t>(details, "seed", 0, "model details");
    build(width);
    const torch::NoGradGuard no_grad;
    std::size_t restored = 0;
    for (auto& parameter : net_->named_parameters()) {
      torch::Tensor value = parameter.value();
      for (const NamedTensor& saved : state) {
        if (saved.name != parameter.key()) continue;
        if (saved.shape != value.sizes().vec() ||
            saved.values.size() != static_cast<std::size_t>(value.numel())) {
          throw Error(Kind::kCorrupt,
                      fmt::format("tensor {} has another shape than the options say", saved.name));
        }
        std::memcpy(value.data_ptr<float>(), saved.values.data(),
                    saved.values.size() * sizeof(float));
        ++restored;
      }
    }
    if (restored != state.size() || restored != net_->named_parameters().size()) {
      throw Error(Kind::kCorrupt, "the model's tensors do not fit its options");
    }
    finish();
    loaded_ = details;
  }

  Json details() const {
    if (!loaded_.empty()) return loaded_;
    Json details = Json::object();
    details["vector_dim"] = input_dim_;
    details["seed"] = seed_;
    details["best_epoch"] = facts_.best_epoch;
    details["validation_loss"] = facts_.best_loss;
    details["training_targets"] = facts_.targets;
    details["lambda_v_per_target"] = facts_.penalty_per_token;
    details["offset_ratio"] = facts_.offset_ratio;
    details["sampled_softmax"] = facts_.sampled_softmax;
    return details;
  }

  const Options& options() const { return options_; }
  Rng sample_stream() const { return Rng(seed_).fork("inference"); }

  // Scaled text vectors and the means v of a domain; kept until another domain is asked for.
  struct Prepared {
    std::uint64_t key = 0;
    torch::Tensor x;
    torch::Tensor means;
  };
  std::shared_ptr<const Prepared> prepare(const Domain& domain) const {
    const ItemVectors& vectors = require_vectors(domain, "zesrec");
    check_width(vectors);
    const std::uint64_t key = content_key(vectors.values);
    const std::lock_guard<std::mutex> hold(guard_);
    if (!prepared_ || prepared_->key != key) {
      const torch::NoGradGuard no_grad;
      auto fresh = std::make_shared<Prepared>();
      fresh->key = key;
      fresh->x = nn::copy_matrix(scale_items(vectors.values, options_));
      fresh->means = net().item_means(fresh->x, false);
      prepared_ = std::move(fresh);
    }
    return prepared_;
  }

  // u for each query, [Q, D]; `values` are the item vectors that histories are read with.
  torch::Tensor users(const Domain& domain, std::span<const Query> queries,
                      const torch::Tensor& values, bool draw, const Rng& rng) const {
    const torch::NoGradGuard no_grad;
    const SessionRule rule = rule_of(domain);
    std::vector<torch::Tensor> parts;
    for (std::size_t begin = 0; begin < queries.size(); begin += kQueriesAtOnce) {
      const std::size_t count = std::min(kQueriesAtOnce, queries.size() - begin);
      std::vector<std::span<const Event>> histories;
      for (const Query& query : queries.subspan(begin, count)) histories.push_back(query.history);
      const SequenceBatch batch = make_query_batch(histories, rule, options_.sequences);
      check_items(batch, values.size(0));
      const torch::Tensor states =
          net().user_states(values, batch.inputs, batch, nullptr, draw, rng.fork("part", begin));
      std::vector<std::int64_t> last;
      for (std::size_t q = 1; q < batch.offsets.size(); ++q) last.push_back(batch.offsets[q] - 1);
      parts.push_back(states.index_select(0, nn::index_tensor(last, torch::kCPU)));
    }
    return parts.empty() ? torch::empty({0, options_.dim}) : torch::cat(parts);
  }

  Net& net() const {
    if (!net_) throw Error(Kind::kInternal, "zesrec is used before fit()");
    return *net_;
  }

 private:
  void build(std::int64_t input_dim) {
    input_dim_ = input_dim;
    net_ = std::make_shared<Net>(options_, input_dim, Rng(seed_).fork("zesrec").fork("weights"));
    prepared_.reset();
    loaded_ = Json::object();
  }

  void finish() {
    net_->eval();
    for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
  }

  void check_width(const ItemVectors& vectors) const {
    if (static_cast<std::int64_t>(vectors.dim()) == input_dim_) return;
    throw Error(Kind::kBadInput,
                fmt::format("the item vectors have {} dimensions, the model was trained on {}",
                            vectors.dim(), input_dim_),
                vectors.encoder, "embed the dataset with the encoder of the source");
  }

  static void check_items(const SequenceBatch& batch, std::int64_t items) {
    for (const std::int64_t item : batch.inputs) {
      if (item >= items) {
        throw Error(Kind::kBadInput,
                    fmt::format("a history holds item {}, the domain has {}", item, items));
      }
    }
  }

  // Only the hierarchical networks look at sessions, and finding the rule reads all events.
  SessionRule rule_of(const Domain& domain) const {
    const bool reads_sessions = options_.network == "hrnn" || options_.network == "hgru";
    if (!reads_sessions || domain.data == nullptr) return SessionRule::kNone;
    return session_rule(*domain.data, options_.sequences);
  }

  Options options_;
  std::uint64_t seed_ = 0;
  std::int64_t input_dim_ = 0;
  std::shared_ptr<Net> net_;
  TrainingFacts facts_;
  Json loaded_ = Json::object();
  mutable std::mutex guard_;
  mutable std::shared_ptr<const Prepared> prepared_;
};

torch::Tensor candidate_index(std::span<const ItemId> candidates, std::int64_t items) {
  std::vector<std::int64_t> index(candidates.begin(), candidates.end());
  for (const std::int64_t item : index) {
    if (item >= items) {
      throw Error(Kind::kBadInput, fmt::format("candidate {}, the domain has {}", item, items));
    }
  }
  return nn::index_tensor(index, torch::kCPU);
}

// Point estimates: one vector an item and a user (vanilla, map, and the means of full).
class PointModel : public VectorRecommender {
 public:
  explicit PointModel(const Options& options) : core_(options) {}

  void fit(const TrainTask& task, FitContext& context) override { core_.fit(task, context); }
  ModelState state() const override { return core_.state(); }
  void load_state(const ModelState& state, const Json& details) override {
    core_.load_state(state, details);
  }
  Json details() const override { return core_.details(); }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    const auto prepared = core_.prepare(domain);
    return nn::to_matrix(
        core_.users(domain, queries, prepared->means, false, core_.sample_stream()));
  }
  Matrix item_vectors(const Domain& domain) const override {
    return nn::to_matrix(core_.prepare(domain)->means);
  }
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

 private:
  Core core_;
};

// Log of the mean softmax probability over draws of all item vectors (and users, general bound).
class MonteCarloModel : public Recommender {
 public:
  explicit MonteCarloModel(const Options& options) : core_(options) {}

  void fit(const TrainTask& task, FitContext& context) override { core_.fit(task, context); }
  ModelState state() const override { return core_.state(); }
  void load_state(const ModelState& state, const Json& details) override {
    core_.load_state(state, details);
  }
  Json details() const override { return core_.details(); }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    const torch::NoGradGuard no_grad;
    const auto prepared = core_.prepare(domain);
    const torch::Tensor index = candidate_index(candidates, prepared->means.size(0));
    torch::Tensor mean;  // log of the sum of probabilities so far
    for (std::int64_t s = 0; s < core_.options().samples; ++s) {
      const Rng rng = core_.sample_stream().fork("sample", static_cast<std::uint64_t>(s));
      const torch::Tensor v = core_.net().item_draw(prepared->x, rng);
      const torch::Tensor u = core_.users(domain, queries, v, true, rng);
      const torch::Tensor log_probability = u.mm(v.t()).log_softmax(1).index_select(1, index);
      mean = mean.defined() ? torch::logaddexp(mean, log_probability) : log_probability;
    }
    return nn::to_matrix(mean - std::log(static_cast<double>(core_.options().samples)));
  }

 private:
  Core core_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  if (options.inference == "mc") return std::make_unique<MonteCarloModel>(options);
  return std::make_unique<PointModel>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::zesrec
