// How the controllers see numbers of very different sizes (specs: s2meta 4.1, paper eq. 12).
#pragma once

#include <array>
#include <cmath>

namespace kindling::s2meta {

// (ln|x| / 10, sign x) for |x| >= e^-10, else (-1, e^10 x).
inline std::array<double, 2> smooth(double x) {
  constexpr double kScale = 10.0;
  if (std::fabs(x) >= std::exp(-kScale)) {
    return {std::log(std::fabs(x)) / kScale, x < 0.0 ? -1.0 : 1.0};
  }
  return {-1.0, std::exp(kScale) * x};
}

}  // namespace kindling::s2meta
