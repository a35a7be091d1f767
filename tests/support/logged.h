// What a piece of code says, for tests of warnings: tests are quiet otherwise.
//
//   const std::string said = logged([&] { run_training(run); });
#pragma once

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "kindling/base/log.h"

namespace kindling::testing {

// `code` must not throw.
inline std::string logged(const std::function<void()>& code) {
  const LogLevel before = log_level();
  set_log_level(LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  code();
  set_log_level(before);
  return ::testing::internal::GetCapturedStderr();
}

}  // namespace kindling::testing
