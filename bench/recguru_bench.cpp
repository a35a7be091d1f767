// recguru_pretrain, recguru_adversarial, recguru_finetune: one step of each phase of RecGURU (the
// trainer's own recguru::Steps and train::Optimizer) against PyTorch, d = 64, 3 layers, 2 heads, 20
// negatives a position, lengths as in the training parts of Sports–Clothing (at least 3, means 6.3
// and 5.1), 18,357 and 23,033 items.
//
//   recguru_pretrain_bench                  both peers (bench/peers/recguru_peer.py), 5 rounds
//   recguru_pretrain_bench --batch 1024 --rounds 1
//   recguru_pretrain_bench --large          1.79 million items: seconds, peak memory
//
// Peer `padded` pads to 100 slots and holds the vectors of all negatives, as the released code
// does; `packed` pads buckets of like length to their longest, reads the user vector once and
// scores real positions only. The losses of one batch at equal weights without dropout are compared
// before anything is timed. Our time includes drawing batches and negatives; the peers read theirs
// ready made. The program's name says which phase.
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
#include "kindling/models/recguru/steps.h"
#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"

namespace {

using kindling::Rng;
using namespace kindling::recguru;  // NOLINT: a benchmark of this very part

constexpr std::int64_t kItems[2] = {18'357, 23'033};
constexpr double kMeans[2] = {6.3, 5.1};

struct Arguments {
  std::string phase;  // pretrain, adversarial, finetune
  std::int64_t batch = 0;
  int rounds = 5;
  bool large = false;
};

// 3 + ⌊exponential⌋ items a user, cut at 99; a tenth of the users are in both domains.
kindling::Dataset random_domain(int domain, std::int64_t items, std::int64_t users, Rng rng) {
  kindling::DatasetBuilder builder(false);
  for (std::int64_t i = 0; i < items; ++i) builder.item(fmt::format("i{}", i));
  for (std::int64_t u = 0; u < users; ++u) {
    const bool shared = u % 10 == 0;
    const auto user =
        builder.user(fmt::format("{}{}", shared ? "both" : (domain == 0 ? "a" : "b"), u));
    // E⌊X⌋ = 1 / (e^(1/scale) - 1) for exponential X.
    const double scale = 1.0 / std::log1p(1.0 / (kMeans[domain] - 3.0));
    const auto drawn = static_cast<std::int64_t>(-scale * std::log(1.0 - rng.uniform()));
    const std::int64_t length = std::min<std::int64_t>(99, 3 + drawn);
    for (std::int64_t n = 0; n < length; ++n) {
      builder.add(user, static_cast<kindling::ItemId>(rng.below(static_cast<std::uint64_t>(items))),
                  0);
    }
  }
  return std::move(builder).build(domain == 0 ? "a" : "b");
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0.0;
}

torch::Tensor normal_table(std::int64_t rows, std::int64_t dim, Rng rng) {
  torch::Tensor table = torch::empty({rows, dim});
  float* value = table.data_ptr<float>();
  for (std::int64_t i = 0; i < table.numel(); ++i) value[i] = static_cast<float>(rng.normal());
  return table;
}

template <class T>
void write_values(const std::filesystem::path& path, const T* values, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

// Our side: the trainer's network, steps and optimisers.
class Ours {
 public:
  Ours(const Options& options, const std::int64_t (&items)[2], std::int64_t users)
      : options_(options),
        source_(random_domain(0, items[0], users, Rng(1))),
        target_(random_domain(1, items[1], users, Rng(2))),
        net_(options_, Variant::kRecGuru, true, Rng(3)) {
    for (const int domain : {kSource, kTarget}) {
      tables_.of[domain] = normal_table(items[domain] + 2, options.dim,
                                        Rng(4).fork("table", static_cast<std::uint64_t>(domain)));
    }
    steps_ = std::make_unique<Steps>(options_, Variant::kRecGuru, net_, tables_, &source_, target_,
                                     kindling::TestItems{}, Rng(5));
    std::vector<kindling::train::Parameter> all;
    for (const auto& named : net_.named_parameters()) all.push_back({named.key(), named.value()});
    for (const int domain : {kSource, kTarget}) {
      all.push_back({kTableNames[domain], tables_.of[domain]});
    }
    optimizer_ = adam(all);
    std::vector<kindling::train::Parameter> critics;
    for (const auto& named : steps_->critic().named_parameters()) {
      critics.push_back({named.key(), named.value()});
    }
    critic_optimizer_ = adam(critics);
  }

  void step(const std::string& phase) {
    const std::int64_t number = done_++;
    if (phase == "pretrain") steps_->pretrain(number, *optimizer_);
    if (phase == "finetune") steps_->finetune(number, false, *optimizer_);
    if (phase == "adversarial") {
      for (std::int64_t k = 0; k < options_.critic_steps; ++k) {
        steps_->critic_step(number, k);
        critic_optimizer_->step();
      }
      steps_->generator_step(number, *optimizer_);
    }
    optimizer_->step();
  }

  double seconds(const std::string& phase) {
    net_.train();
    const auto start = std::chrono::steady_clock::now();
    step(phase);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  // Losses of a batch of the first users without dropout, and everything the peer needs to compute
  // the same, in `directory`.
  double check(const std::string& phase, const std::filesystem::path& directory) {
    const torch::NoGradGuard no_grad;
    net_.eval();
    Rng rng(6);
    torch::Tensor h[2];
    torch::Tensor total = torch::zeros({});
    DomainBatch batches[2];
    for (const int domain : {kSource, kTarget}) {
      const kindling::Dataset& data = domain == kSource ? source_ : target_;
      const DomainData sequences(data);
      const auto users = sequences.users().first(static_cast<std::size_t>(options_.batch_size));
      batches[domain] = make_domain_batch(sequences, users, options_.max_length, options_.negatives,
                                          nullptr, Rng(7));
      write_batch(directory, domain, batches[domain]);
      const torch::Tensor& table = tables_.of[domain];
      h[domain] = net_.user_vectors(domain, table, batches[domain].encoder, rng);
      if (phase != "finetune" || domain == kTarget) {
        total = total + loss_of(net_.decoder(domain), domain, batches[domain], h[domain], rng);
      }
    }
    if (phase == "adversarial") {
      Critic& critic = steps_->critic();
      total = total + generator_loss(critic, h[0], h[1], options_, rng) +
              (h[0] - h[1]).square().mean() + gradient_penalty(critic, 0.5 * (h[0] + h[1]), rng);
    }
    if (phase == "finetune") {
      const torch::Tensor q =
          net_.decode(net_.recommender(), kTarget, tables_.of[kTarget], batches[1].decoder, h[1],
                      lengths_of(batches[1].encoder), rng);
      const torch::Tensor scores =
          kindling::nn::gather_dot(q, tables_.of[kTarget], candidates(batches[1]))
              .narrow(1, 0, 1 + options_.finetune_negatives);
      total = total + recommendation_loss(scores, options_.finetune_loss);
    }
    write_weights(directory);
    return total.item<double>();
  }

 private:
  static std::unique_ptr<kindling::train::Optimizer> adam(
      const std::vector<kindling::train::Parameter>& parameters) {
    return kindling::train::make_optimizer(
        {.kind = "adam", .learning_rate = 1e-4, .eps = 1e-9, .beta1 = 0.9, .beta2 = 0.98},
        parameters);
  }

  torch::Tensor candidates(const DomainBatch& batch) const {
    return kindling::nn::index_tensor(batch.candidates, torch::kCPU).view({-1, batch.columns});
  }

  torch::Tensor loss_of(Decoder& decoder, int domain, const DomainBatch& batch,
                        const torch::Tensor& h, Rng& rng) {
    const torch::Tensor states = net_.decode(decoder, domain, tables_.of[domain], batch.decoder, h,
                                             lengths_of(batch.encoder), rng);
    return kindling::nn::sampled_softmax_mean(
        kindling::nn::gather_dot(states, tables_.of[domain], candidates(batch)));
  }

  static void write_batch(const std::filesystem::path& directory, int domain,
                          const DomainBatch& batch) {
    const auto write = [&](const char* name, const std::vector<std::int64_t>& values) {
      write_values(directory / fmt::format("{}{}.i64", name, domain), values.data(), values.size());
    };
    write("lengths", lengths_of(batch.decoder));
    write("decoder", batch.decoder.ids);
    write("encoder", batch.encoder.ids);
    write("candidates", batch.candidates);
  }

  void write_weights(const std::filesystem::path& directory) {
    const auto write = [&](const std::string& name, const torch::Tensor& tensor) {
      const torch::Tensor values = tensor.detach().contiguous();
      write_values(directory / (name + ".f32"), values.data_ptr<float>(),
                   static_cast<std::size_t>(values.numel()));
    };
    for (const auto& named : net_.named_parameters()) write(named.key(), named.value());
    for (const auto& named : steps_->critic().named_parameters()) {
      write("critic." + named.key(), named.value());
    }
    for (const int domain : {kSource, kTarget}) write(kTableNames[domain], tables_.of[domain]);
    write("positions", sinusoids(options_.max_length, options_.dim));
  }

  Options options_;
  kindling::Dataset source_;
  kindling::Dataset target_;
  Net net_;
  Tables tables_;
  std::unique_ptr<Steps> steps_;
  std::unique_ptr<kindling::train::Optimizer> optimizer_;
  std::unique_ptr<kindling::train::Optimizer> critic_optimizer_;
  std::int64_t done_ = 0;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

void set_our_threads(int count) {
  kindling::set_threads(count);
  kindling::nn::use_base_threads();
}

// Interleaved rounds of one step each, one thread on both sides. Returns 3 when losses differ.
int compare(const Arguments& arguments, const std::string& variant) {
  set_our_threads(1);
  Options options;
  options.batch_size = arguments.batch;
  Ours ours(options, kItems, 2 * arguments.batch);
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  const double our_loss = ours.check(arguments.phase, pattern);
  kindling::bench::PeerProcess peer({"/usr/bin/python3", KINDLING_PEERS "/recguru_peer.py", pattern,
                                     variant, arguments.phase, std::to_string(kItems[0]),
                                     std::to_string(kItems[1])});
  peer.ask("threads 1");
  const double peer_loss = peer.ask("check");
  std::filesystem::remove_all(pattern);
  const std::string name =
      fmt::format("recguru_{}{}{}", arguments.phase, variant == "packed" ? "_packed_peer" : "",
                  arguments.batch == 1024 ? "_1024" : "");
  std::cerr << fmt::format("{}: batch {}, losses at equal weights {:.6f} and {:.6f}\n", name,
                           arguments.batch, our_loss, peer_loss);
  if (!(std::fabs(our_loss - peer_loss) < 1e-4 * std::fabs(peer_loss))) return 3;

  std::vector<double> our_seconds, peer_seconds;
  if (arguments.rounds > 1) {  // one to warm up
    ours.seconds(arguments.phase);
    peer.ask("round");
  }
  for (int i = 0; i < arguments.rounds; ++i) {
    our_seconds.push_back(ours.seconds(arguments.phase));
    peer_seconds.push_back(peer.ask("round"));
  }
  std::cout << fmt::format(
                   "bench {} ours={:.4f} peer={:.4f} ratio={:.2f} unit=s/step threads=1 "
                   "ours_mib={:.0f} peer_mib={:.0f} batch={} rounds={}",
                   name, median(our_seconds), median(peer_seconds),
                   median(peer_seconds) / median(our_seconds), peak_mib(), peer.ask("peak"),
                   arguments.batch, arguments.rounds)
            << std::endl;
  return 0;
}

// As many items as Tencent Video with 10 % overlap has, beside as many as Wesee has.
int run_large(const Arguments& arguments) {
  set_our_threads(1);
  Options options;
  options.batch_size = 1024;
  constexpr std::int64_t kLarge[2] = {335'648, 1'455'595};
  Ours ours(options, kLarge, 20'000);
  std::vector<double> seconds;
  for (int i = 0; i < 3; ++i) seconds.push_back(ours.seconds(arguments.phase));
  std::cout << fmt::format(
                   "bench recguru_{}_large ours={:.4f} unit=s/step threads=1 ours_mib={:.0f} "
                   "batch=1024 items={}",
                   arguments.phase, median(seconds), peak_mib(), kLarge[0] + kLarge[1])
            << std::endl;
  return 0;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  for (const char* phase : {"pretrain", "adversarial", "finetune"}) {
    if (name.find(phase) != std::string::npos) arguments.phase = phase;
  }
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--large") arguments.large = true;
    if (word == "--batch" && i + 1 < argc) arguments.batch = std::stoll(argv[++i]);
    if (word == "--rounds" && i + 1 < argc) arguments.rounds = std::stoi(argv[++i]);
  }
  // The padded peer needs a minute for an adversarial iteration at batch 1024.
  if (arguments.batch == 0) arguments.batch = arguments.phase == "adversarial" ? 64 : 128;
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse(argc, argv);
    if (arguments.large) return run_large(arguments);
    const int padded = compare(arguments, "padded");
    return std::max(padded, compare(arguments, "packed"));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
