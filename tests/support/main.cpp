#include <gtest/gtest.h>

#include "kindling/base/log.h"
#include "kindling/base/parallel.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kindling::set_threads(2);
  kindling::set_log_level(kindling::LogLevel::kQuiet);
  return RUN_ALL_TESTS();
}
