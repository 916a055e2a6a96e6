#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, MapsContent) {
  const test::TempFolder folder;
  auto file = MappedFile::open(folder.write("a", "content"), ErrorCode::kModel);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(text_of(*file), "content");
  EXPECT_EQ(file->path(), folder.file("a"));
  MappedFile moved = std::move(*file);
  EXPECT_EQ(text_of(moved), "content");
  moved = MappedFile::open(folder.write("b", "other"), ErrorCode::kModel).value();
  EXPECT_EQ(text_of(moved), "other");
}

TEST(MappedFile, AnEmptyFileIsAnEmptySpan) {
  const test::TempFolder folder;
  const auto file = MappedFile::open(folder.write("empty", ""), ErrorCode::kModel);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const test::TempFolder folder;
  const std::string fifo = folder.file("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string socket_path = folder.file("socket");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(socket_path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);

  const std::pair<std::string, const char*> cases[] = {
      {fifo, "is a named pipe, expected a regular file"},
      {folder.path().string(), "is a folder"},
      {"/dev/zero", "is a device"},
      {"/dev/null", "is a device"},
      {socket_path, "cannot be opened"},
      {folder.file("absent"), "cannot be opened (No such file"},
      {folder.write("x", "") + "/y", "cannot be opened (Not a directory)"},
      {std::string(5000, 'n'), "cannot be opened (File name too long)"},
      {std::string("a\0b", 3), "cannot be opened"}};
  for (const auto& [path, expected] : cases) {
    const auto file = MappedFile::open(path, ErrorCode::kDamage);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().code, ErrorCode::kDamage);
    EXPECT_THAT(file.error().message, HasSubstr(expected));
    EXPECT_EQ(hash_file(path, ErrorCode::kDamage).ok(), false);
  }
  ::close(socket);
}

TEST(MappedFile, AMessageStaysOneLine) {
  const auto file = MappedFile::open("/absent\nsecond\x1b[31m line", ErrorCode::kModel);
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().message, StartsWith("/absent\\x0asecond\\x1b[31m line: cannot be opened"));
}

TEST(MappedFile, DescriptorsAreClosed) {
  const test::TempFolder folder;
  const std::string path = folder.write("a", "content");
  const auto next_descriptor = [] {
    const int descriptor = ::dup(0);
    ::close(descriptor);
    return descriptor;
  };
  const int before = next_descriptor();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(MappedFile::open(path, ErrorCode::kModel).ok());
    ASSERT_TRUE(read_file(path, ErrorCode::kModel, 100).ok());
    ASSERT_FALSE(MappedFile::open(folder.path().string(), ErrorCode::kModel).ok());
  }
  EXPECT_EQ(next_descriptor(), before);
}

TEST(ReadFile, HonoursItsLimit) {
  const test::TempFolder folder;
  const std::string path = folder.write("a", std::string("with\0zero", 9));
  EXPECT_EQ(*read_file(path, ErrorCode::kModel, 9), std::string("with\0zero", 9));
  const auto refused = read_file(path, ErrorCode::kModel, 8);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, path + ": has 9 bytes, at most 8 are read");
}

TEST(Hash, MatchesThePublishedValues) {
  // xxHash's own sanity check, XXH3_128bits of no bytes with seed 0.
  EXPECT_EQ(Hasher().hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash64({}), 0x2d06800538d394c2U);
}

TEST(Hash, PiecesAndFilesAgree) {
  const test::TempFolder folder;
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += std::to_string(i);
  Hasher whole;
  whole.update(content);
  Hasher pieces;
  for (std::size_t at = 0; at < content.size(); at += 977) pieces.update(std::string_view(content).substr(at, 977));
  EXPECT_EQ(whole.hex(), pieces.hex());
  EXPECT_EQ(*hash_file(folder.write("f", content), ErrorCode::kRuntime), whole.hex());
  const std::string before = whole.hex();
  whole.update("x");
  EXPECT_NE(whole.hex(), before) << "hex() does not end the running hash";
  Hasher moved = std::move(pieces);
  EXPECT_EQ(moved.hex(), before);
  EXPECT_EQ(before.size(), 32U);
}

}  // namespace
}  // namespace layerscope
