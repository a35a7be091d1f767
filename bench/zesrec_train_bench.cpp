// zesrec_train: a training step of ZESRec-G `map` with the full softmax at J = 10,000, D = 300,
// E = 384, 64 ragged sequences of mean length 20, dropout 0.2, Adagrad with dense offsets: the very
// step of the trainer (zesrec::Net, train::Optimizer), against PyTorch.
//
//   zesrec_train_bench            both peers (bench/peers/zesrec_train_peer.py)
//   zesrec_train_bench --large    J = 213,000 with sampled softmax: seconds and peak memory only
//
// Loss and parameters after one step without dropout are compared before anything is timed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "bench/peer_process.h"
#include "kindling/base/parallel.h"
#include "kindling/models/zesrec/net.h"
#include "kindling/nn/tensors.h"
#include "kindling/train/optimizers.h"

namespace {

using kindling::Rng;
using kindling::SequenceBatch;

constexpr std::int64_t kDim = 300;
constexpr std::int64_t kInputDim = 384;
constexpr std::int64_t kSequences = 64;
constexpr std::int64_t kTokens = 100'000;  // N_tok: targets of an epoch, for the penalty's weight
constexpr int kBatches = 2;
constexpr int kRounds = 5;

// Lengths 1 + ⌊-21 log(1 - u)⌋ cut at 64 [Z9]: expected mean 20.4, as ragged as real histories.
SequenceBatch make_batch(std::int64_t items, Rng rng) {
  SequenceBatch batch;
  for (std::int64_t b = 0; b < kSequences; ++b) {
    const auto drawn = static_cast<std::int64_t>(-21.0 * std::log(1.0 - rng.uniform()));
    const std::int64_t length = std::min<std::int64_t>(64, 1 + drawn);
    std::int64_t before = kindling::kDummyItem;
    for (std::int64_t t = 0; t < length; ++t) {
      batch.inputs.push_back(before);
      before = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(items)));
      batch.targets.push_back(before);
    }
    batch.offsets.push_back(batch.steps());
  }
  return batch;
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0.0;
}

// Our side: the trainer's network, optimiser and step.
class Ours {
 public:
  Ours(std::int64_t items, bool lazy) {
    options_.dim = kDim;
    options_.offset_init = 0.02;  // not 0: the penalty's gradient is to be compared too
    const Rng rng(17);
    net_ = std::make_unique<kindling::zesrec::Net>(options_, kInputDim, rng);
    net_->lazy = lazy;
    net_->make_offsets(items, rng.fork("offsets"));
    corpus_.items = torch::empty({items, kInputDim});
    Rng draw = rng.fork("items");
    float* x = corpus_.items.data_ptr<float>();
    for (std::int64_t i = 0; i < items * kInputDim; ++i) {
      x[i] = static_cast<float>(draw.uniform(-0.09, 0.09));  // rows of norm near 1 [Z22]
    }
    corpus_.tokens = kTokens;
    corpus_.target_count.assign(static_cast<std::size_t>(items), 10);
    std::vector<kindling::train::Parameter> parameters;
    for (const auto& named : net_->named_parameters()) {
      parameters.push_back({named.key(), named.value()});
    }
    const double decay = lazy ? 0.0 : options_.lambda_v / static_cast<double>(kTokens);
    parameters.push_back({"offsets", net_->offsets, decay});
    optimizer_ = kindling::train::make_optimizer({}, parameters);
  }

  // Returns the mean loss of the batch.
  double step(const SequenceBatch& batch, const kindling::Negatives* negatives, const Rng& rng) {
    const auto objective = net_->objective(batch, corpus_, negatives, nullptr, false, rng);
    objective.total.backward();
    if (net_->lazy) optimizer_->add_rows("offsets", net_->lazy_rows, net_->lazy_offsets.grad());
    optimizer_->step();
    return objective.loss / static_cast<double>(objective.targets);
  }

