#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/text/model_dir.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

// A fuzzer found it: the first shard's path was asked for when there was none.
TEST(WeightFiles, RefusesAnIndexThatNamesNoTensor) {
  const testing::TempDir folder;
  folder.write("model.safetensors.index.json", R"({"weight_map":{}})");

  try {
    const WeightFiles files(folder.path());
    FAIL() << "an index without tensors was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("names no tensor"), std::string::npos);
  }
}

}  // namespace
}  // namespace kindling
