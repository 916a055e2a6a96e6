// A finished shard mapped into memory: its tensors as they lie, pages coming from the file as they are touched.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/mapped_file.h"
#include "layerscope/error.h"
#include "store/journal.h"
#include "store/shard_reader.h"

namespace layerscope {

/// The ids of a shard's rows, as they lie.
struct RowIds {
  std::span<const std::int64_t> offsets;  ///< empty: no row has an id
  std::span<const char> text;
  /// Compact JSON, by the row's place in the shard; nothing if it has none.
  [[nodiscard]] std::optional<std::string> id(std::size_t row) const;
};

class MappedShard {
 public:
  /// Errors: kDamage for a file that is no shard, or has another size than its journal line says.
  [[nodiscard]] static Result<MappedShard> open(const std::string& path, const ShardRecord& record);

  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }
  [[nodiscard]] bool has(std::string_view name) const noexcept { return shard_.find(name) != nullptr; }
  /// A tensor that must have this type and shape, aligned to its elements; the view lives as long as the shard. Errors:
  /// kDamage.
  [[nodiscard]] Result<TensorView> tensor(std::string_view name, DType dtype, const Shape& shape) const;
  /// The same by the elements' C++ type.
  template <class T>
  [[nodiscard]] Result<std::span<const T>> values(std::string_view name, DType dtype, std::int64_t count) const {
    Result<TensorView> view = tensor(name, dtype, Shape{count});
    if (!view) return std::move(view).error();
    return std::span(reinterpret_cast<const T*>(view->data), static_cast<std::size_t>(count));
  }
  /// "row": the numbers of the shard's rows, ascending. Errors: kDamage.
  [[nodiscard]] Result<std::span<const std::int64_t>> row_numbers() const;
  /// Offsets of each of the shard's rows: from 0, never falling. Errors: kDamage.
  [[nodiscard]] Result<std::span<const std::int64_t>> offsets(std::string_view name) const;
  /// Errors: kDamage.
  [[nodiscard]] Result<RowIds> ids() const;

 private:
  [[nodiscard]] Error damage(std::string what) const;

  ShardReader shard_;
  MappedFile file_;
  std::int64_t rows_ = 0;
};

}  // namespace layerscope
