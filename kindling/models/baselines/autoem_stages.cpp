#include "kindling/models/baselines/autoem_stages.h"

#include <algorithm>
#include <span>
#include <utility>

#include "kindling/models/recguru/steps.h"
#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"

namespace kindling::autoem {

namespace {

torch::Tensor rows(const torch::Tensor& table, const std::vector<std::int64_t>& index) {
  return table.index_select(0, nn::index_tensor(index, torch::kCPU));
}

std::unique_ptr<train::Optimizer> adam(double rate,
                                       const std::vector<train::Parameter>& parameters) {
  return train::make_optimizer(
      {.kind = "adam", .learning_rate = rate, .eps = 1e-8, .beta1 = 0.9, .beta2 = 0.98},
      parameters);
}

// Undefined when the users have no positions to align.
torch::Tensor map_loss(const States& here, const States& there, std::span<const SharedUser> users,
                       const MapNet& map) {
  std::vector<std::int64_t> x, y;
  for (const SharedUser& user : users) align(here, there, user, x, y);
  if (x.empty()) return {};
  return torch::mse_loss(map.forward(rows(here.values, x)), rows(there.values, y));
}

// Users of the target who have positions to learn from.
struct Sides {
  std::vector<UserId> both, alone;
};

Sides sides_of(const MergeTask& task) {
  const std::vector<std::int64_t>& offsets = task.positions.offsets;
  std::vector<bool> is_shared(offsets.size() - 1, false);
  for (const SharedUser& user : task.shared) is_shared[user.first] = true;
  Sides sides;
  for (UserId user = 0; user < is_shared.size(); ++user) {
    if (offsets[user] == offsets[user + 1]) continue;
    (is_shared[user] ? sides.both : sides.alone).push_back(user);
  }
  return sides;
}

// All positions of `count` users, drawn with replacement.
std::vector<std::int64_t> drawn_positions(const Positions& all, const std::vector<UserId>& users,
                                          std::int64_t count, Rng& rng) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t n = 0; n < count; ++n) {
    const UserId user = users[rng.below(users.size())];
    for (std::int64_t at = all.offsets[user]; at < all.offsets[user + 1]; ++at) {
      chosen.push_back(at);
    }
  }
  return chosen;
}

// The mean over some positions.
torch::Tensor merge_loss(const MergeTask& task, const std::vector<std::int64_t>& chosen,
                         const MergeNet& merge, Rng& rng) {
  const std::int64_t columns = 1 + task.negatives;
  std::vector<std::int64_t> own, candidates;
  for (const std::int64_t position : chosen) {
    const auto at = static_cast<std::size_t>(position);
    own.push_back(task.positions.here[at]);
    candidates.push_back(task.positions.next[at]);
    for (std::int64_t k = 1; k < columns; ++k) {
      candidates.push_back(task.data.draw_negative(task.positions.users[at], false, rng));
    }
  }
  const torch::Tensor user =
      merge.forward(rows(task.here.values, own), rows(task.positions.other, chosen));
  const torch::Tensor index = nn::index_tensor(candidates, torch::kCPU).view({-1, columns});
  return recguru::recommendation_loss(nn::gather_dot(user, task.items, index), task.loss);
}

}  // namespace

void learn_map(const StageOptions& options, const States& here, const States& there,
               std::vector<SharedUser> shared, const Rng& rng, MapNet& map) {
  Rng split = rng.fork("split");
  shuffle(std::span<SharedUser>(shared), split);
  const auto held =
      static_cast<std::size_t>(options.map_validation * static_cast<double>(shared.size()));
  const std::span<const SharedUser> checked = std::span(shared).first(held);
  const std::span<const SharedUser> learnt = std::span(shared).subspan(held);
  const auto batch = static_cast<std::size_t>(options.map_batch);
  const auto step = adam(options.map_learning_rate, parameters_of("map", map));
  BestParameters best;
  for (std::int64_t epoch = 0; epoch < options.map_epochs; ++epoch) {
    Rng draws = rng.fork("epoch", static_cast<std::uint64_t>(epoch));
    const auto order = permutation(learnt.size(), draws);
    for (std::size_t at = 0; at < order.size(); at += batch) {
      std::vector<SharedUser> some;
      for (std::size_t i = at; i < std::min(order.size(), at + batch); ++i) {
        some.push_back(learnt[order[i]]);
      }
      const torch::Tensor loss = map_loss(here, there, some, map);
      if (!loss.defined()) continue;
      loss.backward();
      step->step();
    }
    const torch::NoGradGuard no_grad;
    const torch::Tensor error = map_loss(here, there, checked, map);
    if (error.defined()) best.offer(error.item<double>(), map);
  }
  best.restore(map);
}

std::optional<double> learn_merge(const StageOptions& options, const MergeTask& task,
                                  const Rng& rng, const FitContext& context,
                                  const std::function<double()>& ask, MergeNet& merge) {
  const Sides sides = sides_of(task);
  const std::int64_t both_batch =
      shared_batch(options.merge_batch, task.shared.size(), task.positions.offsets.size() - 1);
  const auto step = adam(options.merge_learning_rate, parameters_of("merge", merge));
  BestParameters best;  // by minus HR@10
  const std::int64_t steps = sides.both.empty() && sides.alone.empty() ? 0 : options.merge_steps;
  for (std::int64_t number = 1; number <= steps && goes_on(context, "autoem", number); ++number) {
    Rng draws = rng.fork("step", static_cast<std::uint64_t>(number));
    torch::Tensor loss = torch::zeros({});
    for (const auto& [users, count] :
         {std::pair{&sides.both, both_batch}, std::pair{&sides.alone, options.merge_batch}}) {
      if (users->empty()) continue;
      const auto chosen = drawn_positions(task.positions, *users, count, draws);
      loss = loss + merge_loss(task, chosen, merge, draws);
    }
    loss.backward();
    step->step();
    const bool asked = number % options.merge_validate_every == 0 || number == steps;
    if (ask && asked) best.offer(-ask(), merge);
  }
  if (best.empty()) return std::nullopt;
  best.restore(merge);
  return -best.error();
}

}  // namespace kindling::autoem
