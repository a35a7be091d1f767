#include "kindling/kernels/dot.h"

#include <array>

namespace kindling::kernels {

namespace {
constexpr std::size_t kSums = 16;
constexpr double kFloatEpsilon = 0x1p-24;  // half a unit in the last place
}  // namespace

double dot_reference(const float* a, const float* b, std::size_t count) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

float dot(const float* a, const float* b, std::size_t count) {
  std::array<float, kSums> sums{};
  const std::size_t whole = count - count % kSums;
  for (std::size_t i = 0; i < whole; i += kSums) {
    for (std::size_t s = 0; s < kSums; ++s) sums[s] += a[i + s] * b[i + s];
  }
  for (std::size_t i = whole; i < count; ++i) sums[i - whole] += a[i] * b[i];
  for (std::size_t half = kSums / 2; half > 0; half /= 2) {
    for (std::size_t s = 0; s < half; ++s) sums[s] += sums[s + half];
  }
  return sums[0];
}

double dot_error_factor(std::size_t count) {
  const double additions = static_cast<double>(count) / kSums + 8.0;
  return 2.0 * additions * kFloatEpsilon;
}

}  // namespace kindling::kernels
