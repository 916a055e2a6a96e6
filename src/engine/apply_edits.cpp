#include "engine/apply_edits.h"

#include <algorithm>

#include "base/half.h"

namespace layerscope {
namespace {

template <class T>
T changed(EditOp op, T x, float v) {
  switch (op) {
    case EditOp::kAdd: return x + static_cast<T>(v);
    case EditOp::kSet: return static_cast<T>(v);
    case EditOp::kScale: return x * static_cast<T>(v);
  }
  return x;
}

void change_row(EditOp op, const float* vector, const MutableRows& rows, std::int64_t index) {
  const auto each = [&](auto* row, const auto& change) {
    for (std::int64_t j = 0; j < rows.width; ++j) row[j] = change(row[j], vector[j]);
  };
  switch (rows.dtype) {
    case DType::kF64: return each(rows.row<double>(index), [op](double x, float v) { return changed(op, x, v); });
    case DType::kBF16:
      return each(rows.row<std::uint16_t>(index), [op](std::uint16_t x, float v) {
        return op == EditOp::kSet ? float_to_bf16(v) : float_to_bf16(changed(op, bf16_to_float(x), v));
      });
    default: return each(rows.row<float>(index), [op](float x, float v) { return changed(op, x, v); });
  }
}

}  // namespace

bool apply_edit(const EditPlan::Entry& edit, const EditedRows& tokens, std::int64_t first, const MutableRows& rows) {
  bool any = false;
  const auto& offsets = tokens.offsets;
  auto s = static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), first) - offsets.begin()) - 1;
  for (std::int64_t token = first; token < first + rows.rows; ++token) {
    while (token >= offsets[s + 1]) ++s;
    if (edit.row && *edit.row != tokens.numbers[s]) continue;
    const float* vector = edit.vector_at(tokens.past[s] + token - offsets[s], tokens.lengths[s]);
    if (vector == nullptr) continue;
    change_row(edit.op, vector, rows, token - first);
    any = true;
  }
  return any;
}

}  // namespace layerscope
