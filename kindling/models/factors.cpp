#include "kindling/models/factors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/vectors.h"

namespace kindling {

namespace {

// The epochs after which R's scripts validate [B9].
bool validates_after(std::int64_t epoch, std::int64_t last) {
  return epoch <= 20 || epoch % 10 == 0 || epoch == last;
}

kernels::TableOptimizer::Options step_options(const FactorOptions& options) {
  kernels::TableOptimizer::Options step;
  step.kind = options.optimizer == "sgd" ? kernels::TableOptimizer::Kind::kSgd
                                         : kernels::TableOptimizer::Kind::kAdam;
  step.learning_rate = options.learning_rate;
  step.beta1 = options.beta1;
  step.beta2 = options.beta2;
  step.eps = options.eps;
  step.weight_decay = options.weight_decay;
  return step;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What decides when training ends and which state stays.
class Selection {
 public:
  Selection(const FactorOptions& options, Factors& factors)
      : options_(options), factors_(factors) {}

  // Whether training goes on.
  bool see(double hits) {
    if (hits > best_) {
      best_ = hits;
      kept_ = factors_;
      since_best_ = 0;
    } else {
      ++since_best_;
    }
    return options_.patience == 0 || since_best_ < options_.patience;
  }
  void finish() {
    if (best_ >= 0.0) factors_ = std::move(kept_);
  }

 private:
  const FactorOptions& options_;
  Factors& factors_;
  Factors kept_;
  double best_ = -1.0;
  std::int64_t since_best_ = 0;
};

}  // namespace

BprData bpr_data(const Dataset& train) {
  BprData data;
  data.users = train.user_count();
  data.items = train.item_count();
  data.item_begin = {0, static_cast<std::uint32_t>(data.items)};
  for (UserId user = 0; user < train.user_count(); ++user) {
    std::vector<std::uint32_t> taken;
    for (const Event& event : train.history(user)) {
      data.positives.push_back({user, event.item, 0});
      taken.push_back(event.item);
    }
    std::sort(taken.begin(), taken.end());
    taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
    data.taken.push_row(taken);
  }
  return data;
}

std::vector<kernels::BprTriple> draw_triples(const BprData& data, std::int64_t negatives,
                                             Rng& rng) {
  std::vector<kernels::BprTriple> triples;
  triples.reserve(data.positives.size() * static_cast<std::size_t>(negatives));
  for (const BprData::Positive& positive : data.positives) {
    const auto taken = data.taken.row(positive.user);
    const std::uint32_t begin = data.item_begin[positive.domain];
    const std::uint32_t end = data.item_begin[positive.domain + 1];
    const auto own = std::lower_bound(taken.begin(), taken.end(), end) -
                     std::lower_bound(taken.begin(), taken.end(), begin);
    if (static_cast<std::uint32_t>(own) == end - begin) continue;
    for (std::int64_t k = 0; k < negatives; ++k) {
      std::uint32_t negative = 0;
      do {
        negative = begin + static_cast<std::uint32_t>(rng.below(end - begin));
      } while (std::binary_search(taken.begin(), taken.end(), negative));
      triples.push_back({positive.user, positive.item, negative});
    }
  }
  shuffle(std::span<kernels::BprTriple>(triples), rng);
  return triples;
}

Factors start_factors(const BprData& data, const FactorOptions& options, const Rng& rng) {
  const auto dim = static_cast<std::size_t>(options.dim);
  Factors factors{Matrix(data.users, dim), Matrix(data.items, dim)};
  Rng draws = rng.fork("vectors");
  for (Matrix* table : {&factors.users, &factors.items}) {
    for (std::size_t i = 0; i < table->rows() * dim; ++i) {
      table->data()[i] = static_cast<float>(options.init_sd * draws.normal());
    }
  }
  return factors;
}

void train_factors(const BprData& data, const FactorOptions& options, const std::string& name,
                   FitContext& context, const std::function<double()>& validate, Factors& factors) {
  if (options.optimizer == "adam" && options.weight_decay > 0.0) {
    throw Error(Kind::kBadOption, "weight_decay is for optimizer=sgd", name);
  }
  const auto start = std::chrono::steady_clock::now();
  const Rng root = Rng(context.seed).fork(name);
  const auto batch = static_cast<std::size_t>(options.batch_size);
  const auto step = step_options(options);
  kernels::TableOptimizer users(factors.users.data(), factors.users.rows(), factors.users.cols(),
                                batch, step);
  kernels::TableOptimizer items(factors.items.data(), factors.items.rows(), factors.items.cols(),
                                2 * batch, step);
  Selection selection(options, factors);
  bool more = true;
  for (std::int64_t epoch = 1; epoch <= options.epochs && more; ++epoch) {
    Rng rng = root.fork("epoch", static_cast<std::uint64_t>(epoch));
    const auto triples = draw_triples(data, options.negatives, rng);
    double loss = 0.0;
    for (std::size_t at = 0; at < triples.size(); at += batch) {
      if (context.should_stop && context.should_stop()) {
        throw Error(Kind::kIo, name + " was stopped before it had learnt");
      }
      loss += kernels::bpr_batch(triples.data() + at, std::min(batch, triples.size() - at), users,
                                 items);
      users.apply();
      items.apply();
    }
    const double seconds = seconds_since(start);
    const bool last =
        epoch == options.epochs || (context.max_seconds > 0.0 && seconds >= context.max_seconds);
    EpochRecord record;
    record.epoch = epoch;
    record.train_loss = loss / static_cast<double>(std::max<std::size_t>(triples.size(), 1));
    record.learning_rate = options.learning_rate;
    if (!std::isfinite(record.train_loss)) {
      throw Error(Kind::kBadOption, fmt::format("the loss of {} is not finite", name),
                  "learning_rate", "choose a smaller learning_rate");
    }
    more = !last;
    if (validate && validates_after(epoch, last ? epoch : options.epochs)) {
      users.settle();
      items.settle();
      record.validation_hr = validate();
      more = selection.see(*record.validation_hr) && more;
    }
    record.seconds = seconds_since(start);
    context.history.push_back(record);
    if (context.on_epoch) context.on_epoch(record);
  }
  users.settle();
  items.settle();
  selection.finish();
}

void FactorModel::require_domains(const TrainTask& task, bool both) const {
  require_events(*require_target(task, name_).data);
  if (both) require_events(*require_source(task, name_).data);
}

void FactorModel::require_events(const Dataset& data) const {
  if (data.event_count() > 0) return;
  throw Error(Kind::kBadInput, fmt::format("{} has nothing to learn from: dataset {} has no events",
                                           name_, quote(data.name)));
}

void FactorModel::check_domain(const Domain& domain) const {
  require_items(domain, factors_.items.rows(), name_);
}

Matrix FactorModel::score(const Domain& domain, std::span<const Query> queries,
                          std::span<const ItemId> candidates) const {
  return score_by_vectors(*this, domain, queries, candidates);
}

Matrix FactorModel::item_vectors(const Domain& domain) const {
  check_domain(domain);
  return factors_.items;
}

Matrix FactorModel::user_vectors(const Domain& domain, std::span<const Query> queries) const {
  check_domain(domain);
  const std::size_t dim = factors_.items.cols();
  const bool same_users =
      domain.data == nullptr || domain.data->user_count() == factors_.users.rows();
  Matrix vectors(queries.size(), dim);
  const auto add = [&](std::size_t q, std::span<const float> row, float share) {
    for (std::size_t i = 0; i < dim; ++i) vectors(q, i) += share * row[i];
  };
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto history = queries[q].history;
    if (same_users && queries[q].user && *queries[q].user < factors_.users.rows()) {
      add(q, std::as_const(factors_.users).row(*queries[q].user), 1.0F);
    } else if (!history.empty()) {
      for (const Event& event : history) {
        check(event.item < factors_.items.rows(), "a history holds an item of another domain");
        add(q, std::as_const(factors_.items).row(event.item),
            1.0F / static_cast<float>(history.size()));
      }
    } else {
      for (std::size_t u = 0; u < factors_.users.rows(); ++u) {
        add(q, std::as_const(factors_.users).row(u),
            1.0F / static_cast<float>(factors_.users.rows()));
      }
    }
  }
  return vectors;
}

ModelState FactorModel::state() const {
  return {named_tensor("users", factors_.users), named_tensor("items", factors_.items)};
}

void FactorModel::load_state(const ModelState& state, const Json&) {
  factors_.users = matrix_of(state, "users", name_);
  factors_.items = matrix_of(state, "items", name_);
  if (state.size() != 2 || factors_.users.cols() != factors_.items.cols()) {
    throw Error(Kind::kCorrupt,
                fmt::format("a model {} holds users [n, d] and items [m, d]", name_));
  }
}

NamedTensor named_tensor(const std::string& name, const Matrix& values) {
  const std::size_t count = values.rows() * values.cols();
  return {name,
          {static_cast<std::int64_t>(values.rows()), static_cast<std::int64_t>(values.cols())},
          {values.data(), values.data() + count}};
}

Matrix matrix_of(const ModelState& state, const std::string& name, const std::string& model) {
  for (const NamedTensor& tensor : state) {
    if (tensor.name != name) continue;
    if (tensor.shape.size() != 2) break;
    Matrix values(static_cast<std::size_t>(tensor.shape[0]),
                  static_cast<std::size_t>(tensor.shape[1]));
    if (tensor.values.size() != values.rows() * values.cols()) break;
    if (!std::all_of(tensor.values.begin(), tensor.values.end(),
                     [](float value) { return std::isfinite(value); })) {
      throw Error(Kind::kCorrupt, fmt::format("tensor {} of model {} is not finite", name, model));
    }
    std::copy(tensor.values.begin(), tensor.values.end(), values.data());
    return values;
  }
  throw Error(Kind::kCorrupt, fmt::format("a model {} needs a matrix {}", model, name));
}

}  // namespace kindling
