// An allocator for arrays that are read in long walks: 2 MiB pages where the system has them.
//
//   std::vector<float, LargePages<float>> table(10'000'000);
//
// With pages of 4 KiB a product whose weights do not fit the caches waits for the page table: under
// a hypervisor MiniLM takes some 4 % longer. Starts at a multiple of 64 bytes; from 1 MiB on at a
// multiple of 2 MiB, and the last part of a page is taken whole if it is half full. It is a wish:
// without such pages the memory is as any other.
#pragma once

#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace kindling::kernels {

template <class T>
struct LargePages {
  using value_type = T;

  LargePages() = default;
  template <class U>
  LargePages(const LargePages<U>&) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    void* memory = ::operator new(rounded(bytes), alignment(bytes));
#if defined(__linux__)
    if (bytes >= kPage / 2) ::madvise(memory, rounded(bytes) / kPage * kPage, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    ::operator delete(memory, alignment(count * sizeof(T)));
  }
  friend bool operator==(const LargePages&, const LargePages&) { return true; }

 private:
  static constexpr std::size_t kPage = std::size_t{2} << 20;
  static constexpr std::size_t kLine = 64;

  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes >= kPage / 2 ? kPage : kLine};
  }
  static std::size_t rounded(std::size_t bytes) {
    return bytes % kPage >= kPage / 2 ? (bytes / kPage + 1) * kPage : bytes;
  }
};

}  // namespace kindling::kernels
