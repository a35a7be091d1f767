// The vector instructions behind packed_items.cpp: multiply pairs of 16-bit integers, add to 32
// bits.
//
// Three versions of one struct, chosen when compiled: AVX-512 VNNI (one instruction does two
// multiplications and additions in each of 16 lanes: twice the rate of float arithmetic), AVX2
// (multiply-add of pairs, then an addition), and plain loops for any other processor.
// Only for files of this floor: other floors are compiled for every processor and would see another
// version.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace kindling::kernels {

// What lane l of a tile says about an item: its score is surely above or surely below the mark.
struct Verdict {
  std::uint32_t above = 0;
  std::uint32_t below = 0;
};

// The mark of one user, in units of the user's scale, and how far the approximation can be off:
// error = item_error * error_weight + item_norm * norm_weight.
struct Mark {
  float high = 0.0F;
  float low = 0.0F;
  float error_weight = 0.0F;
  float norm_weight = 0.0F;
};

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)

struct Lanes {
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kUsers = 8;    // rows of a tile
  static constexpr std::size_t kVectors = 3;  // vectors of items in a tile
  using Int = __m512i;
  // GCC 12 warns about its own unmasked conversion (an undefined register inside it).
  static constexpr __mmask16 kAllLanes = 0xFFFF;

  static Int zero() { return _mm512_setzero_si512(); }
  static Int load(const std::int32_t* pairs) { return _mm512_load_si512(pairs); }
  static Int broadcast(std::int32_t pair) { return _mm512_set1_epi32(pair); }
  static Int add_products(Int sum, Int a, Int b) { return _mm512_dpwssd_epi32(sum, a, b); }
  static Verdict compare(Int sum, const float* scale, const float* error, const float* norm,
                         const Mark& mark) {
    const __m512 score =
        _mm512_mul_ps(_mm512_maskz_cvtepi32_ps(kAllLanes, sum), _mm512_load_ps(scale));
    const __m512 slack =
        _mm512_fmadd_ps(_mm512_load_ps(error), _mm512_set1_ps(mark.error_weight),
                        _mm512_mul_ps(_mm512_load_ps(norm), _mm512_set1_ps(mark.norm_weight)));
    return {_mm512_cmp_ps_mask(_mm512_sub_ps(score, slack), _mm512_set1_ps(mark.high), _CMP_GT_OQ),
            _mm512_cmp_ps_mask(_mm512_add_ps(score, slack), _mm512_set1_ps(mark.low), _CMP_LT_OQ)};
  }
};

#elif defined(__AVX2__)

struct Lanes {
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kUsers = 4;
  static constexpr std::size_t kVectors = 2;
  using Int = __m256i;

  static Int zero() { return _mm256_setzero_si256(); }
  static Int load(const std::int32_t* pairs) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(pairs));
  }
  static Int broadcast(std::int32_t pair) { return _mm256_set1_epi32(pair); }
  static Int add_products(Int sum, Int a, Int b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  static Verdict compare(Int sum, const float* scale, const float* error, const float* norm,
                         const Mark& mark) {
    const __m256 score = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_load_ps(scale));
    const __m256 slack =
        _mm256_add_ps(_mm256_mul_ps(_mm256_load_ps(error), _mm256_set1_ps(mark.error_weight)),
                      _mm256_mul_ps(_mm256_load_ps(norm), _mm256_set1_ps(mark.norm_weight)));
    const auto bits = [](__m256 truth) {
      return static_cast<std::uint32_t>(_mm256_movemask_ps(truth));
    };
    return {bits(_mm256_cmp_ps(_mm256_sub_ps(score, slack), _mm256_set1_ps(mark.high), _CMP_GT_OQ)),
            bits(_mm256_cmp_ps(_mm256_add_ps(score, slack), _mm256_set1_ps(mark.low), _CMP_LT_OQ))};
  }
};

#else

struct Lanes {
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kUsers = 4;
  static constexpr std::size_t kVectors = 2;
  struct Int {
    std::int32_t lane[kWidth];
  };

  static Int zero() { return {}; }
  static Int load(const std::int32_t* pairs) {
    Int all;
    for (std::size_t l = 0; l < kWidth; ++l) all.lane[l] = pairs[l];
    return all;
  }
  static Int broadcast(std::int32_t pair) {
    Int all;
    for (std::int32_t& lane : all.lane) lane = pair;
    return all;
  }
  static std::int32_t low_half(std::int32_t pair) { return static_cast<std::int16_t>(pair); }
  static std::int32_t high_half(std::int32_t pair) { return pair >> 16; }
  static Int add_products(Int sum, Int a, Int b) {
    for (std::size_t l = 0; l < kWidth; ++l) {
      sum.lane[l] +=
          low_half(a.lane[l]) * low_half(b.lane[l]) + high_half(a.lane[l]) * high_half(b.lane[l]);
    }
    return sum;
  }
  static Verdict compare(Int sum, const float* scale, const float* error, const float* norm,
                         const Mark& mark) {
    Verdict verdict;
    for (std::size_t l = 0; l < kWidth; ++l) {
      const float score = static_cast<float>(sum.lane[l]) * scale[l];
      const float slack = error[l] * mark.error_weight + norm[l] * mark.norm_weight;
      verdict.above |= (score - slack > mark.high ? 1U : 0U) << l;
      verdict.below |= (score + slack < mark.low ? 1U : 0U) << l;
    }
    return verdict;
  }
};

#endif

}  // namespace kindling::kernels
