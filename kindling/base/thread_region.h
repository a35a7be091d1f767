// A parallel region of OpenMP as a function: the one place where threads start together and meet.
//
//   on_each_thread([&](std::size_t thread) { … });    // threads() times, thread 0 is the caller's
//
// OpenMP may give fewer threads than threads(). The body must not throw and must not open a region.
// ThreadSanitizer does not see the starts and barriers inside of libgomp: it is told of them here.
#pragma once

#include <cstddef>
#include <functional>

namespace kindling {

void on_each_thread(const std::function<void(std::size_t thread)>& body);

}  // namespace kindling
