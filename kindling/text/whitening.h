// Makes the directions of a set of vectors equally strong: x -> (x - mean) U diag(l^(-e/2)) U^T.
//
//   const Whitening whitening(vectors, 1.0);      // covariance becomes the identity
//   const Matrix white = whitening.apply(vectors);
//
// exponent e: 0 only centres, 1 whitens fully, between is partial; axes keep their meaning because
// U turns back. Directions with (almost) no variance, as when there are fewer vectors than
// coordinates, become 0 instead of noise.
//
// Source: Su et al., "Whitening Sentence Representations", 2021; ZCA form; the partial exponent as
//         in relaxed whitening (Zhang et al., WhitenRec+, 2024).
#pragma once

#include <vector>

#include "kindling/base/matrix.h"

namespace kindling {

class Whitening {
 public:
  // Errors: Error{kBadInput} without rows, Error{kBadOption} for an exponent outside [0, 1].
  Whitening(MatrixView vectors, double exponent);

  Matrix apply(MatrixView vectors) const;
  std::size_t rank() const { return rank_; }  // directions that were kept

 private:
  std::vector<float> mean_;  // [dim]
  Matrix transform_;         // [dim, dim], symmetric
  std::size_t rank_ = 0;
};

}  // namespace kindling
