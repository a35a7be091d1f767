// Meta-training of s2Meta, task by task (episode, inner loop, meta-gradient, clipping, Adam),
// against the same in PyTorch (peers/s2meta_peer.py), at the shapes of the paper's three data sets.
// Both sides learn the same drawn batches for the same number of steps; gradients and ω after one
// step are checked equal before anything is timed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <fmt/format.h>
#include <sys/resource.h>

#include "bench/peer_process.h"
#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/parallel.h"
#include "kindling/models/s2meta/inner_loop.h"
#include "kindling/models/s2meta/training.h"

namespace {

using kindling::ItemId;
using kindling::Rng;
using kindling::UserId;
using kindling::UserItem;
namespace s2meta = kindling::s2meta;

constexpr std::size_t kUsers = 2000;
constexpr std::size_t kItems = 1500;
constexpr std::size_t kCandidates = 300;
constexpr std::size_t kTasks = 4;
constexpr int kSteps = 5;  // what a fresh stop controller takes
constexpr int kRounds = 5;

struct Shape {
  const char* name;
  const char* network;
  std::size_t dim;
  std::int64_t batch;
};
constexpr Shape kShapes[] = {{"s2meta_mapping", "mapping", 128, 64},
                             {"s2meta_interaction", "interaction", 64, 128},
                             {"s2meta_hybrid", "hybrid", 128, 64}};

struct Task {
  std::vector<UserItem> support;
  std::vector<ItemId> candidates;
  std::vector<UserItem> query;
  std::vector<ItemId> query_negatives;
};

kindling::Matrix random_matrix(std::size_t rows, std::size_t cols, Rng& rng) {
  kindling::Matrix matrix(rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) {
    matrix.data()[i] = static_cast<float>(0.3 * rng.normal());
  }
  return matrix;
}

Task make_task(Rng& rng) {
  Task task;
  for (std::size_t c = 0; c < kCandidates; ++c) {
    task.candidates.push_back(static_cast<ItemId>(rng.below(kItems)));
  }
  const auto pair = [&] {
    return UserItem{static_cast<UserId>(rng.below(kUsers)),
                    task.candidates[rng.below(kCandidates)]};
  };
  for (int i = 0; i < 64; ++i) task.support.push_back(pair());
  for (int i = 0; i < 128; ++i) {
    task.query.push_back(pair());
    task.query_negatives.push_back(pair().item);
  }
  return task;
}

s2meta::Options options_of(const Shape& shape, int steps, bool stored) {
  s2meta::Options options;
  options.network = shape.network;
  options.inner_batch = shape.batch;
  options.min_steps = options.max_steps = steps;
  options.backward = stored ? "stored" : "recompute";
  return options;
}

// Our side: what OuterLoop does for each task.
class Ours {
 public:
  Ours(const Shape& shape, int steps, bool stored)
      : learner_(options_of(shape, steps, stored), shape.dim), run_(learner_) {
    Rng rng(9);
    vectors_.users = random_matrix(kUsers, shape.dim, rng);
    vectors_.items = random_matrix(kItems, shape.dim, rng);
    for (std::size_t i = 0; i < kTasks; ++i) tasks_.push_back(make_task(rng));
    gradient_.resize(learner_.size());
    reset();
  }

  void reset() {
    state_ = {};
    state_.omega = learner_.init(Rng(1));
    state_.m.assign(learner_.size(), 0.0F);
    state_.v.assign(learner_.size(), 0.0F);
  }

  double learn(std::size_t number) {
    const Task& task = tasks_[number];
    const s2meta::Controllers controllers = learner_.pack(state_.omega);
    const s2meta::Triples query =
        s2meta::gather_triples(vectors_, task.query, task.query_negatives);
    Rng draws(number);
    run_.forward(state_.omega, controllers, {&vectors_, task.support, task.candidates, &query},
                 draws, true);
    run_.backward(state_.omega, controllers, gradient_);
    return run_.final_loss();
  }
  void step() { s2meta::step_omega(learner_, state_, gradient_, 1.0F); }

