#include "kindling/base/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "kindling/base/error.h"
#include "kindling/base/file_parts.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail_errno(const std::string& path, std::string_view action) {
  file_parts::fail_code(errno, path, action);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)), path_(path) {
    if (fd_ < 0) fail_errno(path, (flags & O_CREAT) != 0 ? "create" : "open");
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

  std::size_t size() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail_errno(path_, "stat");
    if (S_ISDIR(status.st_mode)) {
      throw Error(Kind::kBadInput, "is a directory, expected a file", path_);
    }
    return static_cast<std::size_t>(status.st_size);
  }

  // At most `limit` bytes into `out`; 0 at the end.
  std::size_t read(char* out, std::size_t limit) const {
    for (;;) {
      const ssize_t got = ::read(fd_, out, limit);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) fail_errno(path_, "read");
    }
  }

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
      if (put < 0) {
        if (errno == EINTR) continue;
        fail_errno(path_, "write");
      }
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
  }

  void sync() const {
    if (::fsync(fd_) != 0 && errno != EINVAL) fail_errno(path_, "fsync");
  }

  void close() {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) fail_errno(path_, "close");
  }

 private:
  int fd_;
  std::string path_;
};

}  // namespace

namespace file_parts {

void sync_folder(const fs::path& folder) {
  const Descriptor handle(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  handle.sync();
}

std::string temporary_name(const fs::path& path) {
  return fmt::format("{}.{}.tmp", path.string(), ::getpid());
}

}  // namespace file_parts

std::string read_file(const std::string& path, std::size_t limit) {
  const Descriptor file(path, O_RDONLY);
  const std::size_t size = file.size();
  const auto refuse = [&](std::size_t bytes) {
    throw Error(Kind::kBadInput, fmt::format("{} bytes, more than the limit of {}", bytes, limit),
                path);
  };
  if (size > limit) refuse(size);
  std::string content;
  content.resize(size);
  std::size_t filled = 0;
  while (filled < content.size()) {
    const std::size_t got = file.read(content.data() + filled, content.size() - filled);
    if (got == 0) break;
    filled += got;
  }
  content.resize(filled);
  // A pipe or /proc file has size 0 and still content.
  std::array<char, 65536> more{};
  while (const std::size_t got = file.read(more.data(), more.size())) {
    content.append(more.data(), got);
    if (content.size() > limit) refuse(content.size());
  }
  return content;
}

// --- LineReader
// ------------------------------------------------------------------------------------------

struct LineReader::Source {
  explicit Source(const std::string& source) : file(source, O_RDONLY), path(source) {
    total = file.size();
    std::array<unsigned char, 2> magic{};
    const std::size_t got = file.read(reinterpret_cast<char*>(magic.data()), magic.size());
    if (::lseek(file.get(), 0, SEEK_SET) < 0) fail_errno(path, "seek");
    gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (!gzip) return;
    input.resize(std::size_t{1} << 18U);
    constexpr int kGzipWindow = 15 + 16;
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) {
      throw Error(Kind::kInternal, "zlib did not start", path);
    }
  }
  ~Source() {
    if (gzip) inflateEnd(&stream);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  std::size_t read(char* out, std::size_t limit) {
    if (!gzip) {
      const std::size_t got = file.read(out, limit);
      consumed += got;
      return got;
    }
    stream.next_out = reinterpret_cast<Bytef*>(out);
    stream.avail_out = static_cast<uInt>(limit);
    while (stream.avail_out == limit) {
      if (stream.avail_in == 0) {
        const std::size_t got = file.read(input.data(), input.size());
        if (got == 0) {
          if (finished) return 0;
          throw Error(Kind::kBadInput, "gzip stream ends too early", path,
                      "the file is truncated; copy or download it again");
        }
        consumed += got;
        stream.next_in = reinterpret_cast<Bytef*>(input.data());
        stream.avail_in = static_cast<uInt>(got);
      }
      if (finished) {  // several gzip members in one file are one stream
        if (inflateReset(&stream) != Z_OK) {
          throw Error(Kind::kInternal, "zlib did not reset", path);
        }
        finished = false;
      }
      const int status = inflate(&stream, Z_NO_FLUSH);
      finished = status == Z_STREAM_END;
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        throw Error(Kind::kBadInput,
                    fmt::format("damaged gzip stream ({})",
                                stream.msg != nullptr ? stream.msg : "unknown cause"),
                    path);
      }
    }
    return limit - stream.avail_out;
  }

