#include "checkpoint/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "base/numbers.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/header_reader.h"

namespace layerscope {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

std::uint64_t read_length(std::span<const std::byte> file) noexcept {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
  return length;
}

std::string range_text(const TensorEntry& entry) {
  return "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
}

/// Bytes of the tensor, or nothing when a partial product of its dimensions or the bytes leave 63 bits.
std::optional<std::uint64_t> byte_size(const TensorEntry& entry) noexcept {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t size = 1;
  const auto grow = [&size](std::uint64_t factor) {
    const auto product = checked_multiply(size, factor);
    if (!product || *product > kMost) return false;
    size = *product;
    return true;
  };
  for (const std::int64_t dim : entry.shape.dims()) {
    if (!grow(static_cast<std::uint64_t>(dim))) return std::nullopt;
  }
  if (!grow(dtype_size(entry.dtype))) return std::nullopt;
  return size;
}

/// What is wrong with an entry that must start where the one before it ended.
std::optional<std::string> find_fault(const TensorEntry& entry, std::uint64_t previous_end) {
  const std::string offsets = "data_offsets " + range_text(entry);
  if (entry.begin < previous_end) {
    return offsets + " overlap the tensor before, which ends at " + std::to_string(previous_end);
  }
  if (entry.begin > previous_end) return offsets + " leave a hole after byte " + std::to_string(previous_end);
  if (entry.end < entry.begin) return offsets + " end before they begin";
  const auto size = byte_size(entry);
  if (!size) return "shape " + entry.shape.text() + " overflows";
  if (*size != entry.end - entry.begin) {
    return "shape " + entry.shape.text() + " of " + std::string(dtype_name(entry.dtype)) + " needs " +
           std::to_string(*size) + " bytes, " + offsets + " hold " + std::to_string(entry.end - entry.begin);
  }
  return std::nullopt;
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, std::string_view name) {
  const auto fail = [name](const std::string& what) {
    return Error{ErrorCode::kModel, printable(name, 4096) + ": " + what};
  };
  if (file.size() < kLengthBytes) {
    return fail("has " + std::to_string(file.size()) + " bytes, too short for a safetensors header");
  }
  const std::uint64_t length = read_length(file);
  if (length > kMaxSafetensorsHeader) {
    return fail("is no safetensors file, or damaged: a header of " + std::to_string(length) + " bytes, at most " +
                std::to_string(kMaxSafetensorsHeader) + " are allowed");
  }
  if (length > file.size() - kLengthBytes) {
    return fail("is truncated: the header should have " + std::to_string(length) + " bytes, " +
                std::to_string(file.size() - kLengthBytes) + " are there");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  if (const std::size_t invalid = find_invalid_utf8(text); invalid != std::string_view::npos) {
    return fail("the header is not UTF-8 (byte " + std::to_string(invalid) + ")");
  }
  if (text.empty() || text.front() != '{') return fail("the header does not start with '{'");

  SafetensorsHeader header;
  header.data_offset = kLengthBytes + length;
  LAYERSCOPE_ASSIGN(header.tensors, HeaderReader(text, name).run());
  std::ranges::sort(header.tensors, {}, [](const TensorEntry& entry) { return std::tuple(entry.begin, entry.end); });
  std::uint64_t data_end = 0;
  for (const TensorEntry& entry : header.tensors) {
    if (const auto fault = find_fault(entry, data_end))
      return fail("tensor \"" + printable(entry.name) + "\": " + *fault);
    data_end = entry.end;
  }
  const std::uint64_t data_size = file.size() - header.data_offset;
  if (data_end > data_size) {
    return fail("is truncated: its tensors need " + std::to_string(data_end) + " bytes of data, " +
                std::to_string(data_size) + " are there");
  }
  if (data_end < data_size) {
    return fail("has " + std::to_string(data_size - data_end) +
                " bytes after the end of its last tensor, expected none");
  }
  return header;
}

}  // namespace layerscope
