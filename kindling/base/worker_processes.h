// Independent tasks in processes of their own: a crash, a leak or a library with global threads in
// one task leaves the others alone.
//
//   const auto outcomes = run_in_processes(2, cells.size(), [&](std::size_t n) { return run(n); });
//
// Each of `jobs` processes takes the next number until none is left; `task` returns an exit code
// and runs after fork(), so the caller must not have used OpenMP with several threads, nor
// LibTorch. Processes end when their parent is killed. A process that dies in a task (out of
// memory, a signal) is replaced, and its task counts as failed with code 128 + signal.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace kindling {

enum class TaskState : unsigned char { kNotStarted, kRunning, kFinished };

struct TaskOutcome {
  TaskState state = TaskState::kNotStarted;
  int code = 0;
};

// A task that returns kStopAll keeps every later one from starting.
inline constexpr int kStopAll = 100;

// Errors: Error{kIo} when no process can be made. Exceptions of `task` must not leave it.
std::vector<TaskOutcome> run_in_processes(std::size_t jobs, std::size_t count,
                                          const std::function<int(std::size_t)>& task);

}  // namespace kindling
