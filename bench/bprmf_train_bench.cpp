// bprmf_train: epochs of BPR matrix factorisation, negatives drawn anew, against PyTorch.
//
//   bprmf_train                   d = 32, batch 4,096, 4 negatives, SGD with decay of every row, as
//                                 the cited script; the peer draws and collates rows in Python
//   bprmf_train_vectorised_peer   the same; the peer draws by numpy, batches are cut from a tensor
//   bprmf_train_adam              d = 64, batch 2,048, 1 negative, Adam [B9]; the vectorised peer
//
// Users, items and interactions as in Amazon's Sports (2014). Tables after three steps on the same
// triples are compared before anything is timed. One thread on either side.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "bench/peer_process.h"
#include "kindling/base/error.h"
#include "kindling/models/factors.h"

namespace {

using kindling::Rng;

constexpr std::size_t kUsers = 35'598;
constexpr std::size_t kItems = 18'357;
constexpr std::size_t kPairs = 50'000;  // a quarter of an epoch, so that the slow peer ends
constexpr int kRounds = 5;
constexpr int kCheckedSteps = 3;

struct Setting {
  std::string name;
  std::string variant;
  kindling::FactorOptions options;
};

// Users in order with a few items each; items by a skewed draw, as shops have them.
kindling::BprData make_data() {
  kindling::DatasetBuilder builder(false);
  for (std::size_t j = 0; j < kItems; ++j) builder.item(fmt::format("i{}", j));
  Rng rng(5);
  for (std::size_t u = 0; u < kUsers; ++u) builder.user(fmt::format("u{}", u));
  for (std::size_t n = 0; n < kPairs; ++n) {
    const auto user = static_cast<kindling::UserId>(rng.below(kUsers));
    const double skew = rng.uniform() * rng.uniform();
    builder.add(user, static_cast<kindling::ItemId>(skew * static_cast<double>(kItems)), 0);
  }
  return kindling::bpr_data(std::move(builder).build("bench"));
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0.0;
}

template <class T>
void write_values(const std::filesystem::path& path, const T* values, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

void write_matrix(const std::filesystem::path& path, const kindling::Matrix& matrix) {
  write_values(path, matrix.data(), matrix.rows() * matrix.cols());
}

double difference_from(const std::filesystem::path& path, const kindling::Matrix& matrix) {
  std::vector<float> theirs(matrix.rows() * matrix.cols(), 1e9F);
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(theirs.data()),
            static_cast<std::streamsize>(theirs.size() * sizeof(float)));
  double largest = 0.0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::fabs(theirs[i] - matrix.data()[i])));
  }
  return largest;
}

class Ours {
 public:
  Ours(const kindling::BprData& data, const kindling::FactorOptions& options)
      : data_(data),
        options_(options),
        batch_(static_cast<std::size_t>(options.batch_size)),
        factors_(kindling::start_factors(data, wide(options), Rng(3))),
        users_(factors_.users.data(), kUsers, factors_.users.cols(), batch_, step_of(options)),
        items_(factors_.items.data(), kItems, factors_.items.cols(), 2 * batch_, step_of(options)) {
  }

