// Runs the built program for tests of what users see: exit code, stdout, stderr.
//
//   const Outcome outcome = run_kindling({"models", "--json"});
//   EXPECT_EQ(outcome.code, 0) << outcome.err;
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kindling::testing {

struct Outcome {
  int code = -1;  // exit code; 128 + signal when the program was killed
  std::string out;
  std::string err;
};

namespace process_detail {

inline std::string read_all(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char block[4096];
  for (std::size_t count = 0; (count = std::fread(block, 1, sizeof block, file)) > 0;) {
    text.append(block, count);
  }
  std::fclose(file);
  return text;
}

inline int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace process_detail

// A running program; its output goes to temporary files. wait() or kill_after() ends it.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments)
      : out_(std::tmpfile()), err_(std::tmpfile()) {
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(out_), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(err_), STDERR_FILENO);
    EXPECT_EQ(posix_spawn(&id_, pointers[0], &actions, nullptr, pointers.data(), environ), 0)
        << "cannot start " << arguments[0];
    posix_spawn_file_actions_destroy(&actions);
  }

  Outcome wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(id_, &status, 0), id_);
    return {.code = process_detail::code_of(status),
            .out = process_detail::read_all(out_),
            .err = process_detail::read_all(err_)};
  }

  // SIGKILL after `delay`: the program gets no chance to tidy up.
  Outcome kill_after(std::chrono::milliseconds delay) {
    std::this_thread::sleep_for(delay);
    ::kill(id_, SIGKILL);
    return wait();
  }

 private:
  std::FILE* out_;
  std::FILE* err_;
  ::pid_t id_ = 0;
};

#ifdef KINDLING_PROGRAM  // of the tests of the command line
inline Process start_kindling(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), KINDLING_PROGRAM);
  return Process(std::move(arguments));
}

inline Outcome run_kindling(std::vector<std::string> arguments) {
  return start_kindling(std::move(arguments)).wait();
}
#endif

}  // namespace kindling::testing
