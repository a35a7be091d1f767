// sasrec_train: training steps of SASRec at d = 50, L = 50, 2 blocks, 1 head, 128 users, 18,357
// items (Amazon's Sports), dropout 0.2, Adam: the trainer's own network, loss and optimiser against
// the usual PyTorch port, which pads every history to L.
//
//   sasrec_train               histories as long as in Sports (mean 6.3 training positions)
//   sasrec_train_full_length   every history fills the window: nothing to gain from packing
//
// Loss and every gradient without dropout, on full windows (where padding plays no part), are
// compared before anything is timed. Batches lie ready on both sides. One thread.
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
#include "kindling/base/parallel.h"
#include "kindling/models/sasrec/net.h"
#include "kindling/nn/tensors.h"
#include "kindling/train/optimizers.h"

namespace {

using kindling::PackedItems;
using kindling::Rng;

constexpr std::int64_t kItems = 18'357;
constexpr std::int64_t kUsers = 128;
constexpr std::int64_t kLength = 50;
constexpr int kBatches = 5;  // the first for the check
constexpr int kRounds = 5;

using Batch = kindling::sasrec::TrainingBatch;

Batch make_batch(bool full, Rng rng) {
  Batch batch;
  for (std::int64_t b = 0; b < kUsers; ++b) {
    // Three at least, five more on average, seldom many: the training parts of Sports less one.
    const auto drawn = 2 + static_cast<std::int64_t>(-4.8 * std::log(1.0 - rng.uniform()));
    const std::int64_t length = full ? kLength : std::min(kLength, drawn);
    std::vector<std::int64_t> items;
    for (std::int64_t t = 0; t < length; ++t) {
      items.push_back(static_cast<std::int64_t>(rng.below(kItems)));
    }
    batch.inputs.add(items, kLength);
    for (std::int64_t t = 0; t < 2 * length; ++t) {
      batch.candidates.push_back(static_cast<std::int64_t>(rng.below(kItems)));
    }
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

kindling::sasrec::Options source_options() {
  kindling::sasrec::Options options;
  options.dim = 50;
  options.layers = 2;
  options.heads = 1;
  options.length = kLength;
  options.dropout = 0.2;
  options.output_projection = true;
  return options;
}

class Ours {
 public:
  Ours()
      : net_(source_options(), kItems, Rng(17)),
        optimizer_(kindling::sasrec::make_adam(source_options(), net_)) {}

  // Gradients lie in the parameters afterwards, those of the items' rows in rows().
  double loss(const Batch& batch) {
    Rng masks(++steps_);
    const torch::Tensor mean = kindling::sasrec::training_loss(net_, batch, rows_, masks);
    mean.backward();
    return mean.item<double>();
  }
  void step(const Batch& batch) {
    loss(batch);
    rows_.hand_over("items", *optimizer_);
    optimizer_->step();
  }
  double round(const std::vector<Batch>& batches) {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 1; i < batches.size(); ++i) step(batches[i]);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  kindling::sasrec::Net& net() { return net_; }
  const std::vector<kindling::train::Parameter>& parameters() const {
    return optimizer_->parameters();
  }
  // Of the last loss, as large as the parameter.
  torch::Tensor gradient(const kindling::train::Parameter& parameter) const {
    if (parameter.name != "items") return parameter.value.grad().contiguous();
    return torch::zeros_like(parameter.value.detach())
        .index_copy(0, kindling::nn::index_tensor(rows_.rows(), torch::kCPU), rows_.leaf().grad());
  }
  void forget() {
    net_.zero_grad();
    rows_.clear();
  }

 private:
  kindling::sasrec::Net net_;
  std::unique_ptr<kindling::train::Optimizer> optimizer_;
  kindling::TableRows rows_{static_cast<std::size_t>(kItems)};
  std::uint64_t steps_ = 0;
};

template <class T>
void write_values(const std::filesystem::path& path, const T* values, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

// The peer's tables begin with a row for padding.
bool has_pad_row(const std::string& name) { return name == "items" || name == "positions"; }

std::string file_name(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name + ".f32";
}

void write_problem(const std::filesystem::path& directory, const Ours& ours,
                   const std::vector<Batch>& batches) {
  for (const auto& parameter : ours.parameters()) {
    const torch::Tensor values = parameter.value.detach().contiguous();
    std::vector<float> all;
    if (has_pad_row(parameter.name)) all.assign(static_cast<std::size_t>(values.size(1)), 0.0F);
    all.insert(all.end(), values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
    write_values(directory / file_name(parameter.name), all.data(), all.size());
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    std::vector<std::int64_t> positives, negatives;
    for (std::size_t c = 0; c < batches[i].candidates.size(); c += 2) {
      positives.push_back(batches[i].candidates[c]);
      negatives.push_back(batches[i].candidates[c + 1]);
    }
    const auto write = [&](const char* name, const std::vector<std::int64_t>& values) {
      write_values(directory / fmt::format("{}{}.i64", name, i), values.data(), values.size());
    };
    write("offsets", batches[i].inputs.offsets);
    write("inputs", batches[i].inputs.items);
    write("positives", positives);
    write("negatives", negatives);
  }
}

// Of a gradient from the peer's, as a share of that parameter's largest gradient.
double largest_difference(const std::filesystem::path& directory, const Ours& ours) {
  double largest = 0.0;
  for (const auto& parameter : ours.parameters()) {
    const torch::Tensor values = ours.gradient(parameter);
    const auto size = values.abs().max().item<double>();
    const std::size_t skip =
        has_pad_row(parameter.name) ? static_cast<std::size_t>(values.size(1)) : 0;
    std::vector<float> theirs(skip + static_cast<std::size_t>(values.numel()), 1e9F);
    std::ifstream(directory / ("peer_" + file_name(parameter.name)), std::ios::binary)
        .read(reinterpret_cast<char*>(theirs.data()),
              static_cast<std::streamsize>(theirs.size() * sizeof(float)));
    const float* mine = values.data_ptr<float>();
    for (std::size_t i = skip; i < theirs.size(); ++i) {
      largest =
          std::max(largest, static_cast<double>(std::fabs(mine[i - skip] - theirs[i])) / size);
    }
  }
  return largest;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

int compare(const std::string& name, bool full) {
  std::vector<Batch> batches;
  std::int64_t positions = 0;
  for (int i = 0; i < kBatches; ++i) {
    batches.push_back(make_batch(full || i == 0, Rng(100U + static_cast<unsigned>(i))));
    if (i > 0) positions += batches.back().inputs.steps();
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  const std::filesystem::path directory = pattern;
  Ours ours;
  write_problem(directory, ours, batches);
  kindling::bench::PeerProcess peer({"/usr/bin/python3", KINDLING_PEERS "/sasrec_train_peer.py",
                                     pattern, std::to_string(kItems), "50", std::to_string(kLength),
                                     "2", "1", std::to_string(kBatches), "0.2"});
  ours.net().eval();
  const double our_loss = ours.loss(batches[0]);
  const double peer_loss = peer.ask("check");
  const double difference = largest_difference(directory, ours);
  ours.forget();
  ours.net().train();
  std::filesystem::remove_all(directory);
  std::cerr << fmt::format(
      "{}: loss {:.6f} and {:.6f}; gradients differ by {:.1e} of their largest; {} positions\n",
      name, our_loss, peer_loss, difference, positions);
  if (!(std::fabs(our_loss - peer_loss) < 1e-4 * peer_loss) || !(difference < 1e-3)) return 3;

  std::vector<double> our_seconds, peer_seconds;
  for (int i = 0; i < kRounds; ++i) {
    our_seconds.push_back(ours.round(batches));
    peer_seconds.push_back(peer.ask("round"));
  }
  const double our_rate = static_cast<double>(positions) / median(our_seconds);
  const double peer_rate = static_cast<double>(positions) / median(peer_seconds);
  std::cout << fmt::format(
                   "bench {} ours={:.0f} peer={:.0f} ratio={:.2f} unit=positions/s threads=1 "
                   "ours_mib={:.0f} peer_mib={:.0f}",
                   name, our_rate, peer_rate, our_rate / peer_rate, peak_mib(), peer.ask("peak"))
            << std::endl;
  return 0;
}

}  // namespace

int main() {
  try {
    kindling::set_threads(1);
    kindling::nn::use_base_threads();
    return std::max(compare("sasrec_train", false), compare("sasrec_train_full_length", true));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
