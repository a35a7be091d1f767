// Files: whole reads with a size limit, lines from plain or gzip files, mapped files, and writes
// that leave either the old file or the new one.
//
//   for (LineReader lines("reviews.json.gz"); lines.next();) use(lines.number(), lines.line());
//   write_file("model/config.json", text);   // temporary file, fsync, rename, fsync of the folder
//
// Errors: Error{kNotFound} when the path does not exist, Error{kIo} from the operating system,
// Error{kBadInput} for a damaged gzip stream or a line over the limit; always with path (and line).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace kindling {

// The whole file. Refuses more than `limit` bytes before reading.
std::string read_file(const std::string& path, std::size_t limit = std::size_t{1} << 30U);

// Lines of a plain or gzip file (told apart by its first bytes, not its name), CRLF or LF, a UTF-8
// byte order mark dropped. A line longer than `max_line` bytes is an error.
class LineReader {
 public:
  explicit LineReader(const std::string& path, std::size_t max_line = std::size_t{16} << 20U);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Moves to the next line; false at the end. The view of line() is valid until the next call.
  bool next();
  std::string_view line() const { return line_; }
  std::int64_t number() const { return number_; }  // 1-based
  const std::string& path() const { return path_; }
  std::string place() const;  // "path:line"
  // Compressed bytes read so far and in total: for progress bars.
  std::uint64_t bytes_read() const;
  std::uint64_t bytes_total() const { return bytes_total_; }

 private:
  struct Source;
  bool fill();

  std::string path_;
  std::size_t max_line_;
  std::unique_ptr<Source> source_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool exhausted_ = false;
  std::string_view line_;
  std::int64_t number_ = 0;
  std::uint64_t bytes_total_ = 0;
};

// A read-only mapping of a whole file; an empty file maps to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Replaces `path` with what `writer` sends, in pieces, to the given sink. Until the rename the old
// file stays; an exception from `writer` removes the temporary file.
using Sink = std::function<void(std::string_view)>;
void write_file(const std::string& path, const std::function<void(const Sink&)>& writer);
void write_file(const std::string& path, std::string_view content);

// Makes `path` and what is missing above it. Error: kBadInput or kNotFound when the path is at
// fault (a file in its way, no permission), kIo when the disk is.
void make_directories(const std::filesystem::path& path);

// Throws what write_directory(path, replace, marker, …) would refuse before it calls its builder:
// to be asked before work that takes long.
void check_replaceable(const std::string& path, bool replace, const std::string& marker);

// Builds a directory beside `path` and renames it into place when `builder` returns, so that `path`
// is either absent/old or complete. An existing directory is replaced only when `replace` is true
// and it holds `marker` (the file that proves that it is ours); otherwise Error{kBadInput}.
void write_directory(const std::string& path, bool replace, const std::string& marker,
                     const std::function<void(const std::filesystem::path&)>& builder);

// `child` joined to `folder`; Error{kBadInput} when the result would leave the folder (path
// traversal).
std::string path_inside(const std::string& folder, const std::string& child);

}  // namespace kindling
