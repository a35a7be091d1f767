#include "kindling/data/safetensors.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/half.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

std::string file_bytes(const std::string& header, const std::string& values) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + values;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

// The message of the refusal; fails the test when the file is accepted.
std::string refusal(const std::string& bytes) {
  const TempDir dir;
  const std::string path = dir.write("x.safetensors", bytes);
  try {
    const SafetensorsFile file(path);
    ADD_FAILURE() << "accepted " << bytes.substr(8);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput) << error.what();
    return error.what();
  }
  return {};
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TempDir dir;
  Matrix matrix(2, 3);
  for (std::size_t i = 0; i < 6; ++i) matrix.data()[i] = static_cast<float>(i);
  const std::vector<float> bias = {0.5F, -1.0F};

  write_safetensors(dir.file("m.safetensors"), {tensor_view("w", matrix), tensor_view("b", bias)},
                    {{"encoder", "lsa"}});
  const SafetensorsFile file(dir.file("m.safetensors"));

  EXPECT_EQ(file.metadata().at("encoder"), "lsa");
  EXPECT_EQ(file.matrix("w")(1, 2), 5.0F);
  EXPECT_EQ(file.floats(file.at("b")), bias);
  EXPECT_EQ(file.find("missing"), nullptr);
}

TEST(Safetensors, WidensHalfBfloatAndDoubleNumbers) {
  const TempDir dir;
  const std::array<std::uint16_t, 2> half = {0x3C00, 0xC100};   // 1, -2.5
  const std::array<std::uint16_t, 2> brain = {0x3F80, 0xC020};  // 1, -2.5
  const std::array<double, 2> wide = {1, -2.5};
  write_safetensors(dir.file("m.safetensors"),
                    {{"half", DType::kF16, {2}, std::as_bytes(std::span(half))},
                     {"brain", DType::kBF16, {2}, std::as_bytes(std::span(brain))},
                     {"wide", DType::kF64, {2}, std::as_bytes(std::span(wide))}});
  const SafetensorsFile file(dir.file("m.safetensors"));

  for (const char* name : {"half", "brain", "wide"}) {
    EXPECT_EQ(file.floats(file.at(name)), (std::vector<float>{1.0F, -2.5F})) << name;
  }
}

TEST(Half, CoversSubnormalsAndInfinity) {
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0F, -24));
  EXPECT_EQ(half_to_float(0x8000), 0.0F);
  EXPECT_EQ(half_to_float(0x7BFF), 65504.0F);
  EXPECT_TRUE(std::isinf(half_to_float(0xFC00)));
  EXPECT_TRUE(std::isnan(half_to_float(0x7E00)));
}

TEST(Half, EveryOneComesBackFromAFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value)))) << bits;
    } else {
      ASSERT_EQ(float_to_half(value), half) << bits;
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  const float step = std::ldexp(1.0F, -10);  // of halves above 1
  EXPECT_EQ(float_to_half(1.0F + 0.49F * step), 0x3C00);
  EXPECT_EQ(float_to_half(1.0F + 0.5F * step), 0x3C00);
  EXPECT_EQ(float_to_half(1.0F + 0.51F * step), 0x3C01);
  EXPECT_EQ(float_to_half(1.0F + 1.5F * step), 0x3C02);
  EXPECT_EQ(float_to_half(-1.0F - 1.5F * step), 0xBC02);
  EXPECT_EQ(float_to_half(2.0F - 0.25F * step), 0x4000);  // the fraction runs over
  EXPECT_EQ(float_to_half(std::ldexp(1.0F, -25)), 0x0000);
  EXPECT_EQ(float_to_half(std::ldexp(3.0F, -25)), 0x0002);
  EXPECT_EQ(float_to_half(std::ldexp(1.0F, -14) * 0.99999F), 0x0400);
  EXPECT_EQ(float_to_half(65519.0F), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_half(1e30F), 0x7C00);
}

