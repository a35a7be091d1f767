// Matrices saved by NumPy: numpy.save("vectors.npy", array).
//
//   const Matrix vectors = read_npy("vectors.npy");    // [rows, cols], NaN and infinity kept
//
// Reads format versions 1 to 3, little-endian f2, f4 and f8, C and Fortran order, two dimensions.
// Object arrays (pickles) are never read.
//
// Errors: Error{kBadInput} for a damaged or other file, Error{kUnsupported} for other types and
//         dimensions; sizes are checked against the file before anything is allocated.
// Source: numpy.lib.format.
#pragma once

#include <string>

#include "kindling/base/matrix.h"

namespace kindling {

Matrix read_npy(const std::string& path);

}  // namespace kindling
