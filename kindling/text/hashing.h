// Texts -> vectors by hashing words and pieces of words: nothing to load, nothing to fit, the same
// space for every corpus. Texts that share words or stems come close; meaning is not known.
//
// Features: words, and the 3 to 5 characters long pieces of "<word>"; each goes to one coordinate
// with a sign, weighted 1 + log(count); the vector has length 1 (0 for a text without words).
//
// Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009;
//         pieces as in Bojanowski et al., "Enriching Word Vectors with Subword Information", 2017.
#pragma once

#include <span>
#include <string>

#include "kindling/text/encoder.h"

namespace kindling {

class HashingEncoder final : public TextEncoder {
 public:
  explicit HashingEncoder(std::size_t dim) : dim_(dim) {}

  Matrix encode(std::span<const std::string> texts) const override;
  std::size_t dim() const override { return dim_; }
  std::string name() const override { return "hash"; }
  std::string fingerprint() const override;

 private:
  std::size_t dim_;
};

}  // namespace kindling
