#include "store/mapped_shard.h"

#include <algorithm>
#include <functional>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {

std::optional<std::string> RowIds::id(std::size_t row) const {
  if (offsets.empty() || offsets[row] == offsets[row + 1]) return std::nullopt;
  const auto begin = static_cast<std::size_t>(offsets[row]), end = static_cast<std::size_t>(offsets[row + 1]);
  return std::string(text.data() + begin, end - begin);
}

Error MappedShard::damage(std::string what) const {
  return {ErrorCode::kDamage, file_.path() + ": " + std::move(what)};
}

Result<MappedShard> MappedShard::open(const std::string& path, const ShardRecord& record) {
  MappedShard mapped;
  LAYERSCOPE_ASSIGN(mapped.shard_, ShardReader::open(path));
  LAYERSCOPE_ASSIGN(mapped.file_, MappedFile::open(path, ErrorCode::kDamage));
  mapped.rows_ = record.rows;
  if (mapped.shard_.bytes() != record.bytes || mapped.file_.bytes().size() != record.bytes) {
    return mapped.damage("has " + std::to_string(mapped.file_.bytes().size()) + " bytes, the journal says " +
                         std::to_string(record.bytes));
  }
  return mapped;
}

Result<TensorView> MappedShard::tensor(std::string_view name, DType dtype, const Shape& shape) const {
  const ShardTensor* const found = shard_.find(name);
  const std::string tensor = "tensor \"" + printable(name) + "\" is not ";
  if (found == nullptr || found->dtype != dtype || found->shape != shape)
    return damage(tensor + std::string(dtype_name(dtype)) + " " + shape.text() + ", as manifest and journal say");
  const std::byte* const data = file_.bytes().data() + shard_.data_begin() + found->begin;
  if (reinterpret_cast<std::uintptr_t>(data) % dtype_size(dtype) != 0) return damage(tensor + "aligned");
  return TensorView{dtype, shape, data};
}

Result<std::span<const std::int64_t>> MappedShard::row_numbers() const {
  LAYERSCOPE_ASSIGN(const std::span<const std::int64_t> numbers, values<std::int64_t>("row", DType::kI64, rows_));
  if (std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) != numbers.end())
    return damage("its row numbers do not ascend");
  return numbers;
}

Result<std::span<const std::int64_t>> MappedShard::offsets(std::string_view name) const {
  LAYERSCOPE_ASSIGN(const std::span<const std::int64_t> found, values<std::int64_t>(name, DType::kI64, rows_ + 1));
  if (found.front() == 0 && std::is_sorted(found.begin(), found.end())) return found;
  return damage("tensor \"" + printable(name) + "\" holds no offsets; layerscope verify tells more");
}

Result<RowIds> MappedShard::ids() const {
  RowIds ids;
  if (!has("id_offsets") || !has("id")) return ids;
  LAYERSCOPE_ASSIGN(ids.offsets, offsets("id_offsets"));
  LAYERSCOPE_ASSIGN(ids.text, values<char>("id", DType::kU8, ids.offsets.back()));
  return ids;
}

}  // namespace layerscope
