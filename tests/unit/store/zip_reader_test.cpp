// Zip archives: what NumPy and our own writer make of them, and what a stranger may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <zlib.h>

#include "store/zip.h"
#include "store/zip_reader.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  return out;
}

std::string deflated(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

struct Member {
  std::string name, content;
  bool packed = false;
  // What the directory says, where that is not the truth.
  std::optional<std::uint64_t> size, compressed, begin;
  std::optional<std::uint32_t> crc;
  std::uint16_t flags = 0;
  std::optional<std::uint16_t> method;
};

std::string archive(const std::vector<Member>& members, std::optional<std::uint16_t> count = {}) {
  std::string out, directory;
  for (const Member& member : members) {
    const std::string data = member.packed ? deflated(member.content) : member.content;
    const std::uint32_t crc = member.crc.value_or(crc32(0, std::as_bytes(std::span(member.content))));
    const std::string common = little(member.flags, 2) + little(member.method.value_or(member.packed ? 8 : 0), 2) +
                               little(0, 4) + little(crc, 4) + little(member.compressed.value_or(data.size()), 4) +
                               little(member.size.value_or(member.content.size()), 4) + little(member.name.size(), 2);
    directory += little(0x02014b50, 4) + little(20, 2) + little(20, 2) + common + little(0, 2 + 2 + 2 + 2 + 4) +
                 little(member.begin.value_or(out.size()), 4) + member.name;
    out += little(0x04034b50, 4) + little(20, 2) + common + little(0, 2) + member.name + data;
  }
  const std::uint16_t entries = count.value_or(static_cast<std::uint16_t>(members.size()));
  return out + directory + little(0x06054b50, 4) + little(0, 4) + little(entries, 2) + little(entries, 2) +
         little(directory.size(), 4) + little(out.size(), 4) + little(0, 2);
}

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// Why an archive, or its first entry, is refused; "read" if it is not.
std::string refusal(const std::string& content) {
  const auto entries = read_zip_directory(bytes(content), "x.npz");
  if (!entries) {
    EXPECT_EQ(entries.error().code, ErrorCode::kRuntime);
    EXPECT_TRUE(entries.error().message.starts_with("x.npz: "));
    return entries.error().message;
  }
  for (const ZipEntry& entry : *entries) {
    const auto data = read_zip_entry(bytes(content), entry, "x.npz");
    if (!data) return data.error().message;
  }
  return "read";
}

TEST(ZipReader, ReadsStoredAndDeflatedEntries) {
  const std::string text(5000, 'a');
  const std::string content = archive({{"plain.npy", "abc"}, {"packed.npy", text, true}, {"empty.npy", ""}});
  const auto entries = read_zip_directory(bytes(content), "x.npz");
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 3U);
  for (const auto& [at, expected] :
       {std::pair(0, std::string("abc")), std::pair(1, text), std::pair(2, std::string())}) {
    const auto data = read_zip_entry(bytes(content), (*entries)[static_cast<std::size_t>(at)], "x.npz");
    ASSERT_TRUE(data) << data.error().message;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data->data()), data->size()), expected);
  }
  EXPECT_TRUE((*entries)[1].deflated);
  EXPECT_LT((*entries)[1].compressed, 100U);
}

TEST(ZipReader, EveryCutIsSeen) {
  const std::string content = archive({{"plain.npy", "abc"}, {"packed.npy", std::string(300, 'b'), true}});
  for (std::size_t size = 0; size < content.size(); ++size) EXPECT_NE(refusal(content.substr(0, size)), "read") << size;
  EXPECT_EQ(refusal(content), "read");
}

TEST(ZipReader, RefusesWhatLies) {
  const std::string zeros(100'000, '\0');
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .size = 4}})), HasSubstr("claims 4 bytes from 3"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = zeros, .packed = true, .size = 4'000'000'000}})),
              HasSubstr("claims 4000000000"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = zeros, .packed = true, .size = 50'000}})),
              HasSubstr("damaged"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = zeros, .packed = true, .size = 100'001}})),
              HasSubstr("damaged"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .crc = 1}})), HasSubstr("damaged"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .compressed = 5000}})), HasSubstr("beyond the file"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .begin = 7}})), HasSubstr("no local header"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .begin = 0xfffffff0U}})), HasSubstr("no local header"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .flags = 1}})), HasSubstr("encrypted"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc", .method = std::uint16_t{12}}})), HasSubstr("method 12"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc"}, {.name = "a", .content = "abd"}})), HasSubstr("twice"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc"}, {.name = "b", .content = "abc", .begin = 0}})),
              HasSubstr("overlap"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc"}}, 900)), HasSubstr("no room"));
  EXPECT_THAT(refusal(archive({{.name = "a", .content = "abc"}}, 2)), HasSubstr("no room"));
  EXPECT_THAT(refusal("no archive at all, but long enough to be one"), HasSubstr("is no zip archive"));
}

TEST(ZipReader, AnyChangedByteIsReadOrRefused) {
  const std::string content = archive({{"plain.npy", "abc"}, {"packed.npy", std::string(300, 'b'), true}});
  for (std::size_t at = 0; at < content.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string changed = content;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      refusal(changed);
    }
  }
}

}  // namespace
}  // namespace layerscope
