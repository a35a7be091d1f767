#include "kindling/base/file.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kindling/base/error.h"
#include "tests/support/error_kind.h"
#include "tests/support/gzip.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::ElementsAre;
using testing::gzip;
using ::testing::HasSubstr;
using testing::kind_of;
using testing::TempDir;

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  for (LineReader reader(path); reader.next();) lines.emplace_back(reader.line());
  return lines;
}

TEST(LineReader, EndsLinesAtLfAndCrlfAndDropsTheByteOrderMark) {
  const TempDir dir;

  EXPECT_THAT(lines_of(dir.write("a", "\xEF\xBB\xBFx\r\ny\n\nz")), ElementsAre("x", "y", "", "z"));
  EXPECT_THAT(lines_of(dir.write("b", "")), ElementsAre());
  EXPECT_THAT(lines_of(dir.write("c", "\n")), ElementsAre(""));
}

TEST(LineReader, ReadsGzipWhateverTheNameAndSeveralMembers) {
  const TempDir dir;

  EXPECT_THAT(lines_of(dir.write("a.txt", gzip("x\ny\n") + gzip("z"))), ElementsAre("x", "y", "z"));
}

TEST(LineReader, RefusesEveryTruncatedGzip) {
  const TempDir dir;
  const std::string whole = gzip("some text that is long enough\nto have a body\n");
  for (std::size_t length = 2; length < whole.size(); ++length) {
    const auto path = dir.write("cut", whole.substr(0, length));
    EXPECT_EQ(kind_of([&] { lines_of(path); }), Kind::kBadInput) << length;
  }
}

TEST(LineReader, RefusesALineOverTheLimitAndNamesIt) {
  const TempDir dir;
  const auto path = dir.write("a", "short\n" + std::string(5000, 'x'));
  try {
    LineReader reader(path, 1000);
    while (reader.next()) {
    }
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.place(), HasSubstr("a:2"));
  }
}

TEST(LineReader, JoinsALineThatIsLongerThanItsBuffer) {
  const TempDir dir;
  const std::string huge(std::size_t{3} << 20U, 'x');

  EXPECT_THAT(lines_of(dir.write("a", huge + "\ny")), ElementsAre(huge, "y"));
}

TEST(Files, SayWhatIsMissingOrADirectory) {
  const TempDir dir;

  EXPECT_EQ(kind_of([&] { read_file(dir.file("none")); }), Kind::kNotFound);
  EXPECT_EQ(kind_of([&] { read_file(dir.path()); }), Kind::kBadInput);
  EXPECT_EQ(kind_of([&] { LineReader reader(dir.file("none")); }), Kind::kNotFound);
  EXPECT_EQ(kind_of([&] { read_file(dir.write("big", "12345"), 4); }), Kind::kBadInput);
}

TEST(MappedFile, ShowsTheBytesAndNothingOfAnEmptyFile) {
  const TempDir dir;
  const MappedFile file(dir.write("a", "abc"));
  const MappedFile empty(dir.write("b", ""));

  EXPECT_EQ(file.bytes().size(), 3U);
  EXPECT_EQ(file.bytes()[1], std::byte{'b'});
  EXPECT_TRUE(empty.bytes().empty());
}

