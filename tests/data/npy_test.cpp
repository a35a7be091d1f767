#include "kindling/data/npy.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

template <class T, std::size_t N>
std::string bytes_of(const std::array<T, N>& values) {
  return {reinterpret_cast<const char*>(values.data()), sizeof(values)};
}

std::string npy(const std::string& header, const std::string& values, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  std::array<std::uint32_t, 1> length = {static_cast<std::uint32_t>(header.size())};
  bytes += bytes_of(length).substr(0, version == 1 ? 2 : 4);
  return bytes + header + values;
}

std::string header(const std::string& descr, const std::string& fortran, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

const std::string kSix = bytes_of(std::array<float, 6>{1, 2, 3, 4, 5, 6});

Matrix read(const std::string& bytes) {
  const TempDir dir;
  return read_npy(dir.write("x.npy", bytes));
}

Kind refusal(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "accepted";
  return Kind::kInternal;
}

TEST(Npy, ReadsRowsInBothOrders) {
  const Matrix rows = read(npy(header("<f4", "False", "(2, 3)"), kSix));
  const Matrix columns = read(npy(header("<f4", "True", "(2, 3)"), kSix));

  EXPECT_EQ(rows(0, 1), 2.0F);
  EXPECT_EQ(rows(1, 0), 4.0F);
  EXPECT_EQ(columns(0, 1), 3.0F);
  EXPECT_EQ(columns(1, 0), 2.0F);
}

TEST(Npy, ReadsDoubleHalfAndLaterVersions) {
  EXPECT_EQ(
      read(npy(header("<f8", "False", "(1, 2)"), bytes_of(std::array<double, 2>{1, -2})))(0, 1),
      -2.0F);
  EXPECT_EQ(read(npy(header("<f2", "False", "(1, 1)"),
                     bytes_of(std::array<std::uint16_t, 1>{0xC100})))(0, 0),
            -2.5F);
  EXPECT_EQ(read(npy(header("<f4", "False", "(3, 2)"), kSix, 2))(2, 1), 6.0F);
}

TEST(Npy, RefusesEveryPrefixOfAValidFile) {
  const std::string whole = npy(header("<f4", "False", "(2, 3)"), kSix);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(refusal(whole.substr(0, size)), Kind::kBadInput) << size;
  }
}

TEST(Npy, RefusesOtherTypesAndDimensions) {
  EXPECT_EQ(refusal(npy(header(">f4", "False", "(2, 3)"), kSix)), Kind::kUnsupported);
  EXPECT_EQ(refusal(npy(header("|O", "False", "(2, 3)"), kSix)), Kind::kUnsupported);
  EXPECT_EQ(refusal(npy(header("<f4", "False", "(6,)"), kSix)), Kind::kUnsupported);
}

TEST(Npy, RefusesSizesThatLie) {
  for (const char* shape : {"(2, 4)", "(1, 3)", "(4611686018427387905, 4)", "(0, 3)",
                            "(99999999999999999999, 1)", "(-2, 3)", "(2, x)"}) {
    EXPECT_EQ(refusal(npy(header("<f4", "False", shape), kSix)), Kind::kBadInput) << shape;
  }
}

TEST(Npy, RefusesHeadersOfAnotherForm) {
  for (const char* text :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': [('a', '<f4')], 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", "{'other': 1}"}) {
    EXPECT_EQ(refusal(npy(text, kSix)), Kind::kBadInput) << text;
  }
}

}  // namespace
}  // namespace kindling
