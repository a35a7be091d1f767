#include "kindling/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "kindling/base/ready_threads.h"
#include "kindling/base/thread_region.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace kindling {

#ifdef _OPENMP

void set_threads(int count) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  omp_set_num_threads(count > 0 ? count : cores);
}

int threads() { return omp_get_max_threads(); }

int thread_index() { return omp_get_thread_num(); }

void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t, std::size_t)>& body) {
  if (count == 0) return;
  const bool ready = has_ready_threads();
  // A grain is what is worth waking a thread for; one that is awake takes less.
  constexpr std::size_t kReady = 8;
  grain = std::max<std::size_t>(ready ? grain / kReady : grain, 1);
  const auto workers = static_cast<std::size_t>(std::max(1, threads()));
  // Several pieces a thread even out pieces of unequal cost; with few, the last one is waited for.
  constexpr std::size_t kPieces = 16;
  const std::size_t step = std::max(grain, (count + workers * kPieces - 1) / (workers * kPieces));
  const std::size_t pieces = (count + step - 1) / step;
  if (pieces == 1 || workers == 1 || (omp_in_parallel() != 0 && !ready)) {
    body(0, count);
    return;
  }
  std::exception_ptr failure;
  std::mutex guard;
  const auto run = [&](std::size_t piece) {
    const std::size_t begin = piece * step;
    try {
      body(begin, std::min(count, begin + step));
    } catch (...) {
      const std::lock_guard<std::mutex> hold(guard);
      if (!failure) failure = std::current_exception();
    }
  };
  if (ready) {
    run_on_ready_threads(pieces, run);
  } else {
    std::atomic<std::size_t> next = 0;
    on_each_thread([&](std::size_t) {
      for (std::size_t piece = next++; piece < pieces; piece = next++) run(piece);
    });
  }
  if (failure) std::rethrow_exception(failure);
}

#else

void set_threads(int) {}
int threads() { return 1; }
int thread_index() { return 0; }

void parallel_for(std::size_t count, std::size_t,
                  const std::function<void(std::size_t, std::size_t)>& body) {
  if (count > 0) body(0, count);
}

#endif

}  // namespace kindling
