// Brings the item vectors of a domain to the scale that the item network is trained on [Z22].
//
//   Matrix x = scale_items(vectors.values, options);   // input_scale, whiten_exponent, unit_rows
//
// Each domain is scaled by its own statistics. mean_norm divides by the mean norm (directions and
// relative lengths stay); l2 makes every vector unit length; standardise gives each dimension mean
// 0 and deviation 1, then mean_norm 1; whiten and partial (Cov^(-exponent/2)) likewise end at mean
// norm 1. unit_rows then makes every vector unit length. Training fails on larger inputs: Adagrad's
// first steps move every weight by the whole learning rate.
#pragma once

#include "kindling/base/matrix.h"
#include "kindling/models/zesrec/options.h"

namespace kindling::zesrec {

Matrix scale_items(MatrixView vectors, const Options& options);

}  // namespace kindling::zesrec
