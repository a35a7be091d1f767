// Latent semantic analysis: TF-IDF and a truncated SVD, fitted on the texts at hand. No weights, no
// downloads, and a strong start for catalogues of one language.
//
//   const LsaEncoder lsa(texts, 128, seed);
//   lsa.encode(texts);                        // [texts, 128], rows of length at most 1
//
// Weight of a term in a text: (1 + log count) * (1 + log((1 + texts) / (1 + texts with it))), rows
// scaled to length 1, then projected on the leading right singular vectors. The fit sees every
// distinct text once, sorted, so the order of the corpus does not matter: source + target gives the
// same space as target + source.
//
// Errors: Error{kBadInput} for a corpus without words.
// Source: Deerwester et al. 1990; Halko, Martinsson & Tropp, "Finding Structure with Randomness",
//         SIAM Review 2011, algorithm 4.4 (randomised subspace iteration).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kindling/text/encoder.h"

namespace kindling {

class LsaEncoder final : public TextEncoder {
 public:
  // Coordinates that the corpus cannot fill (fewer texts or terms than dim) are 0 everywhere.
  LsaEncoder(std::span<const std::string> corpus, std::size_t dim, std::uint64_t seed);

  Matrix encode(std::span<const std::string> texts) const override;
  std::size_t dim() const override { return dim_; }
  std::string name() const override { return "lsa"; }
  std::string fingerprint() const override { return fingerprint_; }
  std::size_t terms() const { return inverse_.size(); }

 private:
  using Row = std::vector<std::pair<std::uint32_t, float>>;  // term, weight; sorted by term

  void count_terms(const std::vector<std::vector<std::u32string>>& documents);
  Row weigh(const std::vector<std::u32string>& terms) const;

  std::size_t dim_;
  std::unordered_map<std::u32string, std::uint32_t> index_;
  std::vector<float> inverse_;  // [terms] inverse document frequency
  Matrix projection_;           // [terms, dim]
  std::string fingerprint_;
};

}  // namespace kindling
