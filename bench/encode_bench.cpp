// encode: texts per second of all-MiniLM-L6-v2 over the texts of Amazon Scientific (generated texts
// of like lengths without that file), against the same weights in PyTorch, batched by length.
//
//   encode_bench MINILM_DIR [ITEMS_TSV] [TEXTS]
//
// Both sides tokenize nothing: they get the same token ids, and their vectors are compared first.
// One round is one pass over all texts; the numbers are medians of interleaved rounds.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench/peer_process.h"
#include "kindling/base/file.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/data/npy.h"
#include "kindling/text/bert.h"

namespace {

using kindling::BertEncoder;
using kindling::Matrix;
using kindling::TokenId;

constexpr int kRounds = 5;
constexpr std::size_t kDefaultTexts = 800;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
  }
  return 0.0;
}

// The second column of a file with a header; every n-th line, so that `count` texts spread over it.
std::vector<std::string> read_texts(const std::string& path, std::size_t count) {
  std::vector<std::string> all;
  kindling::LineReader lines(path);
  lines.next();
  while (lines.next()) {
    const std::size_t tab = lines.line().find('\t');
    if (tab != std::string_view::npos) all.emplace_back(lines.line().substr(tab + 1));
  }
  std::vector<std::string> texts;
  const std::size_t step = std::max<std::size_t>(1, all.size() / count);
  for (std::size_t i = 0; i < all.size() && texts.size() < count; i += step)
    texts.push_back(all[i]);
  return texts;
}

// Log-normal numbers of words around 25, as product texts have.
std::vector<std::string> generate_texts(std::size_t count) {
  kindling::Rng rng(3);
  std::vector<std::string> texts(count);
  for (std::string& text : texts) {
    const auto words = static_cast<int>(std::exp(3.2 + 0.5 * rng.normal()));
    for (int w = 0; w < std::max(1, words); ++w) {
      const char* parts[] = {"steel", "tube", "black", "kit", "inch", "sensor", "pack", "lab"};
      text += std::string(parts[rng.below(8)]) + ' ';
    }
  }
  return texts;
}

void write_tokens(const std::string& path, const std::vector<std::vector<TokenId>>& sequences) {
  kindling::write_file(path, [&](const kindling::Sink& sink) {
    for (const auto& sequence : sequences) sink(fmt::format("{}\n", fmt::join(sequence, " ")));
  });
}

double smallest_cosine(const Matrix& a, const Matrix& b) {
  double least = 1;
  for (std::size_t r = 0; r < a.rows(); ++r) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (std::size_t c = 0; c < a.cols(); ++c) {
      dot += static_cast<double>(a(r, c)) * b(r, c);
      aa += static_cast<double>(a(r, c)) * a(r, c);
      bb += static_cast<double>(b(r, c)) * b(r, c);
    }
    least = std::min(least, dot / std::sqrt(aa * bb));
  }
  return least;
}

int run(const std::string& model, const std::string& items, std::size_t count) {
  const BertEncoder encoder(kindling::read_model_dir(model, {}));
  const std::vector<std::string> texts =
      std::filesystem::exists(items) ? read_texts(items, count) : generate_texts(count);
  std::vector<std::vector<TokenId>> sequences;
  std::size_t tokens = 0;
  for (const std::string& text : texts) {
    sequences.push_back(encoder.tokenize(text));
    tokens += sequences.back().size();
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "encode-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  write_tokens(pattern + "/tokens.txt", sequences);
  kindling::bench::PeerProcess peer(
      {"/usr/bin/python3", KINDLING_PEERS "/encode_peer.py", model, pattern});
  peer.ask("check");
  const double cosine = smallest_cosine(encoder.encode_tokens(sequences),
                                        kindling::read_npy(pattern + "/vectors.npy"));
  std::filesystem::remove_all(pattern);
  std::cerr << fmt::format("{} texts, {} tokens, smallest cosine {:.7f}\n", texts.size(), tokens,
                           cosine);
  if (!(cosine >= 0.9999)) return 3;

  const auto ours = [&](int threads) {
    kindling::set_threads(threads);
    const auto start = std::chrono::steady_clock::now();
    encoder.encode_tokens(sequences);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto theirs = [&](int threads) {
    peer.ask("threads " + std::to_string(threads));
    return peer.ask("round");
  };
  const int our_threads = ours(1) < ours(2) ? 1 : 2;
  const int peer_threads = theirs(1) < theirs(2) ? 1 : 2;
  std::vector<double> our_seconds;
  std::vector<double> peer_seconds;
  for (int i = 0; i < kRounds; ++i) {
    our_seconds.push_back(ours(our_threads));
    peer_seconds.push_back(theirs(peer_threads));
  }
  const double n = static_cast<double>(texts.size());
  const double our_rate = n / median(our_seconds);
  const double peer_rate = n / median(peer_seconds);
  std::cerr << fmt::format("threads of ours {}, of the peer {}\n", our_threads, peer_threads);
  std::cout << fmt::format(
                   "bench encode ours={:.1f} peer={:.1f} ratio={:.2f} unit=texts/s threads={} "
                   "ours_mib={:.0f} peer_mib={:.0f}",
                   our_rate, peer_rate, our_rate / peer_rate, our_threads, peak_mib(),
                   peer.ask("peak"))
            << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string model = argc > 1 ? argv[1] : ".cache/minilm";
    const std::string items = argc > 2 ? argv[2] : "../shared/data/amazon2018_scientific/items.tsv";
    return run(model, items, argc > 3 ? std::stoul(argv[3]) : kDefaultTexts);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
