#include "kindling/models/user_map.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/transformer.h"
#include "kindling/train/checkpoint.h"

namespace kindling {

namespace {

// The epoch whose state was kept: the best validation, or the last.
std::int64_t kept_epoch(const std::vector<EpochRecord>& history, std::int64_t fallback) {
  double best = -1.0;
  std::int64_t epoch = fallback;
  for (const EpochRecord& record : history) {
    if (record.validation_hr && *record.validation_hr > best) {
      best = *record.validation_hr;
      epoch = record.epoch;
    }
  }
  return epoch;
}

torch::Tensor gelu_tanh(const torch::Tensor& x) {
  // 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
  constexpr double kRoot = 0.7978845608028654;
  return 0.5 * x * (1.0 + torch::tanh(kRoot * (x + 0.044715 * x * x * x)));
}

// The domains of pretrain() whose vectors are finished, in the run's checkpoint folder.
class FinishedDomains {
 public:
  FinishedDomains(const FitContext& context, Json run)
      : folder_(context.checkpoint), identity_(sha256(run.dump())) {
    if (folder_.empty() || !context.resume) return;
    const auto saved = train::load_checkpoint(folder_);
    if (!saved) return;
    if (saved->facts.value("identity", "") != identity_) {
      throw Error(Kind::kBadOption, "the checkpoint belongs to another run", folder_,
                  "use the same model, options, seed and data, or start again without --resume");
    }
    state_ = *saved;
  }

  // Fills `factors` and `history` from the checkpoint; false when the domain is not in it.
  bool load(const std::string& domain, Factors& factors, std::vector<EpochRecord>& history) const {
    const Json records = state_.facts.value(domain, Json());
    if (records.is_null()) return false;
    factors.users = table(domain + ".users", factors.users);
    factors.items = table(domain + ".items", factors.items);
    try {
      for (const Json& r : records) {
        EpochRecord record;
        record.epoch = r.at(0).get<std::int64_t>();
        record.train_loss = r.at(1).get<double>();
        record.seconds = r.at(2).get<double>();
        record.learning_rate = r.at(3).get<double>();
        if (!r.at(4).is_null()) record.validation_hr = r.at(4).get<double>();
        history.push_back(record);
      }
    } catch (const Json::exception& error) {
      throw Error(Kind::kCorrupt, error.what(), folder_);
    }
    log_info("the vectors of the {} domain are taken from the checkpoint", domain);
    return true;
  }

  void save(const std::string& domain, const Factors& factors,
            const std::vector<EpochRecord>& history) {
    if (folder_.empty()) return;
    Json records = Json::array();
    for (const EpochRecord& r : history) {
      records.push_back({r.epoch, r.train_loss, r.seconds, r.learning_rate,
                         r.validation_hr ? Json(*r.validation_hr) : Json()});
    }
    state_.facts["identity"] = identity_;
    state_.facts[domain] = std::move(records);
    state_.tensors.emplace_back(domain + ".users", nn::copy_matrix(factors.users));
    state_.tensors.emplace_back(domain + ".items", nn::copy_matrix(factors.items));
    train::save_checkpoint(folder_, state_);
  }

 private:
  Matrix table(const std::string& name, const Matrix& like) const {
    for (const auto& [known, tensor] : state_.tensors) {
      if (known != name) continue;
      Matrix values = nn::to_matrix(tensor);
      if (values.rows() == like.rows() && values.cols() == like.cols()) return values;
    }
    throw Error(Kind::kCorrupt, fmt::format("the checkpoint has no fitting {}", name), folder_);
  }

