// The one error type. It says what went wrong, where, what was found, and what to do about it.
//
//   throw Error(Kind::kBadInput, "expected 3 columns, found 2", at_line("ratings.csv", 17),
//               "pass --separator ';' if the file is semicolon separated");
//
// what() is "ratings.csv:17: expected 3 columns, found 2\n  hint: pass …".
// Caught in exactly three places: the program's main (exit code), the HTTP layer, the Python
// module.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kindling {

enum class Kind {
  kBadInput,     // a file or value of the user's is wrong
  kBadOption,    // an option is unknown or out of range
  kNotFound,     // a file, model, id does not exist
  kUnsupported,  // valid, but this part cannot do it
  kDiverged,     // training left the finite numbers; other step sizes may do
  kCorrupt,      // a file of ours is damaged
  kIo,           // the operating system said no
  kInternal,     // our own mistake
};

// "kBadInput" -> "bad input": the words users see in logs and JSON.
std::string_view kind_name(Kind kind);

// 2 for what the user can mend (option, file, data), 1 for anything else.
int exit_code(Kind kind);

class Error : public std::runtime_error {
 public:
  Error(Kind kind, std::string message, std::string place = {}, std::string hint = {});

  Kind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& place() const { return place_; }
  const std::string& hint() const { return hint_; }

 private:
  Kind kind_;
  std::string message_;
  std::string place_;
  std::string hint_;
};

// "path:line" with a 1-based line.
std::string at_line(std::string_view path, std::int64_t line);

// Throws Error{kInternal} when `truth` is false: for our own mistakes, never for user input.
void check(bool truth, std::string_view message);

// Cuts a value for a message: at most `limit` bytes, control bytes escaped, quoted.
std::string quote(std::string_view value, std::size_t limit = 60);

}  // namespace kindling
