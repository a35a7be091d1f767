#include "kindling/base/worker_processes.h"

#include <csignal>

#include <gtest/gtest.h>
#include <unistd.h>

#include "kindling/base/file.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

TEST(WorkerProcesses, RunEveryTaskOnceAndReturnItsCode) {
  const testing::TempDir dir;

  const auto outcomes = run_in_processes(3, 7, [&](std::size_t n) {
    dir.write(std::to_string(n) + "." + std::to_string(::getpid()), "");
    return static_cast<int>(n % 2);
  });

  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    files += entry.is_regular_file() ? 1U : 0U;
  }
  EXPECT_EQ(files, 7U);
  ASSERT_EQ(outcomes.size(), 7U);
  for (std::size_t n = 0; n < 7; ++n) {
    EXPECT_EQ(outcomes[n].state, TaskState::kFinished);
    EXPECT_EQ(outcomes[n].code, static_cast<int>(n % 2));
  }
}

TEST(WorkerProcesses, OutliveATaskThatKillsItsProcess) {
  const auto outcomes = run_in_processes(1, 4, [](std::size_t n) {
    if (n == 1) ::raise(SIGKILL);
    return 0;
  });

  EXPECT_EQ(outcomes[1].code, 128 + SIGKILL);
  for (const std::size_t n : {0U, 2U, 3U}) EXPECT_EQ(outcomes[n].code, 0) << n;
}

TEST(WorkerProcesses, StopWhenATaskSaysSo) {
  const auto outcomes = run_in_processes(1, 4, [](std::size_t n) { return n == 1 ? kStopAll : 0; });

  EXPECT_EQ(outcomes[0].state, TaskState::kFinished);
  EXPECT_EQ(outcomes[1].code, kStopAll);
  EXPECT_EQ(outcomes[2].state, TaskState::kNotStarted);
  EXPECT_EQ(outcomes[3].state, TaskState::kNotStarted);
}

TEST(WorkerProcesses, DoNothingForNoTasks) {
  EXPECT_TRUE(run_in_processes(2, 0, [](std::size_t) { return 0; }).empty());
}

}  // namespace
}  // namespace kindling
