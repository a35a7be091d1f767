// The page of an experiment as a browser shows it: tools/check_pages.py looks, where Chromium is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/check_pages.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::Outcome;
using testing::run_kindling;
using testing::TempDir;

TEST(ReportPage, ReadsWellInABrowserLightAndDark) {
  const TempDir dir;
  ASSERT_EQ(run_kindling({"experiment", "smoke", "--out", dir.path(), "--seeds", "1"}).code, 0);
  ASSERT_EQ(run_kindling({"report", dir.path()}).code, 0);

  const Outcome outcome = testing::check_pages("--quick", dir.file("report.html"));

  if (outcome.code == testing::kNoChromium) GTEST_SKIP() << "no Chromium to look at pages with";
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
}

}  // namespace
}  // namespace kindling
