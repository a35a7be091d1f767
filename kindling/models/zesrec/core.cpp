#include "kindling/models/zesrec/core.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/models/vectors.h"
#include "kindling/models/zesrec/item_scale.h"
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

}  // namespace

Core::Core(Options options, ModelRole role) : options_(std::move(options)), role_(std::move(role)) {
  if (options_.samples_vectors() && !(options_.lambda_v > 0)) {
    throw Error(Kind::kBadOption, "variant=full needs lambda_v > 0");
  }
  if (options_.inference == "mc" && !options_.samples_vectors()) {
    throw Error(Kind::kBadOption, "inference=mc needs variant=full", {},
                "the other variants have nothing to sample");
  }
  if (options_.dim == 0 && options_.item_table) {
    throw Error(Kind::kBadOption,
                "dim=0 is the width of the text vectors, " + role_.name + " reads none", {},
                "choose a width, such as 128");
  }
  if (marks_sessions(options_.sequences) && options_.sequences.sessions == "none") {
    throw Error(Kind::kBadOption, "dummy_per=session needs sessions, found sessions=none", {},
                "sessions=auto finds them by the times of the data");
  }
}

void Core::fit(const TrainTask& task, FitContext& context) {
  const Domain& domain = learnt_domain(task);
  const ItemVectors* vectors =
      options_.item_table ? nullptr : &require_vectors(domain, role_.name.c_str());
  if (marks_sessions(options_.sequences) && !domain.data->has_times) {
    throw Error(Kind::kUnsupported, "dummy_per=session needs times, the data has none",
                domain.data->name, "leave it at dummy_per=user");
  }
  nn::use_base_threads();
  const torch::Device device = find_device(context.device);
  seed_ = context.seed;
  torch::Tensor items;
  if (vectors != nullptr) {
    items = nn::copy_matrix(scale_items(vectors->values, options_)).to(device);
  }
  width_ =
      static_cast<std::int64_t>(vectors != nullptr ? vectors->dim() : domain.data->item_count());
  if (options_.dim == 0) options_.dim = width_;
  if (options_.learning_rates.empty()) {
    train_once(domain, items, device, context);
  } else {
    train_with_best_rate(domain, items, device, context);
  }
  net_->offsets = torch::Tensor();  // dropped: they belong to the source's items
  net_->to(torch::kCPU);
  finish();
}

ModelState Core::state() const {
  ModelState all;
  for (const auto& parameter : net().named_parameters()) {
    const torch::Tensor values = parameter.value().detach().contiguous();
    const float* first = values.data_ptr<float>();
    all.push_back({parameter.key(), values.sizes().vec(), {first, first + values.numel()}});
  }
  return all;
}

