#include "kindling/base/thread_region.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace kindling {

namespace {

#ifdef __SANITIZE_THREAD__

// What happens before pass() in one thread happens before wait() in those that come after it.
class Gate {
 public:
  void pass() { __tsan_release(&place_); }
  void wait() { __tsan_acquire(&place_); }

 private:
  char place_ = 0;
};

#else

class Gate {
 public:
  void pass() {}
  void wait() {}
};

#endif

}  // namespace

#ifdef _OPENMP

// Not instrumented: what it does before wait() the sanitizer would see without its cause.
__attribute__((no_sanitize("thread"))) void on_each_thread(
    const std::function<void(std::size_t thread)>& body) {
  Gate start;
  Gate end;
  start.pass();
#pragma omp parallel
  {
    start.wait();
    body(static_cast<std::size_t>(omp_get_thread_num()));
    end.pass();
  }
  end.wait();
}

#else

void on_each_thread(const std::function<void(std::size_t thread)>& body) { body(0); }

#endif

}  // namespace kindling
