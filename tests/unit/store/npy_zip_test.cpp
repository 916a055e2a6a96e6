#include <gtest/gtest.h>

#include "store/npy.h"
#include "store/zip.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

TEST(NpyHeader, IsWhatNumpyWrites) {
  const std::string header = npy_header(DType::kF32, {3, 4});
  EXPECT_EQ(header.size(), 128U);
  EXPECT_EQ(header.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(header.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
  EXPECT_EQ(header.back(), '\n');
  EXPECT_NE(npy_header(DType::kU8, {7}).find("'|u1', 'fortran_order': False, 'shape': (7,), }"), std::string::npos);
  EXPECT_NE(npy_header(DType::kI64, {0}).find("'<i8'"), std::string::npos);
  EXPECT_NE(npy_header(DType::kF16, {1, 2}).find("'<f2'"), std::string::npos);
}

TEST(Crc32, KnownValuesInAnyPieces) {
  const std::string digits = "123456789";
  EXPECT_EQ(crc32(0, std::as_bytes(std::span(digits))), 0xCBF43926U);  // the check value of ISO 3309
  const std::string text(1000, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  for (const std::size_t cut : {1U, 7U, 8U, 500U, 999U}) {
    EXPECT_EQ(crc32(crc32(0, bytes.first(cut)), bytes.subspan(cut)), crc32(0, bytes));
  }
}

TEST(Zip, HasADirectoryThatFindsItsEntries) {
  const test::TempFolder temp;
  const std::string content = "some content";
  {
    auto file = File::create(temp.file("a.zip"));
    ASSERT_TRUE(file.ok());
    ZipWriter zip(*file);
    for (const char* name : {"one.npy", "two.npy"}) {
      ASSERT_TRUE(zip.begin(name).ok());
      ASSERT_TRUE(zip.write(std::as_bytes(std::span(content))).ok());
      ASSERT_TRUE(zip.end().ok());
    }
    ASSERT_TRUE(zip.finish().ok());
  }
  const std::string bytes = test::read_bytes(temp.file("a.zip"));
  const auto u64 = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < 8; ++byte)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + byte])) << (8 * byte);
    return value;
  };
  const std::size_t end = bytes.size() - 22 - 20 - 56;
  ASSERT_EQ(bytes.substr(end, 4), "PK\6\6");
  EXPECT_EQ(u64(end + 32), 2U);
  std::size_t at = u64(end + 48);
  for (const char* name : {"one.npy", "two.npy"}) {
    ASSERT_EQ(bytes.substr(at, 4), "PK\1\2");
    EXPECT_EQ(bytes.substr(at + 46, 7), name);
    EXPECT_EQ(u64(at + 46 + 7 + 4), content.size());
    const std::size_t local = u64(at + 46 + 7 + 20);
    ASSERT_EQ(bytes.substr(local, 4), "PK\3\4");
    EXPECT_EQ(bytes.substr(local + 14, 4), bytes.substr(at + 16, 4));
    EXPECT_EQ(bytes.substr(local + 30 + 7 + 20, content.size()), content);
    at += 46 + 7 + 28;
  }
  EXPECT_EQ(at, end);
}

}  // namespace
}  // namespace layerscope
