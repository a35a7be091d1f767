// Mean and covariance of a set of vectors, and how much of one set lies where another one lies.
#pragma once

#include <vector>

#include "kindling/base/matrix.h"

namespace kindling {

std::vector<float> column_means(MatrixView vectors);

// The rows less `mean` [cols].
Matrix centred(MatrixView vectors, const std::vector<float>& mean);

// Full symmetric [cols, cols] covariance of centred rows, divided by their number, in double.
std::vector<double> covariance_of(const Matrix& centred_rows);

// Share, in [0, 1], of the target's variance that lies in the smallest subspace holding `share` of
// the source's. Low: a map learned on the source was never trained where the target's items differ.
// Source: specs/zesrec.md, findings of the first study (2-18 % for LSA, 87 % between halves of one
// domain). Errors: Error{kBadInput} when the widths differ or one side has no rows.
double shared_variance(MatrixView source, MatrixView target, double share = 0.9);

}  // namespace kindling
