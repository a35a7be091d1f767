// The kind of error that an action ends in.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling::testing {

// Fails the test when there is no error.
inline Kind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return Kind::kInternal;
}

}  // namespace kindling::testing
