#include "kindling/base/worker_processes.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <new>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kindling/base/error.h"

namespace kindling {

namespace {

constexpr int kSignalled = 128;
constexpr std::size_t kNone = ~std::size_t{0};

struct Slot {
  std::atomic<TaskState> state{TaskState::kNotStarted};
  std::atomic<int> code{0};
};
using Current = std::atomic<std::size_t>;
static_assert(Current::is_always_lock_free && alignof(Slot) <= 8 && sizeof(Slot) == 8);

// What parent and children share.
class Board {
 public:
  Board(std::size_t count, std::size_t workers)
      : bytes_(sizeof(Head) + count * sizeof(Slot) + workers * sizeof(Current)), count_(count) {
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
      throw Error(Kind::kIo, fmt::format("no shared memory: {}", std::strerror(errno)));
    }
    head_ = new (memory_) Head();
    slots_ = reinterpret_cast<Slot*>(static_cast<char*>(memory_) + sizeof(Head));
    for (std::size_t n = 0; n < count; ++n) new (slots_ + n) Slot();
    current_ = reinterpret_cast<Current*>(slots_ + count);
    for (std::size_t n = 0; n < workers; ++n) new (current_ + n) Current(kNone);
  }
  ~Board() { ::munmap(memory_, bytes_); }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // The next task, or kNone.
  std::size_t take() {
    if (head_->stop) return kNone;
    const std::size_t n = head_->next++;
    if (n >= count_) return kNone;
    slots_[n].state = TaskState::kRunning;
    return n;
  }
  bool exhausted() const { return head_->stop || head_->next >= count_; }
  void finish(std::size_t n, int code) {
    slots_[n].code = code;
    slots_[n].state = TaskState::kFinished;
    if (code == kStopAll) head_->stop = true;
  }
  Slot& slot(std::size_t n) { return slots_[n]; }
  // The task that a worker is busy with, or kNone.
  Current& current(std::size_t worker) { return current_[worker]; }

 private:
  struct alignas(64) Head {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> stop{false};
  };
  std::size_t bytes_;
  std::size_t count_;
  void* memory_;
  Head* head_ = nullptr;
  Slot* slots_ = nullptr;
  Current* current_ = nullptr;
};

// The life of a process. The board says what it does, so that the parent knows the task of a dead
// one.
[[noreturn]] void work(Board& board, std::size_t worker, ::pid_t parent,
                       const std::function<int(std::size_t)>& task) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  for (std::size_t n = 0; (n = board.take()) != kNone;) {
    board.current(worker) = n;
    board.finish(n, task(n));
    board.current(worker) = kNone;
  }
  ::_exit(0);
}

}  // namespace

std::vector<TaskOutcome> run_in_processes(std::size_t jobs, std::size_t count,
                                          const std::function<int(std::size_t)>& task) {
  const std::size_t workers = std::min(std::max<std::size_t>(jobs, 1), count);
  Board board(count, workers);
  const ::pid_t parent = ::getpid();
  std::map<::pid_t, std::size_t> running;
  const auto start = [&](std::size_t worker) {
    board.current(worker) = kNone;
    const ::pid_t child = ::fork();
    if (child < 0) throw Error(Kind::kIo, fmt::format("fork: {}", std::strerror(errno)));
    if (child == 0) work(board, worker, parent, task);
    running[child] = worker;
  };
  for (std::size_t worker = 0; worker < workers; ++worker) start(worker);
  while (!running.empty()) {
    int status = 0;
    const ::pid_t child = ::waitpid(-1, &status, 0);
    if (child < 0 && errno == EINTR) continue;
    const auto found = running.find(child);
    if (found == running.end()) continue;
    const std::size_t worker = found->second;
    running.erase(found);
    const std::size_t unfinished = board.current(worker);
    if (unfinished != kNone) {
      board.finish(unfinished, WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : 1);
    }
    if (!board.exhausted()) start(worker);
  }
  std::vector<TaskOutcome> outcomes;
  for (std::size_t n = 0; n < count; ++n) {
    outcomes.push_back({board.slot(n).state, board.slot(n).code});
  }
  return outcomes;
}

}  // namespace kindling