  double steps(const std::vector<kindling::kernels::BprTriple>& triples) {
    double loss = 0.0;
    for (std::size_t at = 0; at < triples.size(); at += batch_) {
      loss = kindling::kernels::bpr_batch(triples.data() + at,
                                          std::min(batch_, triples.size() - at), users_, items_);
      users_.apply();
      items_.apply();
    }
    return loss;
  }
  double round() {
    const auto start = std::chrono::steady_clock::now();
    Rng rng(++rounds_);
    steps(kindling::draw_triples(data_, options_.negatives, rng));
    settle();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  void settle() {
    users_.settle();
    items_.settle();
  }
  const kindling::Factors& factors() const { return factors_; }

 private:
  // Larger than the paper's 0.01, so that a step's gradients are not all alike.
  static kindling::FactorOptions wide(kindling::FactorOptions options) {
    options.init_sd = 0.1;
    return options;
  }
  static kindling::kernels::TableOptimizer::Options step_of(
      const kindling::FactorOptions& options) {
    using kindling::kernels::TableOptimizer;
    return {.kind = options.optimizer == "sgd" ? TableOptimizer::Kind::kSgd
                                               : TableOptimizer::Kind::kAdam,
            .learning_rate = options.learning_rate,
            .beta1 = options.beta1,
            .beta2 = options.beta2,
            .eps = options.eps,
            .weight_decay = options.weight_decay};
  }

  const kindling::BprData& data_;
  kindling::FactorOptions options_;
  std::size_t batch_;
  kindling::Factors factors_;
  kindling::kernels::TableOptimizer users_;
  kindling::kernels::TableOptimizer items_;
  std::uint64_t rounds_ = 0;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

void write_problem(const std::filesystem::path& directory, const kindling::BprData& data,
                   const Ours& ours, const std::vector<kindling::kernels::BprTriple>& triples) {
  write_matrix(directory / "users.f32", ours.factors().users);
  write_matrix(directory / "items.f32", ours.factors().items);
  std::vector<std::int64_t> pairs;
  for (const auto& positive : data.positives) {
    pairs.push_back(positive.user);
    pairs.push_back(positive.item);
  }
  write_values(directory / "pairs.i64", pairs.data(), pairs.size());
  std::vector<std::int64_t> rows;
  for (const auto& triple : triples) {
    for (const std::uint32_t id : {triple.user, triple.item, triple.negative}) rows.push_back(id);
  }
  write_values(directory / "triples.i64", rows.data(), rows.size());
}

int compare(const kindling::BprData& data, const Setting& setting) {
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  const std::filesystem::path directory = pattern;
  const kindling::FactorOptions& options = setting.options;
  Ours ours(data, options);
  Rng rng(9);
  auto triples = kindling::draw_triples(data, options.negatives, rng);
  const std::size_t total = triples.size();
  triples.resize(static_cast<std::size_t>(options.batch_size) * kCheckedSteps);
  write_problem(directory, data, ours, triples);
  kindling::bench::PeerProcess peer(
      {"/usr/bin/python3", KINDLING_PEERS "/bprmf_train_peer.py", pattern, setting.variant,
       options.optimizer, std::to_string(kUsers), std::to_string(kItems),
       std::to_string(options.dim), std::to_string(options.batch_size),
       std::to_string(options.negatives)});
  const double our_loss = ours.steps(triples);
  ours.settle();
  const double peer_loss = peer.ask("check");
  const double difference =
      std::max(difference_from(directory / "peer_users.f32", ours.factors().users),
               difference_from(directory / "peer_items.f32", ours.factors().items));
  std::filesystem::remove_all(directory);
  std::cerr << fmt::format("{}: loss {:.4f} and {:.4f}; tables after {} steps differ by {:.1e}\n",
                           setting.name, our_loss, peer_loss, kCheckedSteps, difference);
  if (!(std::fabs(our_loss - peer_loss) < 1e-4 * peer_loss) || !(difference < 1e-4)) return 3;

  std::vector<double> our_seconds, peer_seconds;
  for (int i = 0; i < kRounds; ++i) {
    our_seconds.push_back(ours.round());
    peer_seconds.push_back(peer.ask("round"));
  }
  const double our_rate = static_cast<double>(total) / median(our_seconds);
  const double peer_rate = static_cast<double>(total) / median(peer_seconds);
  std::cout << fmt::format(
                   "bench {} ours={:.0f} peer={:.0f} ratio={:.2f} unit=triples/s threads=1 "
                   "ours_mib={:.0f} peer_mib={:.0f}",
                   setting.name, our_rate, peer_rate, our_rate / peer_rate, peak_mib(),
                   peer.ask("peak"))
            << std::endl;
  return 0;
}

}  // namespace

int main() {
  try {
    const kindling::BprData data = make_data();
    kindling::FactorOptions script;
    script.dim = 32;
    script.optimizer = "sgd";
    script.learning_rate = 0.01;
    script.weight_decay = 0.001;
    script.batch_size = 4096;
    script.negatives = 4;
    int worst = 0;
    for (const Setting& setting : {Setting{"bprmf_train", "script", script},
                                   Setting{"bprmf_train_vectorised_peer", "vectorised", script},
                                   Setting{"bprmf_train_adam", "vectorised", {}}}) {
      worst = std::max(worst, compare(data, setting));
    }
    return worst;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
