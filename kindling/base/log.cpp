#include "kindling/base/log.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace kindling {

namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "kindling", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *instance;
}

bool stderr_is_terminal() {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return terminal;
}

}  // namespace

void set_log_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return logger().set_level(spdlog::level::debug);
    case LogLevel::kInfo:
      return logger().set_level(spdlog::level::info);
    case LogLevel::kWarning:
      return logger().set_level(spdlog::level::warn);
    case LogLevel::kQuiet:
      return logger().set_level(spdlog::level::err);
  }
}

LogLevel log_level() {
  switch (logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return LogLevel::kDebug;
    case spdlog::level::info:
      return LogLevel::kInfo;
    case spdlog::level::warn:
      return LogLevel::kWarning;
    default:
      return LogLevel::kQuiet;
  }
}

namespace log_detail {

void write(LogLevel level, std::string_view text) {
  if (stderr_is_terminal()) std::fputs("\r\x1b[K", stderr);  // clears a progress bar in the way
  const auto severity = level == LogLevel::kDebug     ? spdlog::level::debug
                        : level == LogLevel::kInfo    ? spdlog::level::info
                        : level == LogLevel::kWarning ? spdlog::level::warn
                                                      : spdlog::level::err;
  logger().log(severity, "{}", text);
}

}  // namespace log_detail

std::string format_seconds(double seconds) {
  const auto total = std::lround(std::clamp(seconds, 0.0, 1e7));
  if (total >= 3600) {
    return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  }
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

Progress::Progress(std::string name, std::uint64_t total)
    : name_(std::move(name)),
      total_(total),
      visible_(stderr_is_terminal() && log_level() <= LogLevel::kInfo),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_ - std::chrono::seconds(1)) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::step(std::uint64_t amount, std::string_view note) { set(done_ + amount, note); }

void Progress::set(std::uint64_t done, std::string_view note) {
  done_ = done;
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_draw_ < std::chrono::milliseconds(100)) return;
  last_draw_ = now;
  if (!note.empty()) note_ = note;
  draw();
}

void Progress::draw() {
  constexpr std::size_t kWidth = 24;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double share =
      total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 0.0;
  const auto full = static_cast<std::size_t>(share * kWidth);
  const std::string bar = std::string(full, '#') + std::string(kWidth - full, '.');
  const std::string left = share > 0.0 ? format_seconds(seconds / share - seconds) : "?";
  const std::string text =
      fmt::format("{} [{}] {:3.0f} %  {} left  {}", name_, bar, share * 100.0, left, note_);
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace kindling
