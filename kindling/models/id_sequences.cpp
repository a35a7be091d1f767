#include "kindling/models/id_sequences.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/models/vectors.h"
#include "kindling/nn/tensors.h"

namespace kindling {

namespace {

constexpr std::size_t kHistoriesAtOnce = 1024;

EpochRecord sequence_record(const train::EpochResult& epoch, bool validated) {
  EpochRecord record;
  record.epoch = epoch.epoch;
  record.train_loss = epoch.train_loss;
  record.seconds = epoch.seconds;
  record.learning_rate = epoch.learning_rate;
  if (validated) record.validation_hr = -epoch.validation.loss;
  return record;
}

}  // namespace

void PackedItems::add(std::span<const std::int64_t> sequence, std::int64_t length) {
  const auto kept = std::min<std::size_t>(sequence.size(), static_cast<std::size_t>(length));
  for (std::size_t i = 0; i < kept; ++i) {
    items.push_back(sequence[sequence.size() - kept + i]);
    slots.push_back(length - static_cast<std::int64_t>(kept - i));
  }
  offsets.push_back(steps());
}

void IdSequenceModel::read(const Dataset& train) {
  flat_.clear();
  begin_.assign(1, 0);
  taken_.assign(train.user_count(), {});
  for (UserId user = 0; user < train.user_count(); ++user) {
    for (const Event& event : train.history(user)) flat_.push_back(event.item);
    begin_.push_back(flat_.size());
    const auto own = items_of(user);
    taken_[user].assign(own.begin(), own.end());
    std::sort(taken_[user].begin(), taken_[user].end());
  }
}

std::int64_t IdSequenceModel::negative_for(UserId user, Rng& rng) const {
  const std::vector<std::int64_t>& own = taken_[user];
  // Somebody who took nearly everything gets an item of their own rather than an endless search.
  for (int tries = 0; tries < 64; ++tries) {
    const auto item = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(items_)));
    if (!std::binary_search(own.begin(), own.end(), item)) return item;
  }
  return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(items_)));
}

// What the epochs of one fit() share.
class IdSequenceModel::Lesson {
 public:
  Lesson(IdSequenceModel& model, FitContext& context, std::vector<UserId> users)
      : model_(model),
        context_(context),
        users_(std::move(users)),
        root_(Rng(context.seed).fork(model.name_)),
        how_(model.training()),
        adam_(model.optimizer(*model.net_)),
        size_(static_cast<std::size_t>(how_.batch_size)),
        batches_(static_cast<std::int64_t>((users_.size() + size_ - 1) / size_)) {}

  void run(const Dataset& data) {
    train::LoopOptions loop;
    loop.epochs = how_.epochs;
    loop.clip = how_.clip;
    loop.plateau = {1.0, 0, context_.validate ? how_.patience * how_.validate_every : 0};
    loop.max_seconds = context_.max_seconds;
    loop.checkpoint = context_.checkpoint;
    loop.resume = context_.resume;
    const train::LoopResult result = train::run_epochs(job(data), *adam_, loop);
    context_.history.clear();
    for (const train::EpochResult& epoch : result.history) {
      context_.history.push_back(sequence_record(epoch, validated(epoch.epoch)));
    }
  }

 private:
  train::Job job(const Dataset& data) {
    train::Job job;
    job.name = model_.name_;
    Json identity = {{"options", model_.identity()}, {"data", data.fingerprint()}};
    context_.identify(identity);
    job.identity = sha256(identity.dump());
    job.begin_epoch = [this](std::int64_t epoch) {
      order_ = users_;
      running_ = epoch;
      Rng rng = root_.fork("order", static_cast<std::uint64_t>(epoch));
      shuffle(std::span<UserId>(order_), rng);
      model_.net_->train();
      return batches_;
    };
    job.run_batch = [this](std::int64_t epoch, std::int64_t batch, const train::Job::Step& step) {
      const std::size_t first = static_cast<std::size_t>(batch) * size_;
      const auto part =
          std::span<const UserId>(order_).subspan(first, std::min(size_, order_.size() - first));
      const std::int64_t number = (epoch - 1) * batches_ + batch;
      const Loss loss = model_.batch_loss(*model_.net_, part, number, *adam_,
                                          root_.fork("step", static_cast<std::uint64_t>(number)));
      if (loss.targets == 0) return;
      loss.mean.backward();
      model_.after_backward(*adam_);
      const auto targets = static_cast<double>(loss.targets);
      step({loss.mean.item<double>() * targets, loss.targets});
    };
    job.validate = [this](double train_loss) { return validate(train_loss); };
    job.on_epoch = [this](const train::EpochResult& epoch) {
      if (context_.on_epoch) context_.on_epoch(sequence_record(epoch, validated(epoch.epoch)));
    };
    job.should_stop = context_.should_stop;
    return job;
  }

  bool validated(std::int64_t epoch) const {
    return context_.validate &&
           (epoch == 1 || epoch % how_.validate_every == 0 || epoch == how_.epochs);
  }

  train::Validation validate(double train_loss) {
    if (!context_.validate) return {train_loss, 0.0};
    if (validated(running_)) {
      model_.net_->eval();
      last_ = -context_.validate(model_);
    }
    return {last_, 0.0};  // between validations: no better than the last
  }

  IdSequenceModel& model_;
  FitContext& context_;
  std::vector<UserId> users_;
  Rng root_;
  SequenceTraining how_;
  std::unique_ptr<train::Optimizer> adam_;
  std::size_t size_;
  std::int64_t batches_;
  std::vector<UserId> order_;
  std::int64_t running_ = 0;
  double last_ = 0.0;  // validation, negated
};