TEST(WriteFile, KeepsTheOldFileWhenTheWriterFails) {
  const TempDir dir;
  const auto path = dir.write("a", "old");

  EXPECT_THROW(write_file(path,
                          [](const Sink& sink) {
                            sink("half");
                            throw Error(Kind::kBadInput, "no");
                          }),
               Error);

  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(WriteFile, KeepsLinksAndDevices) {
  const TempDir dir;
  const auto path = dir.write("a", "old");
  std::filesystem::create_symlink(path, dir.file("link"));
  std::filesystem::create_symlink("/dev/null", dir.file("null"));

  write_file(dir.file("link"), "new");
  write_file(dir.file("null"), "nothing");

  EXPECT_TRUE(std::filesystem::is_symlink(dir.file("link")));
  EXPECT_EQ(read_file(path), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir.file("null")));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

// A process that rewrites a file is killed at many moments; the file is always one of the two.
TEST(WriteFile, LeavesTheOldOrTheNewFileWhenKilled) {
  const TempDir dir;
  const std::string old_text(200000, 'o');
  const std::string new_text(200000, 'n');
  const auto path = dir.write("a", old_text);
  for (int delay_us = 0; delay_us < 6000; delay_us += 600) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int round = 0; round < 1000; ++round) {
        write_file(path, new_text);
        write_file(path, old_text);
      }
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string found = read_file(path);
    EXPECT_TRUE(found == old_text || found == new_text) << delay_us;
  }
}

TEST(WriteDirectory, ReplacesOnlyOursAndOnlyWhenAsked) {
  const TempDir dir;
  const auto fill = [](const char* text) {
    return [text](const std::filesystem::path& folder) {
      write_file((folder / "marker").string(), text);
    };
  };
  const std::string target = dir.file("x/y");
  write_directory(target, false, "marker", fill("one"));

  EXPECT_EQ(kind_of([&] { write_directory(target, false, "marker", fill("two")); }),
            Kind::kBadInput);
  EXPECT_EQ(read_file(target + "/marker"), "one");
  write_directory(target, true, "marker", fill("two"));
  EXPECT_EQ(read_file(target + "/marker"), "two");

  dir.write("foreign/file", "mine");
  EXPECT_EQ(kind_of([&] { write_directory(dir.file("foreign"), true, "marker", fill("x")); }),
            Kind::kBadInput);
}

TEST(WriteDirectory, LeavesNothingWhenTheBuilderFails) {
  const TempDir dir;

  EXPECT_THROW(write_directory(dir.file("x"), false, "marker",
                               [](const std::filesystem::path&) { throw Error(Kind::kIo, "no"); }),
               Error);

  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(CheckReplaceable, RefusesBeforeTheWorkWhatWritingWouldRefuse) {
  const TempDir dir;
  dir.write("file", "mine");
  dir.write("foreign/file", "mine");

  EXPECT_NO_THROW(check_replaceable(dir.file("new/model"), false, "marker"));
  EXPECT_FALSE(std::filesystem::exists(dir.file("new")));
  EXPECT_EQ(kind_of([&] { check_replaceable(dir.file("file"), true, "marker"); }), Kind::kBadInput);
  EXPECT_EQ(kind_of([&] { check_replaceable(dir.file("file/model"), true, "marker"); }),
            Kind::kNotFound);
  EXPECT_EQ(kind_of([&] { check_replaceable(dir.file("foreign"), true, "marker"); }),
            Kind::kBadInput);
}

TEST(MakeDirectories, AFileInTheWayIsTheUsersToMend) {
  const TempDir dir;
  dir.write("file", "mine");

  make_directories(dir.file("a/b"));
  EXPECT_TRUE(std::filesystem::is_directory(dir.file("a/b")));
  EXPECT_EQ(exit_code(kind_of([&] { make_directories(dir.file("file/b")); })), 2);
  EXPECT_EQ(exit_code(kind_of([] { make_directories("/proc/no"); })), 2);
}

TEST(PathInside, RefusesToLeaveTheFolder) {
  const TempDir dir;
  std::filesystem::create_symlink("/", dir.file("link"));

  EXPECT_EQ(path_inside(dir.path(), "a/b"), dir.file("a/b"));
  EXPECT_EQ(kind_of([&] { path_inside(dir.path(), "../x"); }), Kind::kBadInput);
  EXPECT_EQ(kind_of([&] { path_inside(dir.path(), "/etc/passwd"); }), Kind::kBadInput);
  EXPECT_EQ(kind_of([&] { path_inside(dir.path(), "link/etc"); }), Kind::kBadInput);
}

}  // namespace
}  // namespace kindling
