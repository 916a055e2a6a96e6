#include "store/shard_reader.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/json.h"
#include "base/numbers.h"
#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = std::uint64_t{64} << 20;

Error damage(const std::string& name, const std::string& what) { return {ErrorCode::kDamage, name + ": " + what}; }

/// An array of integers that are not negative, or nothing.
std::optional<std::vector<std::int64_t>> numbers(const Json* json) {
  if (json == nullptr || json->array() == nullptr) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const Json& value : *json->array()) {
    if (value.integer() == nullptr || *value.integer() < 0) return std::nullopt;
    values.push_back(*value.integer());
  }
  return values;
}

Result<ShardTensor> parse_tensor(const Json::Member& member, std::uint64_t data_bytes, const std::string& name) {
  const auto bad = [&](std::string_view field) {
    return damage(name, "tensor \"" + printable(member.first) + "\" of the header has a bad field \"" +
                            std::string(field) + "\"");
  };
  ShardTensor tensor;
  tensor.name = member.first;
  const Json* dtype = member.second.find("dtype");
  if (dtype == nullptr || dtype->string() == nullptr || !dtype_from_name(*dtype->string())) return bad("dtype");
  tensor.dtype = *dtype_from_name(*dtype->string());
  const auto shape = numbers(member.second.find("shape"));
  if (!shape) return bad("shape");
  std::optional<std::uint64_t> bytes = dtype_size(tensor.dtype);
  for (const std::int64_t dim : *shape) {
    if (!tensor.shape.push_back(dim)) return bad("shape");
    if (bytes) bytes = checked_multiply(*bytes, static_cast<std::uint64_t>(dim));
  }
  const auto offsets = numbers(member.second.find("data_offsets"));
  if (!offsets || offsets->size() != 2) return bad("data_offsets");
  tensor.begin = static_cast<std::uint64_t>((*offsets)[0]);
  tensor.end = static_cast<std::uint64_t>((*offsets)[1]);
  if (tensor.begin > tensor.end || tensor.end > data_bytes || !bytes || tensor.end - tensor.begin != *bytes)
    return bad("data_offsets");
  return tensor;
}

}  // namespace

Result<std::vector<ShardTensor>> parse_shard_header(std::string_view json, std::uint64_t data_bytes,
                                                    const std::string& name) {
  LAYERSCOPE_ASSIGN(const Json header, parse_json(json, name, ErrorCode::kDamage));
  if (header.object() == nullptr) return damage(name, "its header is no object");
  std::vector<ShardTensor> tensors;
  std::uint64_t end = 0;
  for (const Json::Member& member : *header.object()) {
    if (member.first == "__metadata__") continue;
    LAYERSCOPE_ASSIGN(ShardTensor tensor, parse_tensor(member, data_bytes, name));
    if (tensor.begin != end)
      return damage(name, "tensor \"" + printable(tensor.name) + "\" does not follow the one before it");
    end = tensor.end;
    tensors.push_back(std::move(tensor));
  }
  if (end != data_bytes) {
    return damage(
        name, "its tensors end at byte " + std::to_string(end) + " of " + std::to_string(data_bytes) + " data bytes");
  }
  return tensors;
}

Result<ShardReader> ShardReader::open(const std::string& path) {
  ShardReader reader;
  LAYERSCOPE_ASSIGN(reader.file_, File::open_read(path));
  LAYERSCOPE_ASSIGN(const std::uint64_t size, reader.file_.size());
  std::array<std::byte, kLengthBytes> length_bytes{};
  if (size < kLengthBytes) return damage(path, "has " + std::to_string(size) + " bytes, too few for a header");
  LAYERSCOPE_TRY(reader.file_.read_at(0, length_bytes));
  std::uint64_t length = 0;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte)
    length |= std::to_integer<std::uint64_t>(length_bytes[byte]) << (8 * byte);
  if (length > kMaxHeader || length > size - kLengthBytes) {
    return damage(path, "its header of " + std::to_string(length) + " bytes does not fit into " + std::to_string(size) +
                            " bytes");
  }
  std::string json(static_cast<std::size_t>(length), '\0');
  LAYERSCOPE_TRY(reader.file_.read_at(kLengthBytes, std::as_writable_bytes(std::span(json))));
  reader.data_begin_ = kLengthBytes + length;
  reader.data_bytes_ = size - reader.data_begin_;
  LAYERSCOPE_ASSIGN(reader.tensors_, parse_shard_header(json, reader.data_bytes_, path));
  return reader;
}

const ShardTensor* ShardReader::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const ShardTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

Status ShardReader::read(const ShardTensor& tensor, std::uint64_t offset, std::span<std::byte> into) const {
  return file_.read_at(data_begin_ + tensor.begin + offset, into);
}

Result<std::vector<std::int64_t>> ShardReader::read_i64(std::string_view name) const {
  const ShardTensor* tensor = find(name);
  if (tensor == nullptr || tensor->dtype != DType::kI64 || tensor->shape.rank() != 1) {
    return damage(file_.path(), "tensor \"" + std::string(name) + "\" is missing or not I64 of one dimension");
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor->shape[0]));
  LAYERSCOPE_TRY(read(*tensor, 0, std::as_writable_bytes(std::span(values))));
  return values;
}

}  // namespace layerscope