  Descriptor file;
  std::string path;
  std::size_t total = 0;
  std::uint64_t consumed = 0;
  bool gzip = false;
  bool finished = false;
  std::string input;
  z_stream stream{};
};

LineReader::LineReader(const std::string& path, std::size_t max_line)
    : path_(path), max_line_(max_line), source_(std::make_unique<Source>(path)) {
  bytes_total_ = source_->total;
  buffer_.resize(std::size_t{1} << 20U);
}

LineReader::~LineReader() = default;

std::string LineReader::place() const { return at_line(path_, number_); }

std::uint64_t LineReader::bytes_read() const { return source_->consumed; }

// Makes room behind the unread bytes and reads more; false at the end of the file.
bool LineReader::fill() {
  if (exhausted_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ > max_line_) {
    throw Error(Kind::kBadInput, fmt::format("line longer than {} bytes", max_line_),
                at_line(path_, number_ + 1), "is this a text file with line breaks?");
  }
  if (end_ == buffer_.size()) buffer_.resize(buffer_.size() * 2);
  const std::size_t got = source_->read(buffer_.data() + end_, buffer_.size() - end_);
  exhausted_ = got == 0;
  end_ += got;
  return got > 0;
}

bool LineReader::next() {
  std::size_t searched = 0;
  for (;;) {
    const char* start = buffer_.data() + begin_;
    const std::size_t available = end_ - begin_;
    const auto* newline =
        static_cast<const char*>(std::memchr(start + searched, '\n', available - searched));
    if (newline == nullptr) {
      searched = available;
      if (fill()) continue;
      if (available == 0) return false;
    }
    start = buffer_.data() + begin_;
    std::size_t length = newline != nullptr ? static_cast<std::size_t>(newline - start) : available;
    begin_ += newline != nullptr ? length + 1 : length;
    ++number_;
    line_ = {start, length};
    if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
    if (number_ == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.remove_prefix(3);
    if (line_.size() > max_line_) {
      throw Error(Kind::kBadInput, fmt::format("line longer than {} bytes", max_line_), place());
    }
    return true;
  }
}

// --- MappedFile
// ------------------------------------------------------------------------------------------

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const Descriptor file(path, O_RDONLY);
  size_ = file.size();
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail_errno(path, "map");
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

// --- writing
// ---------------------------------------------------------------------------------------------

namespace {

void write_all(Descriptor& file, const std::function<void(const Sink&)>& writer) {
  std::string buffer;
  constexpr std::size_t kFlush = std::size_t{1} << 20U;
  writer([&](std::string_view bytes) {
    if (buffer.size() + bytes.size() > kFlush) {
      file.write(buffer);
      buffer.clear();
    }
    if (bytes.size() > kFlush) {
      file.write(bytes);
    } else {
      buffer += bytes;
    }
  });
  file.write(buffer);
}

// A device or a pipe: written into, never replaced.
bool is_special(const std::string& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

// What a link points to: the link itself stays.
std::string behind_links(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_symlink(path, ignored)) return path;
  const fs::path target = fs::canonical(path, ignored);
  return ignored ? path : target.string();
}

}  // namespace

void write_file(const std::string& given, const std::function<void(const Sink&)>& writer) {
  if (is_special(given)) {
    Descriptor file(given, O_WRONLY);
    write_all(file, writer);
    file.close();
    return;
  }
  const std::string path = behind_links(given);
  const std::string temporary = file_parts::temporary_name(path);
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_all(file, writer);
    file.sync();
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_errno(path, "rename into place");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  file_parts::sync_folder(fs::path(path).parent_path());
}

void write_file(const std::string& path, std::string_view content) {
  write_file(path, [&](const Sink& sink) { sink(content); });
}

}  // namespace kindling