  std::string folder_;
  std::string identity_;
  train::Checkpoint state_;
};

}  // namespace

std::vector<SharedUser> require_shared_users(const Dataset& target, const Dataset& source,
                                             const std::string& model) {
  std::vector<SharedUser> shared = shared_users(target, source);
  if (!shared.empty()) return shared;
  throw Error(Kind::kUnsupported,
              fmt::format("{} learns from users of both domains, {} and {} have none in common",
                          model, quote(target.name), quote(source.name)),
              {},
              "users are matched by their outside ids: are both from one namespace? Protocols "
              "other than leave-two-out take shared users out of the source");
}

Pretrained pretrain(const Dataset& target, const Dataset& source, const FactorOptions& options,
                    const std::string& model, FitContext& context,
                    const std::function<double(const Factors&)>& validate) {
  Pretrained all;
  all.shared = require_shared_users(target, source, model);
  all.target_data = bpr_data(target);
  all.source_data = bpr_data(source);
  Json identity = {{"model", model},
                   {"options", options_to_json(options)},
                   {"target", target.fingerprint()},
                   {"source", source.fingerprint()}};
  context.identify(identity);
  FinishedDomains finished(context, identity);
  const Rng root = Rng(context.seed).fork(model);
  all.target = start_factors(all.target_data, options, root.fork("target"));
  std::function<double()> check_target;
  if (validate) check_target = [&] { return validate(all.target); };
  if (!finished.load("target", all.target, context.history)) {
    train_factors(all.target_data, options, model, context, check_target, all.target);
    context.require_time(model);
    finished.save("target", all.target, context.history);
  }
  FitContext other;
  other.seed = root.fork("source").seed();
  other.should_stop = context.should_stop;
  other.max_seconds = context.seconds_left();
  FactorOptions passes = options;
  passes.epochs = kept_epoch(context.history, options.epochs);
  all.source = start_factors(all.source_data, options, root.fork("source"));
  if (!finished.load("source", all.source, other.history)) {
    train_factors(all.source_data, passes, model, other, {}, all.source);
    context.require_time(model);
    finished.save("source", all.source, other.history);
  }
  std::vector<bool> is_shared(target.user_count(), false);
  for (const SharedUser& user : all.shared) is_shared[user.first] = true;
  for (UserId user = 0; user < target.user_count(); ++user) {
    if (!is_shared[user] && !target.history(user).empty()) all.alone.push_back(user);
  }
  return all;
}

MapNet::MapNet(std::int64_t dim, Rng& rng) : dim_(dim) {
  const nn::LinearStart first = nn::linear_start(2 * dim, dim, rng);
  const nn::LinearStart second = nn::linear_start(dim, 2 * dim, rng);
  w1_ = register_parameter("w1", first.weight);
  b1_ = register_parameter("b1", first.bias);
  w2_ = register_parameter("w2", second.weight);
  b2_ = register_parameter("b2", second.bias);
  gain_ = register_parameter("gain", torch::ones({dim}));
  shift_ = register_parameter("shift", torch::zeros({dim}));
}

torch::Tensor MapNet::forward(const torch::Tensor& users) const {
  const torch::Tensor middle = gelu_tanh(torch::addmm(b1_, users, w1_.t()));
  return torch::layer_norm(torch::addmm(b2_, middle, w2_.t()), {dim_}, gain_, shift_, 1e-8);
}

MergeNet::MergeNet(std::int64_t dim, Rng& rng) {
  const nn::LinearStart first = nn::linear_start(2 * dim, 2 * dim, rng);
  const nn::LinearStart second = nn::linear_start(dim, 2 * dim, rng);
  w1_ = register_parameter("w1", first.weight);
  b1_ = register_parameter("b1", first.bias);
  w2_ = register_parameter("w2", second.weight);
  b2_ = register_parameter("b2", second.bias);
}

torch::Tensor MergeNet::forward(const torch::Tensor& target, const torch::Tensor& source) const {
  const torch::Tensor both = torch::cat({target, source}, 1);
  return torch::addmm(b2_, gelu_tanh(torch::addmm(b1_, both, w1_.t())), w2_.t());
}

torch::Tensor merged_users(const MapNet& map, const MergeNet& merge, const torch::Tensor& target,
                           const torch::Tensor& source, const std::vector<SharedUser>& shared) {
  std::vector<std::int64_t> here, there;
  for (const SharedUser& user : shared) {
    here.push_back(user.first);
    there.push_back(user.second);
  }
  const torch::Tensor other =
      map.forward(target).index_copy(0, nn::index_tensor(here, torch::kCPU),
                                     source.index_select(0, nn::index_tensor(there, torch::kCPU)));
  return merge.forward(target, other);
}

TripleSource::TripleSource(const BprData& data, std::vector<std::int64_t> users) : data_(data) {
  std::vector<bool> wanted(data.users, false);
  for (const std::int64_t user : users) wanted[static_cast<std::size_t>(user)] = true;
  for (const BprData::Positive& positive : data.positives) {
    const bool has_negatives = data.taken.row(positive.user).size() < data.items;
    if (wanted[positive.user] && has_negatives) positives_.push_back(positive);
  }
}

TripleSource::Batch TripleSource::draw(std::int64_t count, Rng& rng) const {
  std::vector<std::int64_t> items, negatives;
  Batch batch;
  for (std::int64_t n = 0; n < count; ++n) {
    const BprData::Positive& positive = positives_[rng.below(positives_.size())];
    const auto taken = data_.taken.row(positive.user);
    std::uint32_t negative = 0;
    do {
      negative = static_cast<std::uint32_t>(rng.below(data_.items));
    } while (std::binary_search(taken.begin(), taken.end(), negative));
    batch.user_list.push_back(positive.user);
    items.push_back(positive.item);
    negatives.push_back(negative);
  }
  batch.users = nn::index_tensor(batch.user_list, torch::kCPU);
  batch.items = nn::index_tensor(items, torch::kCPU);
  batch.negatives = nn::index_tensor(negatives, torch::kCPU);
  return batch;
}

void stop_if_asked(const FitContext& context, const std::string& model) {
  if (!context.should_stop || !context.should_stop()) return;
  throw Error(Kind::kIo, model + " was stopped before it had learnt");
}

bool goes_on(const FitContext& context, const std::string& model, std::int64_t step) {
  stop_if_asked(context, model);
  if (step == 1 || !context.out_of_time()) return true;
  log_warning("{}: out of time before step {} of its last stage", model, step);
  return false;
}

void BestParameters::offer(double error, const torch::nn::Module& net) {
  if (error >= error_) return;
  error_ = error;
  kept_.clear();
  for (const auto& parameter : net.parameters()) kept_.push_back(parameter.detach().clone());
}

void BestParameters::restore(torch::nn::Module& net) const {
  const torch::NoGradGuard no_grad;
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < kept_.size(); ++i) parameters[i].detach().copy_(kept_[i]);
}

std::int64_t shared_batch(std::int64_t batch, std::size_t shared, std::size_t users) {
  const auto all = static_cast<std::int64_t>(std::max<std::size_t>(1, users));
  return std::max<std::int64_t>(1, batch * static_cast<std::int64_t>(shared) / all);
}

torch::Tensor bpr_sum(const torch::Tensor& users, const torch::Tensor& items,
                      const TripleSource::Batch& batch) {
  const torch::Tensor difference =
      items.index_select(0, batch.items) - items.index_select(0, batch.negatives);
  return torch::softplus(-(users * difference).sum(1)).sum();
}

std::vector<train::Parameter> parameters_of(const std::string& prefix,
                                            const torch::nn::Module& module) {
  std::vector<train::Parameter> all;
  for (const auto& parameter : module.named_parameters()) {
    all.push_back({prefix + "." + parameter.key(), parameter.value()});
  }
  return all;
}

}  // namespace kindling
