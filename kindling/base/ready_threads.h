// Threads that stay awake between short parallel loops.
//
//   with_ready_threads([&] {
//     kernels::gru_forward(…);      // parallel_for inside
//     kernels::shared_softmax(…);
//   });
//
// Waking a sleeping thread takes 20 to 100 µs under a hypervisor: more than many kernels of a small
// training step take. Here the other threads look for the next loop meanwhile and hand over within
// a microsecond. Loops are cut into smaller pieces than the kernels' grain says, which counts on
// a thread that must be woken. Regions of OpenMP that libraries open (OpenBLAS, LibTorch) run on
// one thread in the body: it is for bodies whose loops are parallel_for.
//
// Threads: those of parallel.h, in one region of OpenMP; one inside of another, or of a
// parallel_for, just calls its body. A thread that waits long offers its core to others.
// Errors: what the body throws is thrown again.
#pragma once

#include <cstddef>
#include <functional>

namespace kindling {

void with_ready_threads(const std::function<void()>& body);

// For parallel_for. Is the calling thread the one that runs such a body?
bool has_ready_threads();
// Calls piece(0) … piece(count - 1), each once, on all threads; they must not throw. Only if
// has_ready_threads().
void run_on_ready_threads(std::size_t count, const std::function<void(std::size_t)>& piece);

}  // namespace kindling
