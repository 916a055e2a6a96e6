// Element types and borrowed views of tensors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace layerscope {

/// Element types, with the names that safetensors gives them ("F32", "BF16", ...).
enum class DType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

/// Bytes of one element.
[[nodiscard]] constexpr std::size_t dtype_size(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
    case DType::kU64: return 8;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32: return 4;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
    case DType::kU16: return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool: return 1;
  }
  return 0;
}

/// The safetensors name of a type.
[[nodiscard]] std::string_view dtype_name(DType dtype) noexcept;
/// The type of a safetensors name, or nothing for a name that is not among ours (F8_E4M3, C64, ...).
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name) noexcept;

/// Most dimensions a tensor may have here. Real checkpoints use at most 5.
inline constexpr std::size_t kMaxRank = 8;

/// A shape held in place. Dimensions are never negative.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) {
    for (const std::int64_t dim : dims) push_back(dim);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::int64_t operator[](std::size_t axis) const noexcept { return dims_[axis]; }
  /// Product of the dimensions; 1 for rank 0. Whoever filled the shape has checked that it does not overflow.
  [[nodiscard]] std::int64_t elements() const noexcept;
  [[nodiscard]] std::span<const std::int64_t> dims() const noexcept { return {dims_.data(), rank_}; }
  /// Appends a dimension; false if there are kMaxRank already.
  bool push_back(std::int64_t dim) noexcept {
    if (rank_ == kMaxRank) return false;
    dims_[rank_++] = dim;
    return true;
  }
  /// "[2, 3]".
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Shape& a, const Shape& b) noexcept;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::uint8_t rank_ = 0;
};

/// A tensor that somebody else owns: contiguous, row-major.
struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  const std::byte* data = nullptr;  ///< aligned to the element's size for data of ours; a checkpoint's may not be
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(shape.elements()) * dtype_size(dtype);
  }
};

/// Rows of a matrix that somebody else owns; rows may lie further apart than they are wide.
struct RowsView {
  DType dtype = DType::kF32;
  const std::byte* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;   ///< elements in a row
  std::int64_t stride = 0;  ///< elements from one row to the next, >= width
  template <class T>
  [[nodiscard]] const T* row(std::int64_t index) const noexcept {
    return reinterpret_cast<const T*>(data) + index * stride;
  }
};

/// Rows that an operation writes.
struct MutableRows {
  DType dtype = DType::kF32;
  std::byte* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t stride = 0;  ///< elements from one row to the next
  [[nodiscard]] RowsView view() const noexcept { return {dtype, data, rows, width, stride}; }
  template <class T>
  [[nodiscard]] T* row(std::int64_t index) const noexcept {
    return reinterpret_cast<T*>(data) + index * stride;
  }
};

}  // namespace layerscope
