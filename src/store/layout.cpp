#include "store/layout.h"

#include <algorithm>

#include "base/json.h"

namespace layerscope {
namespace {

constexpr std::size_t kDataAlignment = 8;

std::uint64_t tensor_bytes(const ShardTensor& tensor) {
  return static_cast<std::uint64_t>(tensor.shape.elements()) * dtype_size(tensor.dtype);
}

std::string header_text(const std::vector<ShardTensor>& tensors) {
  std::string json = "{";
  for (const ShardTensor& tensor : tensors) {
    if (json.size() > 1) json += ',';
    append_json_string(json, tensor.name);
    json += ":{\"dtype\":\"" + std::string(dtype_name(tensor.dtype)) + "\",\"shape\":[";
    for (std::size_t axis = 0; axis < tensor.shape.rank(); ++axis) {
      json += (axis == 0 ? "" : ",") + std::to_string(tensor.shape[axis]);
    }
    json += "],\"data_offsets\":[" + std::to_string(tensor.begin) + "," + std::to_string(tensor.end) + "]}";
  }
  json += '}';
  json.resize((json.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  std::string header;
  for (std::size_t byte = 0; byte < 8; ++byte) header += static_cast<char>(json.size() >> (8 * byte) & 0xFF);
  return header + json;
}

}  // namespace

std::string ShardSchema::prefix(StackId stack) const {
  if (!two_stacks) return "";
  return stack == StackId::kEncoder ? "enc." : "dec.";
}

std::vector<StackId> ShardSchema::stacks() const {
  if (two_stacks) return {StackId::kEncoder, StackId::kDecoder};
  return {main};
}

bool ShardSchema::picks(StackId stack) const {
  return std::any_of(sites.begin(), sites.end(), [&](const StoredSite& site) {
    return site.unit == StoredUnit::kPicks && token_stack(site) == stack;
  });
}

StackId token_stack(const StoredSite& site) noexcept { return site.cross ? StackId::kEncoder : site.stack; }

std::vector<ShardTensor> shard_tensors(const ShardSchema& schema, const ShardCounts& counts) {
  std::vector<ShardTensor> tensors;
  const auto add = [&](std::string name, DType dtype, Shape shape) {
    tensors.push_back({.name = std::move(name), .dtype = dtype, .shape = shape});
  };
  add("row", DType::kI64, {counts.rows});
  for (const StackId stack : schema.stacks()) {
    const auto index = static_cast<std::size_t>(stack);
    const std::string prefix = schema.prefix(stack);
    add(prefix + "offsets", DType::kI64, {counts.rows + 1});
    add(prefix + "input_ids", DType::kI32, {counts.tokens[index]});
    add(prefix + "special", DType::kU8, {counts.tokens[index]});
    if (counts.has_types[index]) add(prefix + "type_ids", DType::kU8, {counts.tokens[index]});
    if (schema.picks(stack)) {
      add(prefix + "pos_offsets", DType::kI64, {counts.rows + 1});
      add(prefix + "pos", DType::kI32, {counts.picks[index]});
    }
  }
  if (counts.has_ids) {
    add("id", DType::kU8, {counts.id_bytes});
    add("id_offsets", DType::kI64, {counts.rows + 1});
  }
  if (schema.generated) {
    add("prompt_len", DType::kI32, {counts.rows});
    add("output_ids", DType::kI32, {counts.output_tokens});
    add("output_offsets", DType::kI64, {counts.rows + 1});
  }
  for (std::size_t index = 0; index < schema.sites.size(); ++index) {
    const StoredSite& site = schema.sites[index];
    if (site.unit == StoredUnit::kProbs) {
      add(site.name, site.dtype, {counts.elements[index]});
      add(site.name + ".offsets", DType::kI64, {counts.rows + 1});
    } else {
      add(site.name, site.dtype, {counts.elements[index] / site.width, site.width});
    }
  }
  return tensors;
}

std::uint64_t shard_tensor_bytes(const ShardSchema& schema, const ShardCounts& counts) {
  const auto rows = static_cast<std::uint64_t>(counts.rows);
  const std::uint64_t offsets = 8 * (rows + 1);
  std::uint64_t bytes = 8 * rows;
  for (const StackId stack : schema.stacks()) {
    const auto index = static_cast<std::size_t>(stack);
    const auto tokens = static_cast<std::uint64_t>(counts.tokens[index]);
    bytes += offsets + (counts.has_types[index] ? 6 : 5) * tokens;
    if (schema.picks(stack)) bytes += offsets + 4 * static_cast<std::uint64_t>(counts.picks[index]);
  }
  if (counts.has_ids) bytes += offsets + static_cast<std::uint64_t>(counts.id_bytes);
  if (schema.generated) bytes += 4 * rows + offsets + 4 * static_cast<std::uint64_t>(counts.output_tokens);
  for (std::size_t index = 0; index < schema.sites.size(); ++index) {
    const StoredSite& site = schema.sites[index];
    bytes += static_cast<std::uint64_t>(counts.elements[index]) * dtype_size(site.dtype);
    if (site.unit == StoredUnit::kProbs) bytes += offsets;
  }
  return bytes;
}

ShardLayout::ShardLayout(std::vector<ShardTensor> tensors) : tensors_(std::move(tensors)) {
  std::sort(tensors_.begin(), tensors_.end(), [](const ShardTensor& a, const ShardTensor& b) {
    const std::size_t size_a = dtype_size(a.dtype);
    const std::size_t size_b = dtype_size(b.dtype);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });
  for (ShardTensor& tensor : tensors_) {
    tensor.begin = data_bytes_;
    tensor.end = data_bytes_ += tensor_bytes(tensor);
  }
  header_ = header_text(tensors_);
}

const ShardTensor* ShardLayout::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const ShardTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::uint64_t ShardLayout::position(std::string_view name) const noexcept { return header_.size() + find(name)->begin; }

std::string shard_file_name(std::int64_t shard) {
  std::string digits = std::to_string(shard);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return "shard-" + digits + ".safetensors";
}

}  // namespace layerscope