  double round() {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kTasks; ++i) {
      learn(i);
      step();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  const std::vector<float>& gradient() const { return gradient_; }
  const std::vector<float>& omega() const { return state_.omega; }
  double mib() const { return static_cast<double>(run_.bytes()) / (1 << 20); }
  void write(const std::filesystem::path& directory, const Shape& shape, int steps) const;

 private:
  s2meta::Learner learner_;
  kindling::FrozenVectors vectors_;
  std::vector<Task> tasks_;
  s2meta::InnerRun run_;
  s2meta::TrainingState state_;
  std::vector<float> gradient_;
};

template <class T>
void write_values(const std::filesystem::path& path, const T* values, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

void append(std::vector<std::int64_t>& all, const std::vector<UserItem>& pairs,
            const std::vector<ItemId>& negatives) {
  for (const UserItem& pair : pairs) all.push_back(pair.user);
  for (const UserItem& pair : pairs) all.push_back(pair.item);
  for (const ItemId item : negatives) all.push_back(item);
}

// The problem as the peer reads it; batches are drawn as forward() draws them.
void Ours::write(const std::filesystem::path& directory, const Shape& shape, int steps) const {
  write_values(directory / "users.f32", vectors_.users.data(), kUsers * shape.dim);
  write_values(directory / "items.f32", vectors_.items.data(), kItems * shape.dim);
  write_values(directory / "omega.f32", state_.omega.data(), state_.omega.size());
  std::vector<std::int64_t> inner;
  std::vector<std::int64_t> query;
  for (std::size_t i = 0; i < kTasks; ++i) {
    Rng draws(i);
    for (int t = 0; t < steps; ++t) {
      const auto batch = s2meta::draw_inner_batch(learner_.options, tasks_[i].support,
                                                  tasks_[i].candidates, draws);
      append(inner, batch.pairs, batch.negatives);
      draws.uniform();  // the stop decision
    }
    append(query, tasks_[i].query, tasks_[i].query_negatives);
  }
  write_values(directory / "inner.i64", inner.data(), inner.size());
  write_values(directory / "query.i64", query.data(), query.size());
  kindling::Json problem = {{"network", shape.network},
                            {"dim", shape.dim},
                            {"steps", steps},
                            {"tasks", kTasks},
                            {"controller", learner_.shape.count()}};
  for (const s2meta::Tensor& tensor : learner_.net.tensors()) {
    problem["shapes"].push_back(tensor.in == 0 ? kindling::Json::array({tensor.out})
                                               : kindling::Json::array({tensor.out, tensor.in}));
  }
  kindling::write_file((directory / "problem.json").string(), problem.dump());
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

// Largest difference from the peer's file, relative to the largest value.
double relative_difference(const std::filesystem::path& path, const std::vector<float>& mine) {
  std::vector<float> theirs(mine.size(), 1e9F);
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(theirs.data()),
            static_cast<std::streamsize>(theirs.size() * sizeof(float)));
  double largest = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::fabs(mine[i] - theirs[i])));
    size = std::max(size, static_cast<double>(std::fabs(mine[i])));
  }
  return largest / size;
}

bool results_agree(const Shape& shape, const std::filesystem::path& directory, Ours& ours,
                   kindling::bench::PeerProcess& peer) {
  const double our_loss = ours.learn(0);
  const std::vector<float> gradient = ours.gradient();
  ours.step();
  const double peer_loss = peer.ask("check");
  const double of_gradient = relative_difference(directory / "peer_gradient.f32", gradient);
  const double of_omega = relative_difference(directory / "peer_omega.f32", ours.omega());
  std::cerr << fmt::format(
      "{}: query loss {:.6f} and {:.6f}; largest relative difference of the "
      "gradient {:.1e}, of the parameters after a step {:.1e}\n",
      shape.name, our_loss, peer_loss, of_gradient, of_omega);
  ours.reset();
  peer.ask("reset");
  return std::fabs(our_loss - peer_loss) < 1e-3 * std::fabs(peer_loss) && of_gradient < 1e-3 &&
         of_omega < 1e-3;
}

struct Rates {
  double ours;
  double peer;
};

Rates measure(Ours& ours, kindling::bench::PeerProcess& peer, int threads) {
  kindling::set_threads(threads);
  peer.ask(fmt::format("threads {}", threads));
  ours.round();
  peer.ask("round");
  std::vector<double> our_seconds;
  std::vector<double> peer_seconds;
  for (int i = 0; i < kRounds; ++i) {
    our_seconds.push_back(ours.round());
    peer_seconds.push_back(peer.ask("round"));
  }
  return {kTasks / median(our_seconds), kTasks / median(peer_seconds)};
}

void report_memory(const Shape& shape) {
  kindling::set_threads(1);
  Ours again(shape, 20, false);
  again.learn(0);
  Ours stored(shape, 20, true);
  stored.learn(0);
  std::cerr << fmt::format(
      "{}: a task of 20 steps needs {:.0f} MiB recomputing, {:.0f} MiB storing\n", shape.name,
      again.mib(), stored.mib());
}

int compare(const Shape& shape) {
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  Ours ours(shape, kSteps, false);
  ours.write(pattern, shape, kSteps);
  kindling::bench::PeerProcess peer(
      {"/usr/bin/python3", KINDLING_PEERS "/s2meta_peer.py", pattern});
  const bool equal = results_agree(shape, pattern, ours, peer);
  std::filesystem::remove_all(pattern);
  if (!equal) return 3;
  const Rates one = measure(ours, peer, 1);
  const Rates two = measure(ours, peer, 2);
  const int threads = two.peer > one.peer ? 2 : 1;  // the peer's best, for both
  const Rates& best = threads == 2 ? two : one;
  std::cerr << fmt::format(
      "{}: tasks/s at 1 thread {:.1f} and {:.1f} ({:.2f}), at 2 {:.1f} and "
      "{:.1f} ({:.2f})\n",
      shape.name, one.ours, one.peer, one.ours / one.peer, two.ours, two.peer, two.ours / two.peer);
  std::cout << fmt::format(
                   "bench {} ours={:.1f} peer={:.1f} ratio={:.2f} unit=tasks/s threads={} "
                   "ours_mib={:.0f} peer_mib={:.0f}",
                   shape.name, best.ours, best.peer, best.ours / best.peer, threads, peak_mib(),
                   peer.ask("peak"))
            << std::endl;
  return 0;
}

}  // namespace

int main() {
  try {
    for (const Shape& shape : kShapes) {
      if (std::string(shape.network) != KINDLING_BENCH_NETWORK) continue;
      const int answer = compare(shape);
      report_memory(shape);
      return answer;
    }
    return 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
