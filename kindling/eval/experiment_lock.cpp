#include "kindling/eval/experiment_lock.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"

namespace kindling {

namespace {

constexpr int kMode = 0666;

// Not inherited by a program that is started; a fork shares it until both have closed it.
int open_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode);
  if (descriptor >= 0) return descriptor;
  throw Error(Kind::kIo, std::strerror(errno), path);
}

// False when another process holds it.
bool lock(int descriptor, int how) {
  while (::flock(descriptor, how) != 0) {
    if (errno == EINTR) continue;
    return errno != EWOULDBLOCK;
  }
  return true;
}

}  // namespace

FileLock FileLock::wait(const std::string& path) {
  FileLock taken(open_file(path));
  if (lock(taken.descriptor_, LOCK_EX | LOCK_NB)) return taken;
  log_info("waiting for the process that holds {}", path);
  lock(taken.descriptor_, LOCK_EX);
  return taken;
}

std::optional<FileLock> FileLock::try_take(const std::string& path) {
  FileLock taken(open_file(path));
  if (!lock(taken.descriptor_, LOCK_EX | LOCK_NB)) return std::nullopt;
  return taken;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace kindling
