// Shows a page to tools/check_pages.py, which looks at it in Chromium; kNoChromium where there is
// none.
//
//   const Outcome outcome = check_pages("--print", dir.file("page.html"));
//   if (outcome.code == kNoChromium) GTEST_SKIP() << "no Chromium to print with";
#pragma once

#include <string>

#include "tests/support/process.h"

namespace kindling::testing {

constexpr int kNoChromium = 77;

inline Outcome check_pages(const std::string& how, const std::string& page) {
  return Process({"/usr/bin/env", "python3", KINDLING_TEST_DATA "/../../tools/check_pages.py", how,
                  page})
      .wait();
}

}  // namespace kindling::testing
