// CMF: collective matrix factorisation. Two domains share one table of users: a person who is in
// both has one vector that both domains train.
//
// Source: Singh & Gordon, Relational Learning via Collective Matrix Factorization, KDD 2008, as
//         RecGURU's comparison has it: BPRMF over the interactions of both domains.
// Differs: its sampler was never published; negatives are of the positive's own domain [B12].
//
//   users: the target's, then the source's that are not among them; items: the target's, then the
//   source's; −Σ log σ(p_u·q_i − p_u·q_j) over all interactions, i and j of one domain
#include <algorithm>

#include "kindling/data/domains.h"
#include "kindling/models/factors.h"
#include "kindling/models/registry.h"

namespace kindling::cmf {

namespace {

// Both domains in one BprData; the target's users and items keep their numbers.
BprData join(const Dataset& target, const Dataset& source) {
  BprData data = bpr_data(target);
  std::vector<std::uint32_t> number(source.user_count());
  std::vector<bool> known(source.user_count(), false);
  for (const SharedUser& both : shared_users(target, source)) {
    number[both.second] = both.first;
    known[both.second] = true;
  }
  for (UserId user = 0; user < source.user_count(); ++user) {
    if (!known[user]) number[user] = static_cast<std::uint32_t>(data.users++);
  }
  const auto offset = static_cast<std::uint32_t>(target.item_count());
  std::vector<std::vector<std::uint32_t>> taken(data.users);
  for (UserId user = 0; user < target.user_count(); ++user) {
    const auto row = data.taken.row(user);
    taken[user].assign(row.begin(), row.end());
  }
  for (UserId user = 0; user < source.user_count(); ++user) {
    for (const Event& event : source.history(user)) {
      data.positives.push_back({number[user], offset + event.item, 1});
      taken[number[user]].push_back(offset + event.item);
    }
  }
  data.items += source.item_count();
  data.item_begin.push_back(static_cast<std::uint32_t>(data.items));
  data.taken = {};
  for (auto& items : taken) {
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    data.taken.push_row(items);
  }
  return data;
}

Matrix first_rows(const Matrix& table, std::size_t rows) {
  Matrix part(rows, table.cols());
  std::copy(table.data(), table.data() + rows * table.cols(), part.data());
  return part;
}

class Cmf : public FactorModel {
 public:
  explicit Cmf(FactorOptions options) : FactorModel("cmf"), options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    require_domains(task, true);
    const Dataset& target = *task.target_train->data;
    const BprData data = join(target, *task.source->data);
    Factors all = start_factors(data, options_, Rng(context.seed).fork("cmf"));
    const auto publish = [&] {
      factors_.users = first_rows(all.users, target.user_count());
      factors_.items = first_rows(all.items, target.item_count());
    };
    std::function<double()> validate;
    if (context.validate) {
      validate = [&] {
        publish();
        return context.validate(*this);
      };
    }
    train_factors(data, options_, "cmf", context, validate, all);
    publish();
  }

 private:
  FactorOptions options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  FactorOptions options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Cmf>(options);
}

std::vector<OptionInfo> describe() { return describe_options(FactorOptions{}); }

}  // namespace kindling::cmf
