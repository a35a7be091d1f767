// Threads, set in one place. OpenMP underneath, so that our loops, OpenBLAS and LibTorch share one
// pool.
//
//   set_threads(2);
//   parallel_for(rows, 64, [&](std::size_t begin, std::size_t end) { … });
#pragma once

#include <cstddef>
#include <exception>
#include <functional>

namespace kindling {

// Number of threads for everything below; 0 means one per core. The nn floor passes it on to
// LibTorch.
void set_threads(int count);
int threads();
// The calling thread's number inside parallel_for, in [0, threads()); 0 outside.
int thread_index();

// Calls body(begin, end) on disjoint pieces that cover [0, count), each of at least `grain` (except
// the last). The first exception of a piece is thrown again here. Nested calls run serially.
void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace kindling
