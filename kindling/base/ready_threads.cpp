#include "kindling/base/ready_threads.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/base/thread_region.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace kindling {

#ifdef _OPENMP

namespace {

// Waits awake for a while, then lets others have the core between two looks.
class Patience {
 public:
  void wait() {
    constexpr int kLooks = 1 << 16;  // about a millisecond
    if (++looks_ > kLooks) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

 private:
  int looks_ = 0;
};

// One loop at a time. Each thread has a share of its pieces, the same for loops of equal length:
// what one loop left in a core's cache the next one finds there. Who is through with his share
// takes pieces of the others. A ticket counts loops in its upper half and the pieces of a share
// that nobody has taken yet in its lower half: who takes one lowers it, and only if the loop is
// still the one whose description he has read. The next loop is posted when all pieces are done, so
// nobody need be waited for who has taken none.
class Team {
 public:
  explicit Team(std::size_t threads) : shares_(threads) {}

  void run(std::size_t count, const std::function<void(std::size_t)>& piece) {
    piece_.store(&piece, std::memory_order_relaxed);
    count_.store(count, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    ++loops_;
    for (std::size_t t = 0; t < shares_.size(); ++t) {
      const std::uint64_t left = first(t + 1, count) - first(t, count);
      shares_[t].ticket.store((loops_ << 32) | left, std::memory_order_release);
    }
    while (take(0)) {
    }
    for (Patience patience; done_.load(std::memory_order_acquire) < count;) patience.wait();
  }
  // Of a thread that is not the body's: pieces of all loops until finish().
  void help(std::size_t thread) {
    for (Patience patience; !finished_.load(std::memory_order_acquire);) {
      if (take(thread)) {
        patience = Patience();
      } else {
        patience.wait();
      }
    }
  }
  void finish() { finished_.store(true, std::memory_order_release); }

 private:
  struct alignas(64) Share {
    std::atomic<std::uint64_t> ticket = 0;
  };

  std::size_t first(std::size_t share, std::size_t count) const {
    return share * count / shares_.size();
  }
  // A piece of the thread's share, or else of another's; false: there is none left.
  bool take(std::size_t thread) {
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      if (take_of((thread + i) % shares_.size())) return true;
    }
    return false;
  }
  bool take_of(std::size_t share) {
    std::atomic<std::uint64_t>& of = shares_[share].ticket;
    std::uint64_t ticket = of.load(std::memory_order_acquire);
    const std::size_t left = ticket & 0xFFFFFFFFU;
    if (left == 0) return false;
    const auto* piece = piece_.load(std::memory_order_relaxed);
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (!of.compare_exchange_strong(ticket, ticket - 1, std::memory_order_acq_rel)) {
      return true;  // somebody was faster: look again
    }
    (*piece)(first(share + 1, count) - left);
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  std::uint64_t loops_ = 0;
  std::atomic<const std::function<void(std::size_t)>*> piece_ = nullptr;
  std::atomic<std::size_t> count_ = 0;
  std::vector<Share> shares_;
  alignas(64) std::atomic<std::size_t> done_ = 0;
  std::atomic<bool> finished_ = false;
};

// The team whose body the calling thread runs, while it is outside of its loops.
thread_local Team* here = nullptr;

}  // namespace

bool has_ready_threads() { return here != nullptr; }

void run_on_ready_threads(std::size_t count, const std::function<void(std::size_t)>& piece) {
  Team* const team = here;
  here = nullptr;  // loops inside of pieces run serially
  team->run(count, piece);
  here = team;
}

void with_ready_threads(const std::function<void()>& body) {
  if (threads() == 1 || omp_in_parallel() != 0) return body();
  Team team(static_cast<std::size_t>(threads()));
  std::exception_ptr failure;
  on_each_thread([&](std::size_t thread) {
    // There may be fewer threads: the others take what would have been theirs.
    if (thread != 0) return team.help(thread);
    here = &team;
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
    here = nullptr;
    team.finish();
  });
  if (failure) std::rethrow_exception(failure);
}

#else

bool has_ready_threads() { return false; }
void run_on_ready_threads(std::size_t, const std::function<void(std::size_t)>&) {}
void with_ready_threads(const std::function<void()>& body) { body(); }

#endif

}  // namespace kindling
