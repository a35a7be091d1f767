// rank: full-catalogue ranking in the size of Amazon Games, 50,546 users x 16,859 items, D = 300,
// the history masked, R@20 and N@20: exact expected ranks by kernels/score_topk.h against
// PyTorch's product, mask and topk (bench/peers/rank_peer.py).
//
//   rank_bench [USERS]      fewer users for a quick look
//
// Vectors are drawn in 500 clusters; a user is the mean of eight items of two clusters and the
// target comes from one of them: scores are as crowded as those of text vectors, and R@20 is that
// of a weak recommender. Both sides must find the same R@20 and N@20 before anything is timed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench/peer_process.h"
#include "kindling/base/matrix.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/eval/metrics.h"
#include "kindling/kernels/score_topk.h"

namespace {

using kindling::Matrix;
using kindling::Rng;
using kindling::kernels::RankCount;

constexpr std::size_t kUsers = 50546;
constexpr std::size_t kItems = 16859;
constexpr std::size_t kDim = 300;
constexpr std::size_t kSeen = 8;
constexpr std::size_t kClusters = 500;
constexpr int kRounds = 5;
constexpr std::int64_t kCutoff = 20;

struct Problem {
  explicit Problem(std::size_t count)
      : users(count, kDim), items(kItems, kDim), targets(count), seen(count * kSeen) {
    Rng rng(2026);
    Matrix centres(kClusters, kDim);
    for (std::size_t i = 0; i < kClusters * kDim; ++i) {
      centres.data()[i] = static_cast<float>(rng.normal());
    }
    for (std::size_t j = 0; j < kItems; ++j) {
      for (std::size_t i = 0; i < kDim; ++i) {
        items(j, i) = centres(j % kClusters, i) + static_cast<float>(rng.normal());
      }
    }
    for (std::size_t u = 0; u < count; ++u) {
      const std::uint64_t taste[] = {rng.below(kClusters), rng.below(kClusters)};
      const auto draw = [&](std::size_t which) {
        return static_cast<std::uint32_t>(taste[which % 2] +
                                          kClusters * rng.below(kItems / kClusters));
      };
      for (std::size_t s = 0; s < kSeen; ++s) {
        seen[u * kSeen + s] = draw(s);
        for (std::size_t i = 0; i < kDim; ++i) {
          users(u, i) += items(seen[u * kSeen + s], i) / static_cast<float>(kSeen);
        }
      }
      // The target is none of the seen items: the peer's mask would hide it.
      const auto* first = &seen[u * kSeen];
      do targets[u] = draw(rng.below(2));
      while (std::find(first, first + kSeen, targets[u]) != first + kSeen);
    }
  }

  Matrix users;
  Matrix items;
  std::vector<std::uint32_t> targets;
  std::vector<std::uint32_t> seen;  // [users, kSeen]
};

struct Result {
  double recall = 0.0;
  double ndcg = 0.0;
  double seconds = 0.0;
};

// Packing the items is part of every round.
Result rank_all(const Problem& problem) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t count = problem.targets.size();
  const kindling::kernels::ScoredCatalogue catalogue(problem.items.data(), kItems, kDim);
  std::vector<RankCount> counts(count);
  catalogue.count_ranks(problem.users.data(), count, problem.targets.data(), counts.data());
  kindling::parallel_for(count, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t u = begin; u < end; ++u) {
      counts[u] = catalogue.without(counts[u], problem.users.row(u).data(), problem.targets[u],
                                    std::span(problem.seen).subspan(u * kSeen, kSeen));
    }
  });
  Result result;
  for (const RankCount& rank : counts) {
    const double place = kindling::kernels::expected_rank(rank);
    result.recall += kindling::recall_at(place, kCutoff) / static_cast<double>(count);
    result.ndcg += kindling::ndcg_at(place, kCutoff) / static_cast<double>(count);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

template <class T>
void write_values(const std::filesystem::path& path, const std::vector<T>& values) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void write_problem(const std::filesystem::path& directory, const Problem& problem) {
  const auto write_matrix = [&](const char* name, const Matrix& matrix) {
    std::ofstream(directory / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(matrix.data()),
               static_cast<std::streamsize>(matrix.rows() * matrix.cols() * sizeof(float)));
  };
  write_matrix("users.f32", problem.users);
  write_matrix("items.f32", problem.items);
  write_values(directory / "targets.i64",
               std::vector<std::int64_t>(problem.targets.begin(), problem.targets.end()));
  write_values(directory / "seen.i64",
               std::vector<std::int64_t>(problem.seen.begin(), problem.seen.end()));
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0.0;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

// The fastest of the peer's thread counts and block sizes.
std::string tune_peer(kindling::bench::PeerProcess& peer, int cores) {
  double best = 1e9;
  std::string threads = "threads 1";
  std::string block = "block 256";
  for (const int count : {1, cores}) {
    for (const char* size : {"block 256", "block 1024"}) {
      peer.ask(fmt::format("threads {}", count));
      peer.ask(size);
      const double seconds = peer.ask("round");
      if (seconds >= best) continue;
      best = seconds;
      threads = fmt::format("threads {}", count);
      block = size;
    }
  }
  peer.ask(threads);
  peer.ask(block);
  return fmt::format("{}, {}", threads, block);
}

int tune_ours(const Problem& problem, int cores) {
  kindling::set_threads(1);
  const double one = rank_all(problem).seconds;
  kindling::set_threads(cores);
  if (rank_all(problem).seconds < one) return cores;
  kindling::set_threads(1);
  return 1;
}

int run(std::size_t users) {
  kindling::set_threads(0);
  const int cores = kindling::threads();
  const Problem problem(users);
  std::string pattern = (std::filesystem::temp_directory_path() / "kindling-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw kindling::Error(kindling::Kind::kIo, "no temporary directory", pattern);
  }
  write_problem(pattern, problem);
  kindling::bench::PeerProcess peer({"/usr/bin/python3", KINDLING_PEERS "/rank_peer.py", pattern,
                                     std::to_string(users), std::to_string(kItems),
                                     std::to_string(kDim), std::to_string(kSeen)});
  const std::string tuned = tune_peer(peer, cores);
  std::filesystem::remove_all(pattern);
  const int threads = tune_ours(problem, cores);
  const Result check = rank_all(problem);
  const double recall = peer.ask("recall");
  const double ndcg = peer.ask("ndcg");
  fmt::print(stderr, "R@20 {:.6f} / {:.6f}, N@20 {:.6f} / {:.6f}; peer at {}\n", check.recall,
             recall, check.ndcg, ndcg, tuned);
  // Products are added in another order there: a handful of ranks may differ by one.
  if (std::abs(check.recall - recall) > 1e-4 || std::abs(check.ndcg - ndcg) > 1e-4) return 3;
  std::vector<double> ours;
  std::vector<double> theirs;
  for (int round = 0; round < kRounds; ++round) {
    theirs.push_back(peer.ask("round"));
    ours.push_back(rank_all(problem).seconds);
  }
  const double mine = static_cast<double>(users) / median(ours);
  const double other = static_cast<double>(users) / median(theirs);
  fmt::print(
      "bench rank ours={:.0f} peer={:.0f} ratio={:.2f} unit=queries/s threads={} "
      "ours_mib={:.0f} peer_mib={:.0f}\n",
      mine, other, mine / other, threads, peak_mib(), peer.ask("peak"));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? std::stoul(argv[1]) : kUsers);
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank_bench: {}\n", error.what());
    return 1;
  }
}
