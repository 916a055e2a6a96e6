// Edits of the stream: vectors that are added to, set at, or multiply the values of a site, as data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tap.h"

namespace layerscope {

enum class EditOp : std::uint8_t {
  kAdd,    ///< x + v
  kSet,    ///< v
  kScale,  ///< x * v, element by element
};
[[nodiscard]] std::optional<EditOp> edit_op_from_name(std::string_view name) noexcept;
[[nodiscard]] std::string_view edit_op_name(EditOp op) noexcept;

/// One edit as a user writes it (docs/edits.md). Where bfloat16 holds a site's values, the result is rounded to it.
struct Edit {
  std::string site;  ///< a name or a glob
  EditOp op = EditOp::kAdd;
  /// "all", "first", "last", "0,1,-1": positions in the whole row; those that a row does not have are left out. In
  /// generation negatives count from the end of the prompt.
  std::string positions = "all";
  std::optional<std::int64_t> row;  ///< only this row of the input
  /// [vectors, width], or one number that stands for a vector of it.
  std::vector<float> values;
  /// 1: the same at every position. Otherwise one a position of the list, or with "all" one a token of a row that
  /// must have as many.
  std::int64_t vectors = 1;
};

/// True for the sites that can be edited: all of them but probabilities, a router's, and scores.
[[nodiscard]] bool editable(SiteKind kind) noexcept;

/// Edits compiled against a model. Edits of one site happen in the order they are given.
class EditPlan {
 public:
  /// Errors (kUsage): an unknown site, one that cannot be edited, a width or number of vectors that does not fit,
  /// values that are not finite.
  [[nodiscard]] static Result<EditPlan> compile(const SiteTable& table, const std::vector<Edit>& edits);

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  // For the engine.
  struct Entry {
    Site site;
    EditOp op = EditOp::kAdd;
    bool all = true;                      ///< every position; otherwise those of `positions`
    std::vector<std::int32_t> positions;  ///< as written
    std::optional<std::int64_t> row;
    std::int64_t vectors = 1;
    std::shared_ptr<const std::vector<float>> values;  ///< [vectors, width]
    /// The vector for a position of a row of `length` tokens; null where nothing is edited. A position that a list
    /// names twice takes the first one's.
    [[nodiscard]] const float* vector_at(std::int64_t position, std::int64_t length) const noexcept;
  };
  /// The edits in order.
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return entries_; }
  /// Whether a row of so many tokens, by StackId, takes the edits. Errors: kInput where vectors and tokens differ.
  [[nodiscard]] Status check_row(std::int64_t row, StackId stack, std::int64_t tokens) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace layerscope
