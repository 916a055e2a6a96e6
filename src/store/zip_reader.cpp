#include "store/zip_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <optional>

#include <zlib.h>

#include "base/try.h"
#include "base/utf8.h"
#include "store/zip.h"

namespace layerscope {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr std::size_t kMaxComment = 65535;
constexpr std::uint64_t kMaxEntries = 200'000;
constexpr std::uint64_t kMostInflation = 1032;  // of deflate (zlib's technical notes); an honest entry stays below
constexpr std::uint16_t kStored = 0, kDeflated = 8, kEncrypted = 1, kZip64Field = 1;

/// Little-endian fields; whoever asks has checked that they are there.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> all) : all_(all) {}
  [[nodiscard]] std::uint64_t size() const { return all_.size(); }
  [[nodiscard]] bool holds(std::uint64_t at, std::uint64_t count) const {
    return at <= all_.size() && count <= all_.size() - at;
  }
  [[nodiscard]] std::uint64_t number(std::uint64_t at, int bytes) const {
    std::uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(all_[at + static_cast<unsigned>(i)]);
    return value;
  }
  [[nodiscard]] std::uint16_t u16(std::uint64_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
  [[nodiscard]] std::uint32_t u32(std::uint64_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
  [[nodiscard]] std::string text(std::uint64_t at, std::uint64_t count) const {
    return {reinterpret_cast<const char*>(all_.data()) + at, count};
  }

 private:
  std::span<const std::byte> all_;
};

struct Directory {
  std::uint64_t begin = 0, bytes = 0, entries = 0;
};

class Reader {
 public:
  Reader(std::span<const std::byte> archive, const std::string& name) : bytes_(archive), name_(name) {}

  Result<std::vector<ZipEntry>> run() {
    LAYERSCOPE_ASSIGN(const Directory directory, find_directory());
    std::vector<ZipEntry> entries;
    std::uint64_t at = directory.begin;
    for (std::uint64_t i = 0; i < directory.entries; ++i) {
      LAYERSCOPE_ASSIGN(ZipEntry entry, central_entry(at));
      entries.push_back(std::move(entry));
    }
    LAYERSCOPE_TRY(check_together(entries));
    return entries;
  }

 private:
  Error bad(const std::string& what) const { return Error{ErrorCode::kRuntime, name_ + ": " + what}; }

  Result<Directory> find_directory() const {
    if (bytes_.size() < kEndBytes) return bad("is no zip archive (it has " + std::to_string(bytes_.size()) + " bytes)");
    const std::uint64_t last = bytes_.size() - kEndBytes;
    const std::uint64_t least = last > kMaxComment ? last - kMaxComment : 0;
    std::uint64_t end = last;
    while (bytes_.u32(end) != kEnd) {
      if (end == least) return bad("is no zip archive, or is cut off (it has no end record)");
      --end;
    }
    Directory directory{.begin = bytes_.u32(end + 16), .bytes = bytes_.u32(end + 12), .entries = bytes_.u16(end + 10)};
    const bool beyond =
        directory.begin == 0xffffffffU || directory.bytes == 0xffffffffU || directory.entries == 0xffffU;
    if (beyond && end >= kLocatorBytes && bytes_.u32(end - kLocatorBytes) == kLocator64) {
      const std::uint64_t at = bytes_.number(end - kLocatorBytes + 8, 8);
      if (!bytes_.holds(at, kEnd64Bytes) || bytes_.u32(at) != kEnd64) return bad("its ZIP64 end record is missing");
      directory = {bytes_.number(at + 48, 8), bytes_.number(at + 40, 8), bytes_.number(at + 32, 8)};
    }
    if (!bytes_.holds(directory.begin, directory.bytes) || directory.begin + directory.bytes > end)
      return bad("its directory of " + std::to_string(directory.bytes) + " bytes does not lie in the file");
    if (directory.entries > kMaxEntries || directory.entries * kCentralBytes > directory.bytes)
      return bad("its directory has no room for " + std::to_string(directory.entries) + " entries");
    return directory;
  }

  Result<ZipEntry> central_entry(std::uint64_t& at) const {
    if (!bytes_.holds(at, kCentralBytes) || bytes_.u32(at) != kCentral) return bad("its directory is damaged");
    const std::uint64_t name_bytes = bytes_.u16(at + 28), extra = bytes_.u16(at + 30), comment = bytes_.u16(at + 32);
    if (!bytes_.holds(at + kCentralBytes, name_bytes + extra + comment)) return bad("its directory is cut off");
    ZipEntry entry{.name = bytes_.text(at + kCentralBytes, name_bytes),
                   .begin = bytes_.u32(at + 42),
                   .compressed = bytes_.u32(at + 20),
                   .size = bytes_.u32(at + 24),
                   .crc = bytes_.u32(at + 16)};
    const auto wrong = [&](const std::string& what) { return bad("entry \"" + printable(entry.name) + "\" " + what); };
    if ((bytes_.u16(at + 8) & kEncrypted) != 0) return wrong("is encrypted");
    const std::uint16_t method = bytes_.u16(at + 10);
    if (method != kStored && method != kDeflated)
      return wrong("is packed by method " + std::to_string(method) + ", expected 0 (stored) or 8 (deflated)");
    entry.deflated = method == kDeflated;
    if (!widen(at + kCentralBytes + name_bytes, extra, entry)) return wrong("has a damaged ZIP64 field");
    at += kCentralBytes + name_bytes + extra + comment;
    if (!bytes_.holds(entry.begin, kLocalBytes) || bytes_.u32(entry.begin) != kLocal)
      return wrong("has no local header where the directory says");
    const std::uint64_t local = std::uint64_t{bytes_.u16(entry.begin + 26)} + bytes_.u16(entry.begin + 28);
    entry.begin += kLocalBytes + local;
    if (!bytes_.holds(entry.begin, entry.compressed)) return wrong("reaches beyond the file");
    if (entry.deflated ? entry.size / kMostInflation > entry.compressed : entry.size != entry.compressed)
      return wrong("claims " + std::to_string(entry.size) + " bytes from " + std::to_string(entry.compressed));
    return entry;
  }

  /// Sizes and place that 32 bits do not hold stand in a field of their own, in this order, only those that are needed.
  bool widen(std::uint64_t at, std::uint64_t extra, ZipEntry& entry) const {
    const std::uint64_t end = at + extra;
    while (end - at >= 4) {
      const std::uint64_t bytes = bytes_.u16(at + 2);
      const bool zip64 = bytes_.u16(at) == kZip64Field;
      at += 4;
      if (bytes > end - at) return false;
      if (zip64) {
        std::uint64_t from = at;
        for (std::uint64_t* const value : {&entry.size, &entry.compressed, &entry.begin}) {
          if (*value != 0xffffffffU) continue;
          if (at + bytes - from < 8) return false;
          *value = bytes_.number(from, 8);
          from += 8;
        }
        return true;
      }
      at += bytes;
    }
    return true;
  }

  /// Entries on top of each other make a small file unpack to a large one.
  Status check_together(const std::vector<ZipEntry>& entries) const {
    std::vector<const ZipEntry*> order;
    for (const ZipEntry& entry : entries) order.push_back(&entry);
    std::ranges::sort(order, {}, &ZipEntry::name);
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i]->name == order[i - 1]->name)
        return bad("entry \"" + printable(order[i]->name) + "\" is there twice");
    }
    std::ranges::sort(order, {}, &ZipEntry::begin);
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->begin + order[i - 1]->compressed > order[i]->begin)
        return bad("entries \"" + printable(order[i - 1]->name) + "\" and \"" + printable(order[i]->name) +
                   "\" overlap");
    }
    return {};
  }

  Bytes bytes_;
  const std::string& name_;
};

