// Reading interactions: our readers against a plain Python script (bench/peers/import_peer.py) on
// generated files. One thread; the counts of both are compared before anything is timed.
//
//   bench import ours=… peer=… ratio=… unit=interactions/s threads=1 ours_mib=… peer_mib=… case=csv
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "bench/peer_process.h"
#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/data/readers/reader.h"

namespace kindling::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kUsers = 60000;
constexpr std::size_t kPerUser = 17;  // about a million events
constexpr std::size_t kItems = 20000;
constexpr int kRounds = 5;

std::string user_id(std::size_t u) { return fmt::format("A{:012X}", u * 2654435761U); }
// Popular items are drawn more often, as in real logs.
std::string item_id(Rng& rng) {
  const double u = rng.uniform();
  return fmt::format("B{:09X}", static_cast<std::size_t>(u * u * kItems));
}

void write_sequences(const std::string& path, Rng rng) {
  std::ofstream out(path, std::ios::binary);
  for (std::size_t u = 0; u < kUsers; ++u) {
    out << user_id(u) << '\t';
    for (std::size_t n = 0; n < kPerUser; ++n) out << (n > 0 ? " " : "") << item_id(rng);
    out << '\n';
  }
}

void write_csv(const std::string& path, Rng rng) {
  std::ofstream out(path, std::ios::binary);
  out << "user,item,rating,time\n";
  for (std::size_t n = 0; n < kPerUser; ++n) {
    for (std::size_t u = 0; u < kUsers; ++u) {
      out << user_id(u) << ',' << item_id(rng) << ',' << 1 + rng.below(5) << ".0,"
          << 1400000000 + rng.below(100000000) << '\n';
    }
  }
}

void write_reviews(const std::string& path, Rng rng) {
  constexpr std::size_t kReviews = 250000;
  const std::string words =
      "I bought this for my workshop and it does \\\"exactly\\\" what it says. After two weeks of "
      "daily use there is no sign of wear; the finish is good and the price is fair. ";
  std::ofstream out(path, std::ios::binary);
  for (std::size_t i = 0; i < kReviews; ++i) {
    std::string text;
    for (std::uint64_t n = rng.below(5); n-- > 0;) text += words;
    out << fmt::format(
        "{{\"overall\": {}.0, \"verified\": true, \"reviewTime\": \"04 1, 2018\", \"reviewerID\": "
        "\"{}\", \"asin\": \"{}\", \"style\": {{\"Color:\": \" Black\"}}, \"reviewerName\": "
        "\"Someone\", \"reviewText\": \"{}\", \"summary\": \"Does the job\", "
        "\"unixReviewTime\": {}}}\n",
        1 + rng.below(5), user_id(rng.below(kUsers)), item_id(rng), text,
        1400000000 + rng.below(100000000));
  }
}

struct Case {
  const char* name;
  const char* format;
  std::string path;
  bool bytes;  // report MB/s instead of interactions/s
};

std::size_t read(const Case& which) {
  ImportReport report;
  return find_reader(which.format).read({which.path}, {}, report).event_count();
}

double seconds_of(const Case& which) {
  const auto start = std::chrono::steady_clock::now();
  read(which);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const Case& which) {
  const std::size_t events = read(which);
  PeerProcess peer({"/usr/bin/python3", std::string(KINDLING_PEERS) + "/import_peer.py",
                    which.format, which.path});
  const auto theirs = static_cast<std::size_t>(peer.ask("count"));
  if (theirs != events) {
    throw Error(Kind::kInternal, fmt::format("we read {} events, the peer {}", events, theirs));
  }
  std::vector<double> our_seconds;
  std::vector<double> peer_seconds;
  for (int round = 0; round < kRounds; ++round) {
    our_seconds.push_back(seconds_of(which));
    peer_seconds.push_back(peer.ask("round"));
  }
  const double amount = which.bytes ? static_cast<double>(fs::file_size(which.path)) / 1e6
                                    : static_cast<double>(events);
  const double ours = amount / median(our_seconds);
  const double others = amount / median(peer_seconds);
  fmt::print(
      "bench import ours={:.4g} peer={:.4g} ratio={:.2f} unit={} threads=1 ours_mib={:.0f} "
      "peer_mib={:.0f} case={}\n",
      ours, others, ours / others, which.bytes ? "MB/s" : "interactions/s", peak_mib(),
      peer.ask("mib"), which.name);
}

}  // namespace
}  // namespace kindling::bench

int main() {
  using namespace kindling;
  using namespace kindling::bench;
  set_threads(1);
  std::string folder = (std::filesystem::temp_directory_path() / "kindling-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  int code = 0;
  try {
    const Rng rng(1);
    const std::vector<Case> cases = {
        {"sequences", "sequences", folder + "/sequences.tsv", false},
        {"csv", "csv", folder + "/events.csv", false},
        {"amazon", "amazon", folder + "/reviews.json", true},
    };
    write_sequences(cases[0].path, rng.fork("sequences"));
    write_csv(cases[1].path, rng.fork("csv"));
    write_reviews(cases[2].path, rng.fork("reviews"));
    for (const Case& which : cases) run(which);
  } catch (const std::exception& error) {
    fmt::print(stderr, "import_bench: {}\n", error.what());
    code = 1;
  }
  std::filesystem::remove_all(folder);
  return code;
}
