#include "kindling/kernels/large_pages.h"

#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/kernels/aligned_array.h"

namespace kindling::kernels {
namespace {

template <class T>
std::uintptr_t address(const T* values) {
  return reinterpret_cast<std::uintptr_t>(values);
}

TEST(LargePages, StartsSmallArraysAtALineAndLargeOnesAtAPage) {
  for (const std::size_t count : {1UL, 1000UL, 262'143UL}) {  // up to 1 MiB less 4 bytes
    const std::vector<float, LargePages<float>> values(count);
    EXPECT_EQ(address(values.data()) % 64, 0U) << count;
  }
  for (const std::size_t count : {262'144UL, 600'000UL, 1'300'000UL}) {
    const std::vector<float, LargePages<float>> values(count);
    EXPECT_EQ(address(values.data()) % (2U << 20U), 0U) << count;
  }
}

TEST(LargePages, KeepsValuesWhenAVectorGrowsIntoPages) {
  std::vector<std::int32_t, LargePages<std::int32_t>> values;
  for (std::int32_t i = 0; i < 700'000; ++i) values.push_back(i);
  for (std::int32_t i = 0; i < 700'000; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], i);
}

TEST(AlignedArray, IsZeroAndStaysWhereItIsWhenMoved) {
  AlignedArray<float> array(400'000);
  for (std::size_t i = 0; i < 400'000; ++i) ASSERT_EQ(array.data()[i], 0.0F);
  const float* before = array.data();
  const AlignedArray<float> moved = std::move(array);
  EXPECT_EQ(moved.data(), before);
  EXPECT_EQ(moved.bytes(), 1'600'000U);
}

}  // namespace
}  // namespace kindling::kernels
