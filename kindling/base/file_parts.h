// What files and directories are written with; for this floor's file.cpp and directory.cpp only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kindling::file_parts {

// "cannot ACTION: reason" of an errno. Error: kNotFound or kBadInput when the path is at fault,
// kIo when the disk is.
[[noreturn]] void fail_code(int code, const std::string& path, std::string_view action,
                            std::string hint = {});
// Makes a rename in `folder` last.
void sync_folder(const std::filesystem::path& folder);
// Where `path` is written before it is renamed.
std::string temporary_name(const std::filesystem::path& path);

}  // namespace kindling::file_parts
