#include "kindling/models/recguru/steps.h"

#include <algorithm>
#include <cmath>

#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/user_network.h"

namespace kindling::recguru {

namespace {

constexpr std::size_t kSmallestOverlapBatch = 10;
constexpr std::size_t kProbedUsers = 1000;

torch::Tensor candidate_tensor(const std::vector<std::int64_t>& ids, std::int64_t columns) {
  return nn::index_tensor(ids, torch::kCPU).view({-1, columns});
}

void forget_gradients(torch::nn::Module& module) {
  for (torch::Tensor parameter : module.parameters()) parameter.mutable_grad() = torch::Tensor();
}

}  // namespace

double noam_rate(const Options& options, std::int64_t step) {
  const auto n = static_cast<double>(step + 1);
  const auto w = static_cast<double>(options.warmup);
  return options.pretrain_rate * std::pow(static_cast<double>(options.dim), -0.5) *
         std::min(std::pow(n, -0.5), n * std::pow(w, -1.5));
}

torch::Tensor recommendation_loss(const torch::Tensor& scores, const std::string& form) {
  if (form == "softmax") return nn::sampled_softmax_mean(scores);
  const torch::Tensor own = scores.select(1, 0);
  const torch::Tensor others = scores.narrow(1, 1, scores.size(1) - 1).mean(1);
  if (form == "bpr") return torch::softplus(others - own).mean();
  return torch::softplus(-own).mean() + torch::softplus(others).mean();
}

Steps::Side::Side(const Dataset& dataset, std::span<const std::vector<ItemId>> leaked,
                  std::size_t batch_size, const Rng& rng)
    : data(dataset, leaked),
      batches(data.users().size(), batch_size, rng),
      rows(data.table_rows()) {}

Steps::Steps(const Options& options, Variant variant, Net& net, Tables& tables,
             const Dataset* source, const Dataset& target, const TestItems& leaked, const Rng& root)
    : options_(options), variant_(variant), net_(net), tables_(tables), root_(root) {
  const auto size = static_cast<std::size_t>(options.batch_size);
  sides_[kTarget] =
      std::make_unique<Side>(target, leaked.target, size, root.fork("batches", kTarget));
  sides_[kTarget]->data.prepare_popular(options.negatives_power);
  if (source == nullptr) return;
  sides_[kSource] =
      std::make_unique<Side>(*source, leaked.source, size, root.fork("batches", kSource));
  for (const SharedUser& user : kindling::shared_users(*source, target)) {
    if (!source->history(user.first).empty() && !target.history(user.second).empty()) {
      shared_.push_back(user);
    }
  }
  if (!shared_.empty()) {
    shared_batches_ =
        std::make_unique<UserBatches>(shared_.size(), overlap_batch(), root.fork("batches", 2));
  }
  Rng stream = root.fork("critic");
  critic_ = std::make_shared<Critic>(options.dim, options.critic, stream);
}

std::size_t Steps::overlap_batch() const {
  const std::size_t users = sides_[0]->data.users().size() + sides_[1]->data.users().size();
  const std::size_t share =
      static_cast<std::size_t>(options_.batch_size) * shared_.size() / users + 1;
  return std::max(kSmallestOverlapBatch, share);
}

std::vector<UserId> Steps::pick(int domain, std::uint64_t number) {
  Side& side = *sides_[domain];
  std::vector<UserId> users;
  for (const std::uint32_t at : side.batches.batch(number)) {
    users.push_back(side.data.users()[at]);
  }
  return users;
}

torch::Tensor Steps::reconstruction(int domain, const DomainBatch& batch, const torch::Tensor& h,
                                    Rng& rng) {
  const torch::Tensor& table = leaf_of(domain);
  const torch::Tensor states = net_.decode(net_.decoder(domain), domain, table, batch.decoder, h,
                                           lengths_of(batch.encoder), rng);
  return nn::sampled_softmax_mean(
      nn::gather_dot(states, table, candidate_tensor(batch.candidates, batch.columns)));
}

PretrainLoss Steps::pretrain(std::int64_t step, train::Optimizer& optimizer) {
  const auto number = static_cast<std::uint64_t>(step);
  Rng rng = root_.fork("pretrain", number);
  PretrainLoss result;
  for (const int domain : {kSource, kTarget}) {
    if (!sides_[domain]) continue;
    const DomainBatch batch = make_domain_batch(
        sides_[domain]->data, pick(domain, number), options_.max_length, options_.negatives,
        rows_of(domain), rng.fork("negatives", static_cast<std::uint64_t>(domain)));
    take_rows(domain);
    const torch::Tensor h = net_.user_vectors(domain, leaf_of(domain), batch.encoder, rng);
    const torch::Tensor loss = reconstruction(domain, batch, h, rng);
    loss.backward();
    result.reconstruction[domain] = loss.item<double>();
    hand_over(domain, optimizer);
  }
  return result;
}

CriticLoss Steps::critic_step(std::int64_t step, std::int64_t k) {
  const auto number = static_cast<std::uint64_t>(step * (options_.critic_steps + 1) + k);
  Rng rng = root_.fork("critic_step", number);
  torch::Tensor h[2];
  for (const int domain : {kSource, kTarget}) {
    const torch::NoGradGuard no_grad;
    const PackedRows rows =
        encoder_rows(sides_[domain]->data, pick(domain, number), options_.max_length, nullptr);
    h[domain] = net_.user_vectors(domain, tables_.of[domain], rows, rng);
  }
  forget_gradients(*critic_);
  const torch::Tensor loss = critic_loss(*critic_, h[0], h[1], options_, rng);
  loss.backward();
  return {loss.item<double>(), wasserstein(*critic_, h[0], h[1])};
}

torch::Tensor Steps::overlap_loss(const PackedRows& a, const PackedRows& b, Rng& rng) {
  const torch::Tensor h_a = net_.user_vectors(kSource, leaf_of(kSource), a, rng);
  const torch::Tensor h_b = net_.user_vectors(kTarget, leaf_of(kTarget), b, rng);
  const torch::Tensor square = (h_a - h_b).square();
  if (options_.overlap_loss == "mse") return square.mean();
  return square.sum(1).clamp_min(1e-24).sqrt().mean();
}

GeneratorLoss Steps::generator_step(std::int64_t step, train::Optimizer& optimizer) {
  const auto number =
      static_cast<std::uint64_t>(step * (options_.critic_steps + 1) + options_.critic_steps);
  Rng rng = root_.fork("generator_step", number);
  DomainBatch batches[2];
  for (const int domain : {kSource, kTarget}) {
    batches[domain] = make_domain_batch(sides_[domain]->data, pick(domain, number),
                                        options_.max_length, options_.negatives, rows_of(domain),
                                        rng.fork("negatives", static_cast<std::uint64_t>(domain)));
  }
  PackedRows common[2];
  const bool overlap = shared_batches_ && options_.overlap_loss != "none";
  if (overlap) {
    std::vector<UserId> users[2];
    for (const std::uint32_t at : shared_batches_->batch(static_cast<std::uint64_t>(step))) {
      users[0].push_back(shared_[at].first);
      users[1].push_back(shared_[at].second);
    }
    for (const int domain : {kSource, kTarget}) {
      common[domain] =
          encoder_rows(sides_[domain]->data, users[domain], options_.max_length, rows_of(domain));
    }
  }
  GeneratorLoss result;
  torch::Tensor h[2];
  torch::Tensor total;
  const auto add = [&](const torch::Tensor& loss, double weight) {
    total = total.defined() ? total + weight * loss : weight * loss;
    return loss.item<double>();
  };
  for (const int domain : {kSource, kTarget}) {
    take_rows(domain);
    h[domain] = net_.user_vectors(domain, leaf_of(domain), batches[domain].encoder, rng);
    result.reconstruction[domain] = add(reconstruction(domain, batches[domain], h[domain], rng),
                                        options_.reconstruction_weight);
  }
  if (options_.adversary != "none") {
    result.adversarial =
        add(generator_loss(*critic_, h[0], h[1], options_, rng), options_.adversarial_weight);
  }
  if (overlap) {
    result.overlap = add(overlap_loss(common[0], common[1], rng), options_.overlap_weight);
  }
  total.backward();
  forget_gradients(*critic_);
  for (const int domain : {kSource, kTarget}) hand_over(domain, optimizer);
  return result;
}

Alikeness Steps::alikeness() {
  const torch::NoGradGuard no_grad;
  const bool training = net_.is_training();
  net_.eval();
  Rng unused(0);
  const auto encode = [&](int domain, std::span<const UserId> users) {
    const PackedRows rows = encoder_rows(sides_[domain]->data, users, options_.max_length, nullptr);
    return net_.user_vectors(domain, tables_.of[domain], rows, unused);
  };
  // A random choice, the same before and after.
  const auto some = [&](std::size_t count, const char* of) {
    Rng rng = root_.fork(of);
    auto order = permutation(count, rng);
    order.resize(std::min(count, kProbedUsers));
    return order;
  };
  torch::Tensor h[2];
  for (const int domain : {kSource, kTarget}) {
    const auto all = sides_[domain]->data.users();
    std::vector<UserId> users;
    for (const auto at : some(all.size(), domain == kSource ? "probe_a" : "probe_b")) {
      users.push_back(all[at]);
    }
    h[domain] = encode(domain, users);
  }
  Alikeness result;
  if (h[0].size(0) > 1 && h[1].size(0) > 1) result.domain_accuracy = domain_accuracy(h[0], h[1]);
  if (shared_.size() > 1) {
    std::vector<UserId> first, second;
    for (const auto at : some(shared_.size(), "probe_shared")) {
      first.push_back(shared_[at].first);
      second.push_back(shared_[at].second);
    }
    shared_distances(encode(kSource, first), encode(kTarget, second), result);
  }
  net_.train(training);
  return result;
}

namespace {

// What phase 3's user vectors are read from, unless that is the whole sequence.
struct Past {
  PackedRows rows;
  std::vector<std::int64_t> later;  // past: the decoder rows with a loss
  std::vector<std::int64_t> parts;  // past+empty: which decoder rows read which user vector
};

Past read_past(const Options& options, const DomainData& domain, std::span<const UserId> users,
               TableRows* map, const Rng& rng) {
  Past past;
  if (options.finetune_user == "past") {
    past.rows = past_rows(domain, users, options.max_length, map, rng, past.later);
  } else if (options.finetune_user == "past+empty") {
    past.rows = past_and_empty_rows(domain, users, options.max_length, map, rng, past.parts);
  }
  return past;
}

}  // namespace

FinetuneLoss Steps::finetune(std::int64_t step, bool popular, train::Optimizer& optimizer) {
  const auto number = static_cast<std::uint64_t>(step);
  Rng rng = root_.fork("finetune", number);
  Side& side = *sides_[kTarget];
  const std::vector<UserId> users = pick(kTarget, number);
  const bool encodes = variant_ != Variant::kSeqRec;
  const bool whole = encodes && options_.finetune_user == "whole";
  const bool reconstructs = encodes && options_.finetune_reconstruction;
  const DomainBatch batch = make_domain_batch(side.data, users, options_.max_length,
                                              reconstructs ? options_.negatives : 0,
                                              rows_of(kTarget), rng.fork("negatives", 0));
  const std::vector<std::int64_t> wanted =
      draw_candidates(side.data, users, options_.max_length, options_.finetune_negatives, popular,
                      rows_of(kTarget), rng.fork("negatives", 1));
  const Past past =
      encodes ? read_past(options_, side.data, users, rows_of(kTarget), rng.fork("past")) : Past{};
  take_rows(kTarget);
  FinetuneLoss result;
  torch::Tensor h;
  torch::Tensor total;
  if (reconstructs || whole) {
    const torch::AutoGradMode with_gradients(reconstructs || !options_.finetune_detach);
    h = net_.user_vectors(kTarget, leaf_of(kTarget), batch.encoder, rng);
  }
  if (reconstructs) {
    total = reconstruction(kTarget, batch, h, rng);
    result.reconstruction = total.item<double>();
  }
  if (encodes && !whole) {
    const torch::AutoGradMode with_gradients(!options_.finetune_detach);
    h = net_.user_vectors(kTarget, leaf_of(kTarget), past.rows, rng);
  }
  if (h.defined() && options_.finetune_detach) h = h.detach();
  if (h.defined()) h = nn::dropout(h, options_.user_dropout, rng);
  torch::Tensor states =
      net_.decode(net_.recommender(), kTarget, leaf_of(kTarget), batch.decoder, h,
                  lengths_of(whole ? batch.encoder : past.rows), rng, past.parts);
  torch::Tensor candidates = candidate_tensor(wanted, 1 + options_.finetune_negatives);
  if (!past.later.empty()) {
    const torch::Tensor rows = nn::index_tensor(past.later, torch::kCPU);
    states = states.index_select(0, rows);
    candidates = candidates.index_select(0, rows);
  }
  const torch::Tensor loss = recommendation_loss(
      nn::gather_dot(states, leaf_of(kTarget), candidates), options_.finetune_loss);
  result.recommendation = loss.item<double>();
  total = total.defined() ? total + loss : loss;
  total.backward();
  hand_over(kTarget, optimizer);
  return result;
}

}  // namespace kindling::recguru
