#include "kindling/kernels/decayed_mean.h"

#include <algorithm>
#include <vector>

namespace kindling::kernels {

template <class Real>
void decayed_mean_forward(std::span<const std::int64_t> offsets, std::size_t dim, Real decay,
                          const Real* x, const std::uint8_t* known, const DecayedSums<Real>& start,
                          Real* y, Real* total_weight, const DecayedSums<Real>& last) {
  std::vector<Real> sum(dim);
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    Real weight = start.weights != nullptr ? start.weights[b] : Real{0};
    if (start.sums != nullptr) {
      std::copy_n(start.sums + b * dim, dim, sum.data());
    } else {
      std::fill(sum.begin(), sum.end(), Real{0});
    }
    for (auto n = static_cast<std::size_t>(offsets[b]);
         n < static_cast<std::size_t>(offsets[b + 1]); ++n) {
      const Real* row = x + n * dim;
      Real* out = y + n * dim;
      if (known[n] != 0) {
        for (std::size_t d = 0; d < dim; ++d) sum[d] = decay * sum[d] + row[d];
        weight = decay * weight + Real{1};
      }
      total_weight[n] = weight;
      const Real scale = weight > Real{0} ? Real{1} / weight : Real{1};
      const Real* from = weight > Real{0} ? sum.data() : row;
      for (std::size_t d = 0; d < dim; ++d) out[d] = from[d] * scale;
    }
    if (last.sums != nullptr) std::copy_n(sum.data(), dim, last.sums + b * dim);
    if (last.weights != nullptr) last.weights[b] = weight;
  }
}

template <class Real>
void decayed_mean_backward(std::span<const std::int64_t> offsets, std::size_t dim, Real decay,
                           const Real* d_y, const std::uint8_t* known, const Real* total_weight,
                           Real* d_x) {
  std::vector<Real> d_sum(dim);  // with respect to the numerator after step n
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    std::fill(d_sum.begin(), d_sum.end(), Real{0});
    for (auto n = static_cast<std::size_t>(offsets[b + 1]);
         n-- > static_cast<std::size_t>(offsets[b]);) {
      const Real* d_out = d_y + n * dim;
      Real* d_in = d_x + n * dim;
      const Real weight = total_weight[n];
      if (!(weight > Real{0})) {
        std::copy_n(d_out, dim, d_in);
        continue;
      }
      const Real scale = Real{1} / weight;
      for (std::size_t d = 0; d < dim; ++d) d_sum[d] += d_out[d] * scale;
      if (known[n] == 0) {
        std::fill_n(d_in, dim, Real{0});
        continue;
      }
      std::copy_n(d_sum.data(), dim, d_in);
      for (std::size_t d = 0; d < dim; ++d) d_sum[d] *= decay;
    }
  }
}

template void decayed_mean_forward(std::span<const std::int64_t>, std::size_t, float, const float*,
                                   const std::uint8_t*, const DecayedSums<float>&, float*, float*,
                                   const DecayedSums<float>&);
template void decayed_mean_forward(std::span<const std::int64_t>, std::size_t, double,
                                   const double*, const std::uint8_t*, const DecayedSums<double>&,
                                   double*, double*, const DecayedSums<double>&);
template void decayed_mean_backward(std::span<const std::int64_t>, std::size_t, float, const float*,
                                    const std::uint8_t*, const float*, float*);
template void decayed_mean_backward(std::span<const std::int64_t>, std::size_t, double,
                                    const double*, const std::uint8_t*, const double*, double*);

}  // namespace kindling::kernels