void IdSequenceModel::fit(const TrainTask& task, FitContext& context) {
  const Dataset& data = *require_target(task, name_).data;
  nn::use_base_threads();
  read(data);
  items_ = static_cast<std::int64_t>(data.item_count());
  net_ = build(items_, Rng(context.seed).fork(name_).fork("weights"));
  std::vector<UserId> users;
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (learns_from(items_of(user))) users.push_back(user);
  }
  if (users.empty()) {
    throw Error(Kind::kBadInput,
                fmt::format("{} has no user long enough for {}", quote(data.name), name_), {},
                "it learns from users with two training events or more");
  }
  Lesson(*this, context, std::move(users)).run(data);
  net_->eval();
  for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
  flat_.clear();
  taken_.clear();
}

SequenceNet& IdSequenceModel::net() const {
  if (!net_) throw Error(Kind::kInternal, name_ + " is used before fit()");
  return *net_;
}

void IdSequenceModel::check_domain(const Domain& domain) const {
  require_items(domain, static_cast<std::size_t>(items_), name_);
}

Matrix IdSequenceModel::score(const Domain& domain, std::span<const Query> queries,
                              std::span<const ItemId> candidates) const {
  return score_by_vectors(*this, domain, queries, candidates);
}

Matrix IdSequenceModel::item_vectors(const Domain& domain) const {
  check_domain(domain);
  const torch::NoGradGuard no_grad;
  return nn::to_matrix(net().output_items().detach());
}

Matrix IdSequenceModel::user_vectors(const Domain& domain, std::span<const Query> queries) const {
  check_domain(domain);
  const torch::NoGradGuard no_grad;
  const bool was_training = net().is_training();
  net().eval();
  std::vector<torch::Tensor> parts;
  Rng none(0);
  for (std::size_t first = 0; first < queries.size(); first += kHistoriesAtOnce) {
    PackedItems batch;
    std::vector<std::int64_t> last;   // row of each answered query's last state
    std::vector<std::int64_t> where;  // its row in the answer
    const std::size_t count = std::min(kHistoriesAtOnce, queries.size() - first);
    for (std::size_t q = 0; q < count; ++q) {
      std::vector<std::int64_t> history;
      for (const Event& event : queries[first + q].history) {
        check(static_cast<std::int64_t>(event.item) < items_,
              "a history holds an item of another domain");
        history.push_back(event.item);
      }
      const std::int64_t before = batch.steps();
      add_query(history, batch);
      if (batch.steps() == before) {
        batch.offsets.pop_back();
        continue;
      }
      last.push_back(batch.steps() - 1);
      where.push_back(static_cast<std::int64_t>(q));
    }
    torch::Tensor states;
    if (!last.empty()) {
      states = net().output_users(
          net().states(batch, none).index_select(0, nn::index_tensor(last, torch::kCPU)));
    }
    // Nothing is known of an empty history: a vector of zeros, every item alike.
    torch::Tensor part =
        torch::zeros({static_cast<std::int64_t>(count), net().output_items().size(1)});
    if (states.defined()) part.index_copy_(0, nn::index_tensor(where, torch::kCPU), states);
    parts.push_back(part);
  }
  if (was_training) net().train();
  if (parts.empty()) {
    return Matrix(0, static_cast<std::size_t>(net().output_items().size(1)));
  }
  return nn::to_matrix(torch::cat(parts));
}

ModelState IdSequenceModel::state() const {
  ModelState all;
  for (const auto& parameter : net().named_parameters()) {
    const torch::Tensor values = parameter.value().detach().contiguous();
    const float* first = values.data_ptr<float>();
    all.push_back({parameter.key(), values.sizes().vec(), {first, first + values.numel()}});
  }
  return all;
}

Json IdSequenceModel::details() const { return {{"items", items_}}; }

void IdSequenceModel::load_state(const ModelState& state, const Json& details) {
  items_ = json_get<std::int64_t>(details, "items", "model details");
  if (items_ < 1 || items_ > 1'000'000'000) {
    throw Error(Kind::kCorrupt, fmt::format("items is {}", items_), "model details");
  }
  nn::use_base_threads();
  // The sizes in `details` are believed only when a tensor of the file has them.
  const bool fits = std::any_of(state.begin(), state.end(), [&](const NamedTensor& tensor) {
    return !tensor.shape.empty() && tensor.shape[0] >= items_;
  });
  if (!fits)
    throw Error(Kind::kCorrupt, fmt::format("no table of {} holds {} items", name_, items_));
  net_ = build(items_, Rng(0));
  nn::NamedTensors tensors;
  for (const NamedTensor& saved : state) {
    tensors.emplace_back(saved.name,
                         torch::from_blob(const_cast<float*>(saved.values.data()), saved.shape));
  }
  nn::load_parameters(*net_, tensors);
  net_->eval();
  for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
}

torch::Tensor normal_tensor(torch::IntArrayRef shape, double sd, Rng& rng) {
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  float* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) data[i] = static_cast<float>(sd * rng.normal());
  return values;
}

torch::Tensor truncated_normal_tensor(torch::IntArrayRef shape, double sd, Rng& rng) {
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  float* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    double value = rng.normal();
    while (std::fabs(value) > 2.0) value = rng.normal();
    data[i] = static_cast<float>(sd * value);
  }
  return values;
}

}  // namespace kindling
