// Near-duplicate texts by MinHash: texts whose word sets agree share a band of minima with high
// probability, so only they are compared. Source: Broder 1997; banding as in Leskovec et al.,
// Mining of Massive Datasets, chapter 3.
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "kindling/base/text.h"
#include "kindling/data/inspect.h"
#include "kindling/data/item_text.h"

namespace kindling {

namespace {

constexpr std::size_t kBands = 12;
constexpr std::size_t kRows = 4;
constexpr std::size_t kExamples = 10;
// Words of boilerplate make huge groups; comparing this many neighbours finds the pairs that
// matter and keeps the time linear.
constexpr std::size_t kNeighbours = 50;

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

struct Text {
  std::string normalised;
  std::vector<std::uint64_t> words;  // sorted hashes, each once
};

Text text_of(const Item& item) {
  Text text;
  text.normalised = normalised_text(item.text);
  for (const std::string_view word : split(text.normalised, ' ')) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char byte : word) {
      hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
    }
    if (!word.empty()) text.words.push_back(mix(hash));
  }
  std::sort(text.words.begin(), text.words.end());
  text.words.erase(std::unique(text.words.begin(), text.words.end()), text.words.end());
  return text;
}

std::vector<Text> texts_of(const Dataset& data) {
  std::vector<Text> texts;
  texts.reserve(data.item_count());
  for (const Item& item : data.items()) texts.push_back(text_of(item));
  return texts;
}

std::array<std::uint64_t, kBands> bands_of(const Text& text) {
  std::array<std::uint64_t, kBands> bands{};
  for (std::size_t band = 0; band < kBands; ++band) {
    std::uint64_t joined = band + 1;
    for (std::size_t row = 0; row < kRows; ++row) {
      const std::uint64_t salt = mix((band * kRows + row + 1) * 0x9e3779b97f4a7c15ULL);
      std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
      for (const std::uint64_t word : text.words) least = std::min(least, mix(word ^ salt));
      joined = mix(joined ^ least);
    }
    bands[band] = joined;
  }
  return bands;
}

double jaccard(const Text& a, const Text& b) {
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.words.size() && j < b.words.size();) {
    if (a.words[i] == b.words[j]) {
      ++common;
      ++i;
      ++j;
    } else {
      ++(a.words[i] < b.words[j] ? i : j);
    }
  }
  const std::size_t all = a.words.size() + b.words.size() - common;
  return all == 0 ? 0.0 : static_cast<double>(common) / static_cast<double>(all);
}

// Texts by their bands and by themselves; grows while one set is compared with itself.
class Index {
 public:
  void add(ItemId item, const Text& text) {
    if (text.words.empty()) return;
    first_.emplace(text.normalised, item);
    for (const std::uint64_t band : bands_of(text)) {
      auto& group = groups_[band];
      if (group.size() < kNeighbours) group.push_back(item);
    }
  }
  // Compares `text` with what the index holds; `known` are the texts of the indexed items.
  void compare(ItemId item, const Text& text, const std::vector<Text>& known, double threshold,
               bool item_first, DuplicateReport& report) const {
    if (text.words.empty()) return;
    const auto note = [&](ItemId other) {
      if (report.examples.size() >= kExamples) return;
      report.examples.emplace_back(item_first ? item : other, item_first ? other : item);
    };
    if (const auto same = first_.find(text.normalised); same != first_.end()) {
      ++report.same_text_items;
      note(same->second);
    }
    std::unordered_set<ItemId> seen;
    for (const std::uint64_t band : bands_of(text)) {
      const auto group = groups_.find(band);
      if (group == groups_.end()) continue;
      for (const ItemId other : group->second) {
        if (!seen.insert(other).second || known[other].normalised == text.normalised) continue;
        if (jaccard(text, known[other]) < threshold) continue;
        ++report.near_pairs;
        note(other);
      }
    }
  }

 private:
  std::unordered_map<std::string, ItemId> first_;
  std::unordered_map<std::uint64_t, std::vector<ItemId>> groups_;
};

}  // namespace

DuplicateReport duplicate_texts(const Dataset& data, double threshold) {
  const auto texts = texts_of(data);
  Index index;
  DuplicateReport report;
  for (ItemId item = 0; item < texts.size(); ++item) {
    index.compare(item, texts[item], texts, threshold, false, report);
    index.add(item, texts[item]);
  }
  return report;
}

DuplicateReport duplicate_texts(const Dataset& a, const Dataset& b, double threshold) {
  const auto texts = texts_of(a);
  const auto known = texts_of(b);
  Index index;
  for (ItemId item = 0; item < known.size(); ++item) index.add(item, known[item]);
  DuplicateReport report;
  for (ItemId item = 0; item < texts.size(); ++item) {
    index.compare(item, texts[item], known, threshold, true, report);
  }
  return report;
}

}  // namespace kindling
