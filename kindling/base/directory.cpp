// Directories: made, replaced as a whole, and not left.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/file_parts.h"

namespace kindling {

namespace fs = std::filesystem;
using file_parts::fail_code;

namespace {

// What a path cannot do is the user's to mend; a full or broken disk is not.
Kind kind_of_errno(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return Kind::kNotFound;
    case EISDIR:
    case EEXIST:
    case EACCES:
    case EPERM:
    case EROFS:
    case ENAMETOOLONG:
    case ELOOP:
      return Kind::kBadInput;
    default:
      return Kind::kIo;
  }
}

fs::path without_slash(const std::string& path) {
  const fs::path target = fs::path(path).lexically_normal();
  return target.has_filename() ? target : target.parent_path();
}

}  // namespace

void file_parts::fail_code(int code, const std::string& path, std::string_view action,
                           std::string hint) {
  throw Error(kind_of_errno(code), fmt::format("cannot {}: {}", action, std::strerror(code)), path,
              std::move(hint));
}

void make_directories(const fs::path& path) {
  if (path.empty()) return;
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure) {
    fail_code(failure.value(), path.string(), "make the directory",
              "is a file in its way, or may you not write there?");
  }
}

void check_replaceable(const std::string& path, bool replace, const std::string& marker) {
  const fs::path target = without_slash(path);
  std::error_code status;
  fs::path parent = fs::absolute(target, status).parent_path();
  while (!fs::exists(parent, status) && parent.has_relative_path()) parent = parent.parent_path();
  if (!fs::is_directory(parent, status)) {
    fail_code(ENOTDIR, target.string(), "make the directory",
              fmt::format("{} is a file", parent.string()));
  }
  if (::access(parent.c_str(), W_OK) != 0) {
    const int code = errno;
    fail_code(code, target.string(), "make the directory",
              fmt::format("{} cannot be written to", parent.string()));
  }
  if (fs::exists(target, status)) {
    const bool ours = fs::is_directory(target, status) &&
                      (fs::exists(target / marker, status) || fs::is_empty(target, status));
    if (!ours) {
      throw Error(Kind::kBadInput,
                  fmt::format("exists and holds no {}; it will not be overwritten", marker),
                  target.string(), "choose another output directory");
    }
    if (!replace && !fs::is_empty(target, status)) {
      throw Error(Kind::kBadInput, "already exists", target.string(),
                  "choose another output directory, or pass --force to replace it");
    }
  }
}

void write_directory(const std::string& path, bool replace, const std::string& marker,
                     const std::function<void(const fs::path&)>& builder) {
  check_replaceable(path, replace, marker);
  const fs::path target = without_slash(path);
  std::error_code status;
  make_directories(target.parent_path());
  const fs::path temporary = file_parts::temporary_name(target);
  const fs::path old = fmt::format("{}.{}.old", target.string(), ::getpid());
  try {
    fs::remove_all(temporary);
    fs::create_directory(temporary);
    builder(temporary);
    file_parts::sync_folder(temporary);
    if (fs::exists(target)) fs::rename(target, old);
    fs::rename(temporary, target);
    file_parts::sync_folder(target.parent_path());
    fs::remove_all(old);
  } catch (const fs::filesystem_error& error) {
    if (!fs::exists(target, status) && fs::exists(old, status)) fs::rename(old, target, status);
    fs::remove_all(temporary, status);
    fail_code(error.code().value(), target.string(), "write the directory");
  } catch (...) {
    if (!fs::exists(target, status) && fs::exists(old, status)) fs::rename(old, target, status);
    fs::remove_all(temporary, status);
    throw;
  }
}

std::string path_inside(const std::string& folder, const std::string& child) {
  const fs::path relative = fs::path(child).lexically_normal();
  if (relative.is_absolute() || (!relative.empty() && *relative.begin() == "..")) {
    throw Error(Kind::kBadInput, "path " + quote(child) + " leaves the directory", folder);
  }
  std::error_code status;
  const fs::path root = fs::weakly_canonical(folder, status);
  const fs::path full = fs::weakly_canonical(root / relative, status);
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), full.begin(), full.end());
  if (end != root.end()) {
    throw Error(Kind::kBadInput, "path " + quote(child) + " leaves the directory through a link",
                folder);
  }
  return (fs::path(folder) / relative).string();
}

}  // namespace kindling
