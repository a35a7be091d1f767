// Logs and progress, both to stderr: stdout belongs to results.
//
//   log_info("read {} interactions", n);
//   Progress bar("epoch 3", batches);           // drawn on a terminal only, at most ten times a
//   second bar.step(1, fmt::format("loss {:.3f}", loss));
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace kindling {

enum class LogLevel { kDebug, kInfo, kWarning, kQuiet };  // kQuiet: errors only

void set_log_level(LogLevel level);
LogLevel log_level();

namespace log_detail {
void write(LogLevel level, std::string_view text);
}

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kDebug) {
    log_detail::write(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kInfo) {
    log_detail::write(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kWarning) {
    log_detail::write(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
}

// Shown even when quiet: what ends a part of the work, where the whole goes on.
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_detail::write(LogLevel::kQuiet, fmt::format(format, std::forward<Args>(args)...));
}

// One line that is drawn over itself: name, bar, share, rate, time left, note.
class Progress {
 public:
  Progress(std::string name, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step(std::uint64_t amount, std::string_view note = {});
  void set(std::uint64_t done, std::string_view note = {});

 private:
  void draw();

  std::string name_;
  std::string note_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool visible_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

// "1:05" or "2:03:04".
std::string format_seconds(double seconds);

}  // namespace kindling