// Raw deflate into exactly `out`; false where it holds more, less, or is damaged.
bool inflate_into(std::span<const std::byte> in, std::span<std::byte> out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
  std::byte one_more{};  // what does not fit has to show
  int state = Z_OK;
  while (state == Z_OK) {
    if (stream.avail_in == 0) {
      const std::size_t count = std::min(in.size(), kMost);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
      stream.avail_in = static_cast<uInt>(count);
      in = in.subspan(count);
    }
    std::span<std::byte> place = out.first(std::min(out.size(), kMost));
    const bool full = place.empty();
    if (full) place = {&one_more, 1};
    stream.next_out = reinterpret_cast<Bytef*>(place.data());
    stream.avail_out = static_cast<uInt>(place.size());
    state = inflate(&stream, Z_NO_FLUSH);
    const std::size_t made = place.size() - stream.avail_out;
    if (full && made > 0) state = Z_DATA_ERROR;
    if (!full) out = out.subspan(made);
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END && out.empty();
}

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(std::span<const std::byte> archive, const std::string& name) {
  return Reader(archive, name).run();
}

Result<std::vector<std::byte>> read_zip_entry(std::span<const std::byte> archive, const ZipEntry& entry,
                                              const std::string& name) try {
  const std::span<const std::byte> packed = archive.subspan(entry.begin, entry.compressed);
  std::vector<std::byte> bytes(entry.size);
  bool good = true;
  if (entry.deflated) {
    good = inflate_into(packed, bytes);
  } else {
    std::ranges::copy(packed, bytes.begin());
  }
  if (!good || crc32(0, std::span<const std::byte>(bytes)) != entry.crc)
    return Error{ErrorCode::kRuntime, name + ": entry \"" + printable(entry.name) + "\" is damaged"};
  return bytes;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, name + ": entry \"" + printable(entry.name) + "\" takes " +
                                         std::to_string(entry.size) + " bytes, more memory than there is"};
}

}  // namespace layerscope