  double round(const std::vector<SequenceBatch>& batches) {
    net_->train();
    const auto start = std::chrono::steady_clock::now();
    for (const auto& batch : batches) step(batch, nullptr, Rng(++steps_));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  kindling::zesrec::Net& net() { return *net_; }
  kindling::zesrec::Corpus& corpus() { return corpus_; }
  const std::vector<kindling::train::Parameter>& parameters() { return optimizer_->parameters(); }

 private:
  kindling::zesrec::Options options_;
  std::unique_ptr<kindling::zesrec::Net> net_;
  kindling::zesrec::Corpus corpus_;
  std::unique_ptr<kindling::train::Optimizer> optimizer_;
  std::uint64_t steps_ = 0;
};

template <class T>
void write_values(const std::filesystem::path& path, const T* values, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

void write_tensor(const std::filesystem::path& path, const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.detach().contiguous();
  write_values(path, values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
}

std::string file_name(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name + ".f32";
}

void write_problem(const std::filesystem::path& directory, Ours& ours,
                   const std::vector<SequenceBatch>& batches) {
  write_tensor(directory / "items.f32", ours.corpus().items);
  for (const auto& parameter : ours.parameters()) {
    write_tensor(directory / file_name(parameter.name), parameter.value);
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const SequenceBatch& batch = batches[i];
    std::vector<std::int64_t> lengths;
    for (std::size_t b = 0; b + 1 < batch.offsets.size(); ++b) {
      lengths.push_back(batch.offsets[b + 1] - batch.offsets[b]);
    }
    const auto write = [&](const char* name, const std::vector<std::int64_t>& values) {
      write_values(directory / fmt::format("{}{}.i64", name, i), values.data(), values.size());
    };
    write("lengths", lengths);
    write("inputs", batch.inputs);
    write("targets", batch.targets);
  }
}

// Largest difference of a parameter from the peer's, both after one step.
double largest_difference(const std::filesystem::path& directory, Ours& ours) {
  double largest = 0.0;
  for (const auto& parameter : ours.parameters()) {
    const torch::Tensor values = parameter.value.detach().contiguous();
    std::vector<float> theirs(static_cast<std::size_t>(values.numel()), 1e9F);
    std::ifstream(directory / ("peer_" + file_name(parameter.name)), std::ios::binary)
        .read(reinterpret_cast<char*>(theirs.data()),
              static_cast<std::streamsize>(theirs.size() * sizeof(float)));
    const float* mine = values.data_ptr<float>();
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      largest = std::max(largest, static_cast<double>(std::fabs(mine[i] - theirs[i])));
    }
  }
  return largest;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

void set_our_threads(int count) {
  kindling::set_threads(count);
  kindling::nn::use_base_threads();
}

// A fresh model on both sides, one step without dropout, then interleaved rounds at each one's best
// thread count. Returns 3 when the results differ.
int compare(const std::string& name, const std::string& variant) {
  constexpr std::int64_t kItems = 10'000;
  std::vector<SequenceBatch> batches;
  std::int64_t targets = 0;
  for (int i = 0; i < kBatches; ++i) {
    batches.push_back(make_batch(kItems, Rng(100U + static_cast<unsigned>(i))));
    targets += batches.back().steps();
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  const std::filesystem::path directory = pattern;
  Ours ours(kItems, false);
  write_problem(directory, ours, batches);
  kindling::bench::PeerProcess peer({"/usr/bin/python3", KINDLING_PEERS "/zesrec_train_peer.py",
                                     pattern, variant, std::to_string(kItems), std::to_string(kDim),
                                     std::to_string(kInputDim), std::to_string(kTokens), "100",
                                     "0.2", std::to_string(kBatches)});

  ours.net().eval();
  const double our_loss = ours.step(batches[0], nullptr, Rng(1));
  const double peer_loss = peer.ask("check");
  const double difference = largest_difference(directory, ours);
  std::filesystem::remove_all(directory);
  std::cerr << fmt::format(
      "{}: loss {:.6f} and {:.6f}; parameters after a step differ by {:.1e}; "
      "{} targets in {} batches\n",
      name, our_loss, peer_loss, difference, targets, kBatches);
  if (!(std::fabs(our_loss - peer_loss) < 1e-4 * peer_loss) || !(difference < 1e-3)) return 3;

  const auto best_threads = [&](const auto& seconds) { return seconds(1) < seconds(2) ? 1 : 2; };
  const auto ask_peer = [&](int count) {
    peer.ask("threads " + std::to_string(count));
    return peer.ask("round");
  };
  const auto run_ours = [&](int count) {
    set_our_threads(count);
    return ours.round(batches);
  };
  const int our_threads = best_threads(run_ours);
  const int peer_threads = best_threads(ask_peer);
  std::vector<double> our_seconds, peer_seconds;
  for (int i = 0; i < kRounds; ++i) {
    our_seconds.push_back(run_ours(our_threads));
    peer_seconds.push_back(ask_peer(peer_threads));
  }
  const double our_rate = static_cast<double>(targets) / median(our_seconds);
  const double peer_rate = static_cast<double>(targets) / median(peer_seconds);
  std::cerr << fmt::format("{}: threads of ours {}, of the peer {}\n", name, our_threads,
                           peer_threads);
  std::cout << fmt::format(
                   "bench {} ours={:.0f} peer={:.0f} ratio={:.2f} unit=targets/s threads={} "
                   "ours_mib={:.0f} peer_mib={:.0f}",
                   name, our_rate, peer_rate, our_rate / peer_rate, our_threads, peak_mib(),
                   peer.ask("peak"))
            << std::endl;
  return 0;
}

// J = 213,000 (the paper's Grocery) with 8,192 sampled classes and row-sparse offsets.
int run_large() {
  constexpr std::int64_t kItems = 213'000;
  set_our_threads(2);
  Ours ours(kItems, true);
  ours.net().train();
  const std::vector<std::uint64_t> counts(kItems, 10);
  const kindling::NegativeSampler sampler(counts, {});
  ours.corpus().sampler = &sampler;
  std::vector<double> rates;
  for (unsigned i = 0; i < kRounds; ++i) {
    const SequenceBatch batch = make_batch(kItems, Rng(200U + i));
    const auto start = std::chrono::steady_clock::now();
    Rng draws(i);
    const kindling::Negatives negatives = sampler.draw(8192, draws);
    ours.step(batch, &negatives, Rng(300U + i));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    rates.push_back(static_cast<double>(batch.steps()) / taken.count());
  }
  const double peak = peak_mib();
  std::cout << fmt::format(
                   "bench zesrec_train_large ours={:.0f} unit=targets/s threads=2 ours_mib={:.0f} "
                   "limit_mib=4096",
                   median(rates), peak)
            << std::endl;
  return peak < 4096.0 ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string(argv[1]) == "--large") return run_large();
    const int straightforward = compare("zesrec_train", "padded");
    const int packed = compare("zesrec_train_packed_peer", "packed");
    return std::max(straightforward, packed);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
