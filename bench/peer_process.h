// A peer of a benchmark: another program that answers one line with one number.
//
//   PeerProcess peer({"/usr/bin/python3", "peers/zesrec_train_peer.py", dir});
//   double seconds = peer.ask("round");
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kindling/base/error.h"

namespace kindling::bench {

class PeerProcess {
 public:
  explicit PeerProcess(std::vector<std::string> command) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (::pipe(to.data()) != 0 || ::pipe(from.data()) != 0) {
      throw Error(Kind::kIo, "no pipe for the peer", command.front());
    }
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      for (const int fd : {to[0], to[1], from[0], from[1]}) ::close(fd);
      std::vector<char*> arguments;
      for (auto& word : command) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = ::fdopen(to[1], "w");
    from_ = ::fdopen(from[0], "r");
  }
  ~PeerProcess() {
    std::fclose(to_);  // end of input ends the peer
    std::fclose(from_);
    ::waitpid(child_, nullptr, 0);
  }
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  double ask(const std::string& command) {
    double answer = 0.0;
    if (std::fprintf(to_, "%s\n", command.c_str()) < 0 || std::fflush(to_) != 0 ||
        std::fscanf(from_, "%lf", &answer) != 1) {
      throw Error(Kind::kIo, "the peer gave no answer to " + quote(command), "bench");
    }
    return answer;
  }

 private:
  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace kindling::bench
