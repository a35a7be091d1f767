// One process at a time: a file that the operating system locks, and lets go when its holder ends,
// killed or not.
//
//   const FileLock preparing = FileLock::wait(out + "/.lock");   // waits for its turn
//   const auto lock = FileLock::try_take(work + ".lock");        // nothing: another holds it
//
// The file stays. Where the file system knows no locks (some network mounts), every lock is given.
// Errors: Error{kIo} when the file cannot be made.
#pragma once

#include <optional>
#include <string>

namespace kindling {

class FileLock {
 public:
  static FileLock wait(const std::string& path);
  static std::optional<FileLock> try_take(const std::string& path);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) = delete;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace kindling
