#include "store/zip.h"

#include <array>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::uint16_t kVersion = 45;     // the first that knows ZIP64
constexpr std::uint16_t kFirstDay = 0x21;  // 1980-01-01: no date is recorded
constexpr std::uint32_t kInZip64 = 0xFFFFFFFF;

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t table = 1; table < 8; ++table) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[table - 1][byte];
      tables[table][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}
constexpr auto kTables = make_tables();

/// Little-endian numbers, one after another.
class Record {
 public:
  Record& u16(std::uint16_t value) { return number(value, 2); }
  Record& u32(std::uint32_t value) { return number(value, 4); }
  Record& u64(std::uint64_t value) { return number(value, 8); }
  Record& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  Record& number(std::uint64_t value, int size) {
    for (int byte = 0; byte < size; ++byte) bytes_ += static_cast<char>(value >> (8 * byte) & 0xFF);
    return *this;
  }
  std::string bytes_;
};

Record local_header(const std::string& name, std::uint64_t size, std::uint32_t crc) {
  Record record;
  record.u32(0x04034B50).u16(kVersion).u16(0).u16(0).u16(0).u16(kFirstDay).u32(crc).u32(kInZip64).u32(kInZip64);
  record.u16(static_cast<std::uint16_t>(name.size())).u16(20).text(name);
  record.u16(1).u16(16).u64(size).u64(size);
  return record;
}

}  // namespace

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  crc = ~crc;
  std::size_t at = 0;
  const auto byte = [&](std::size_t index) { return std::to_integer<std::uint32_t>(bytes[at + index]); };
  for (; at + 8 <= bytes.size(); at += 8) {
    crc ^= byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    crc = kTables[7][crc & 0xFF] ^ kTables[6][crc >> 8 & 0xFF] ^ kTables[5][crc >> 16 & 0xFF] ^ kTables[4][crc >> 24] ^
          kTables[3][byte(4)] ^ kTables[2][byte(5)] ^ kTables[1][byte(6)] ^ kTables[0][byte(7)];
  }
  for (; at < bytes.size(); ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ byte(0)) & 0xFF];
  return ~crc;
}

Status ZipWriter::begin(const std::string& name) {
  entries_.push_back({.name = name, .offset = at_});
  const Record header = local_header(name, 0, 0);
  LAYERSCOPE_TRY(file_.write_at(at_, header.bytes()));
  at_ += header.bytes().size();
  return {};
}

Status ZipWriter::write(std::span<const std::byte> bytes) {
  Entry& entry = entries_.back();
  entry.crc = crc32(entry.crc, bytes);
  LAYERSCOPE_TRY(file_.write_at(at_, bytes));
  entry.size += bytes.size();
  at_ += bytes.size();
  return {};
}

Status ZipWriter::end() {
  const Entry& entry = entries_.back();
  return file_.write_at(entry.offset, local_header(entry.name, entry.size, entry.crc).bytes());
}

Status ZipWriter::finish() {
  const std::uint64_t directory = at_;
  for (const Entry& entry : entries_) {
    Record record;
    record.u32(0x02014B50)
        .u16(kVersion)
        .u16(kVersion)
        .u16(0)
        .u16(0)
        .u16(0)
        .u16(kFirstDay)
        .u32(entry.crc)
        .u32(kInZip64)
        .u32(kInZip64);
    record.u16(static_cast<std::uint16_t>(entry.name.size()))
        .u16(28)
        .u16(0)
        .u16(0)
        .u16(0)
        .u32(0)
        .u32(kInZip64)
        .text(entry.name);
    record.u16(1).u16(24).u64(entry.size).u64(entry.size).u64(entry.offset);
    LAYERSCOPE_TRY(file_.write_at(at_, record.bytes()));
    at_ += record.bytes().size();
  }
  const std::uint64_t end = at_;
  Record record;
  record.u32(0x06064B50).u64(44).u16(kVersion).u16(kVersion).u32(0).u32(0);
  record.u64(entries_.size()).u64(entries_.size()).u64(end - directory).u64(directory);
  record.u32(0x07064B50).u32(0).u64(end).u32(1);
  record.u32(0x06054B50).u16(0).u16(0).u16(0xFFFF).u16(0xFFFF).u32(kInZip64).u32(kInZip64).u16(0);
  return file_.write_at(at_, record.bytes());
}

}  // namespace layerscope