TEST(Safetensors, NamesTheTensorThatHoldsNaN) {
  const TempDir dir;
  const std::vector<float> values = {1.0F, std::numeric_limits<float>::quiet_NaN()};
  write_safetensors(dir.file("m.safetensors"), {tensor_view("weights", values)});
  const SafetensorsFile file(dir.file("m.safetensors"));
  try {
    file.floats(file.at("weights"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("weights"), std::string::npos);
  }
}

TEST(Safetensors, RefusesIntegersWhereNumbersAreWanted) {
  const TempDir dir;
  const std::array<std::int64_t, 1> ids = {7};
  write_safetensors(dir.file("m.safetensors"),
                    {{"ids", DType::kI64, {1}, std::as_bytes(std::span(ids))}});
  const SafetensorsFile file(dir.file("m.safetensors"));
  EXPECT_THROW(file.floats(file.at("ids")), Error);
}

TEST(Safetensors, RefusesEveryPrefixOfAValidFile) {
  const std::string whole = file_bytes("{" + entry("a", "F32", "[2]", "[0,8]") + "}", "01234567");
  for (std::size_t size = 0; size < whole.size(); ++size) refusal(whole.substr(0, size));
}

TEST(Safetensors, RefusesAShapeWhoseProductWrapsAround) {
  // The product is 4 modulo 2^64: the shape that broke safetensors-cpp.
  const std::string message = refusal(file_bytes(
      "{" + entry("a", "U8", "[4194305,4194305,211106198978564]", "[0,4]") + "}", "0123"));
  EXPECT_NE(message.find("too large"), std::string::npos) << message;
}

TEST(Safetensors, RefusesOffsetsThatAreNotTheShape) {
  refusal(file_bytes("{" + entry("a", "F32", "[2]", "[0,4]") + "}", "0123"));
  refusal(file_bytes("{" + entry("a", "F32", "[2]", "[8,0]") + "}", "01234567"));
}

TEST(Safetensors, RefusesOffsetsBehindTheEnd) {
  refusal(file_bytes("{" + entry("a", "F32", "[2]", "[0,8]") + "}", "0123"));
  refusal(file_bytes("{" + entry("a", "U8", "[0]", "[99,99]") + "}", ""));
}

TEST(Safetensors, RefusesOverlapGapAndTrailingBytes) {
  const std::string a = entry("a", "U8", "[4]", "[0,4]");
  EXPECT_NE(refusal(file_bytes("{" + a + "," + entry("b", "U8", "[4]", "[2,6]") + "}", "012345"))
                .find("overlap"),
            std::string::npos);
  EXPECT_NE(refusal(file_bytes("{" + a + "," + entry("b", "U8", "[2]", "[6,8]") + "}", "01234567"))
                .find("gap"),
            std::string::npos);
  refusal(file_bytes("{" + a + "}", "01234567"));
}

TEST(Safetensors, RefusesDuplicateNamesAndKeys) {
  const std::string a = entry("a", "U8", "[1]", "[0,1]");
  refusal(file_bytes("{" + a + "," + a + "}", "0"));
  refusal(file_bytes(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "0"));
}

TEST(Safetensors, RefusesHeadersOfAnotherForm) {
  for (const char* header :
       {"[]", " {}", "{", "{}x", R"({"a":1})", R"({"a":{}})", R"({"a":{"dtype":"U8","shape":[1]}})",
        R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})",
        R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":[]}})",
        R"({"__metadata__":{"a":1}})", R"({"__metadata__":{"a":{"b":"c"}}})"}) {
    refusal(file_bytes(header, ""));
  }
}

TEST(Safetensors, RefusesAHeaderLengthBeyondTheFileOrTheLimit) {
  std::string bytes = file_bytes("{}", "");
  bytes[0] = 3;
  refusal(bytes);
  refusal(std::string(8, '\xFF') + "{}");
  refusal(std::string("\x00\xE1\xF5\x05\x00\x00\x00\x01{}", 10));
}

TEST(Safetensors, AllowsTensorsWithoutValues) {
  const TempDir dir;
  const std::string path =
      dir.write("x.safetensors", file_bytes("{" + entry("a", "F32", "[0,3]", "[0,0]") + "," +
                                                entry("b", "U8", "[1]", "[0,1]") + "}",
                                            "0"));
  EXPECT_EQ(SafetensorsFile(path).at("a").elements, 0U);
}

}  // namespace
}  // namespace kindling
