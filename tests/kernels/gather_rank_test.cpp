#include "kindling/kernels/gather_rank.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

TEST(GatherCountRanks, CountsWhatBeatsTheTargetAndWhatTies) {
  const std::vector<float> items = {1, 0, 3, 0, 2, 0, 3, 5, 2, 9};  // [5, 2]
  const float user[] = {1, 0};                                      // scores 1, 3, 2, 3, 2
  const std::uint32_t candidates[] = {0, 1, 2, 3, 4};

  EXPECT_EQ(gather_count_ranks(user, items.data(), 2, 2, candidates, 5), (RankCount{2, 1}));
  EXPECT_EQ(gather_count_ranks(user, items.data(), 2, 1, candidates, 5), (RankCount{0, 1}));
}

TEST(GatherCountRanks, CountsARepeatedCandidateTwice) {
  const std::vector<float> items = {1, 3};
  const float user[] = {1};
  const std::uint32_t candidates[] = {1, 1};

  EXPECT_EQ(gather_count_ranks(user, items.data(), 1, 0, candidates, 2), (RankCount{2, 0}));
}

TEST(GatherCountRanks, AgreesWithTheReference) {
  constexpr std::size_t kDim = 37;
  Rng rng(3);
  std::vector<float> items(500 * kDim);
  for (float& value : items) value = static_cast<float>(rng.normal());
  for (std::uint32_t q = 0; q < 50; ++q) {
    std::vector<float> user(kDim);
    for (float& value : user) value = static_cast<float>(rng.normal());
    std::vector<std::uint32_t> candidates(199);
    for (auto& item : candidates) item = static_cast<std::uint32_t>(rng.below(500));

    const auto count =
        gather_count_ranks(user.data(), items.data(), kDim, q, candidates.data(), 199);

    EXPECT_EQ(count, gather_count_ranks_reference(user.data(), items.data(), kDim, q,
                                                  candidates.data(), 199));
  }
}

TEST(GatherCountRanks, RefusesAScoreThatIsNotFinite) {
  const std::vector<float> items = {1, std::numeric_limits<float>::infinity()};
  const float user[] = {1};
  const std::uint32_t candidates[] = {1};

  EXPECT_THROW(gather_count_ranks(user, items.data(), 1, 0, candidates, 1), Error);
}

}  // namespace
}  // namespace kindling::kernels