void Core::load_state(const ModelState& state, const Json& details) {
  const auto width = json_get<std::int64_t>(details, "vector_dim", "model details");
  if (width < 1 || width > 1'000'000) {
    throw Error(Kind::kCorrupt, fmt::format("vector_dim is {}", width), "model details");
  }
  nn::use_base_threads();
  seed_ = json_get_or<std::uint64_t>(details, "seed", 0, "model details");
  width_ = width;
  if (options_.dim == 0) options_.dim = width_;
  build();
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

Json Core::details() const {
  if (!loaded_.empty()) return loaded_;
  Json details = Json::object();
  details["vector_dim"] = width_;
  details["seed"] = seed_;
  if (!options_.learning_rates.empty()) details["learning_rate"] = options_.learning_rate;
  details["best_epoch"] = facts_.best_epoch;
  details["validation_loss"] = facts_.best_loss;
  details["training_targets"] = facts_.targets;
  details["lambda_v_per_target"] = facts_.penalty_per_token;
  details["offset_ratio"] = facts_.offset_ratio;
  details["sampled_softmax"] = facts_.sampled_softmax;
  return details;
}

std::shared_ptr<const Core::Prepared> Core::prepare(const Domain& domain) const {
  const ItemVectors* vectors = domain_vectors(domain);
  const std::uint64_t key = vectors != nullptr ? content_key(vectors->values) : 1;
  const std::lock_guard<std::mutex> hold(guard_);
  if (!prepared_ || prepared_->key != key) {
    const torch::NoGradGuard no_grad;
    auto fresh = std::make_shared<Prepared>();
    fresh->key = key;
    if (vectors != nullptr) {
      fresh->x = nn::copy_matrix(scale_items(vectors->values, options_));
    }
    fresh->means = net().item_means(fresh->x, false);
    prepared_ = std::move(fresh);
  }
  return prepared_;
}

torch::Tensor Core::users(const Domain& domain, std::span<const Query> queries,
                          const torch::Tensor& values, bool draw, const Rng& rng) const {
  const torch::NoGradGuard no_grad;
  const SessionRule rule = rule_of(domain);
  std::vector<torch::Tensor> parts;
  for (std::size_t begin = 0; begin < queries.size(); begin += kQueriesAtOnce) {
    const std::size_t count = std::min(kQueriesAtOnce, queries.size() - begin);
    std::vector<std::span<const Event>> histories;
    std::vector<QueryTime> times;
    for (const Query& query : queries.subspan(begin, count)) {
      histories.push_back(query.history);
      times.push_back(query.time);
    }
    const SequenceBatch batch = make_query_batch(histories, rule, options_.sequences, times);
    check_items(batch, values.size(0));
    const torch::Tensor states = net().user_states(values, batch.inputs, batch, nullptr, draw, rng);
    std::vector<std::int64_t> last;
    for (std::size_t q = 1; q < batch.offsets.size(); ++q) last.push_back(batch.offsets[q] - 1);
    parts.push_back(states.index_select(0, nn::index_tensor(last, torch::kCPU)));
  }
  return parts.empty() ? torch::empty({0, options_.dim}) : torch::cat(parts);
}

Net& Core::net() const {
  if (!net_) throw Error(Kind::kInternal, role_.name + " is used before fit()");
  return *net_;
}

void Core::build() {
  net_ = std::make_shared<Net>(options_, width_, Rng(seed_).fork("zesrec").fork("weights"));
  prepared_.reset();
  loaded_ = Json::object();
}

void Core::finish() {
  net_->eval();
  for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
}

const Domain& Core::learnt_domain(const TrainTask& task) const {
  return role_.in_domain ? require_target(task, role_.name) : require_source(task, role_.name);
}

void Core::train_once(const Domain& domain, const torch::Tensor& items, const torch::Device& device,
                      FitContext& context) {
  build();
  net_->to(device);
  facts_ = train_network(*net_, items, domain, options_, role_, context);
}

void Core::train_with_best_rate(const Domain& domain, const torch::Tensor& items,
                                const torch::Device& device, FitContext& context) {
  std::shared_ptr<Net> best;
  TrainingFacts facts;
  double best_rate = 0.0;
  std::vector<EpochRecord> history;
  std::string cause;
  const std::vector<double> rates = options_.learning_rates;
  for (std::size_t r = 0; r < rates.size(); ++r) {
    const double rate = rates[r];
    options_.learning_rate = rate;
    FitContext once = context;
    // The rates that are left share the time that is left.
    once.max_seconds = context.seconds_left() / static_cast<double>(rates.size() - r);
    if (!once.checkpoint.empty()) once.checkpoint += fmt::format("/rate-{}", rate);
    try {
      train_once(domain, items, device, once);
    } catch (const Error& error) {
      const bool stopped = context.should_stop && context.should_stop();
      if (stopped && best && !context.checkpoint.empty()) {
        throw Error(error.kind(), error.message() + fmt::format(" at learning_rate {}", rate), {},
                    fmt::format("the learning rates before are kept in {}; run the same command "
                                "with --resume",
                                context.checkpoint));
      }
      if (error.kind() != Kind::kDiverged) throw;
      log_info("{}: learning_rate {} is out: {}", role_.name, rate, error.message());
      cause = error.message();
      continue;
    }
    if (best && facts_.best_loss >= facts.best_loss) continue;
    best = net_;
    facts = facts_;
    best_rate = rate;
    history = once.history;
  }
  if (!best) throw Error(Kind::kDiverged, cause, role_.name, "try smaller learning_rates");
  net_ = std::move(best);
  facts_ = facts;
  options_.learning_rate = best_rate;
  context.history = std::move(history);
}

const ItemVectors* Core::domain_vectors(const Domain& domain) const {
  if (!options_.item_table) {
    const ItemVectors& vectors = require_vectors(domain, role_.name.c_str());
    check_width(vectors);
    return &vectors;
  }
  require_items(domain, static_cast<std::size_t>(width_), role_.name);
  return nullptr;
}

void Core::check_width(const ItemVectors& vectors) const {
  if (static_cast<std::int64_t>(vectors.dim()) == width_) return;
  throw Error(Kind::kBadInput,
              fmt::format("the item vectors have {} dimensions, the model was trained on {}",
                          vectors.dim(), width_),
              vectors.encoder, "embed the dataset with the encoder of the source");
}

void Core::check_items(const SequenceBatch& batch, std::int64_t items) {
  for (const std::int64_t item : batch.inputs) {
    if (item >= items) {
      throw Error(Kind::kBadInput,
                  fmt::format("a history holds item {}, the domain has {}", item, items));
    }
  }
}

SessionRule Core::rule_of(const Domain& domain) const {
  const bool reads_sessions = options_.network == "hrnn" || options_.network == "hgru" ||
                              marks_sessions(options_.sequences);
  if (!reads_sessions || domain.data == nullptr) return SessionRule::kNone;
  return session_rule(*domain.data, options_.sequences);
}

}  // namespace kindling::zesrec
