// Plans and edits as Python gives them, and where values go: straight into the caller's arrays.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "arrays.h"
#include "layerscope/edits.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "rows.h"

namespace layerscope::python {

/// An edit as Python gives it: site, add|set|scale, positions, row or none, vectors.
using EditIn = std::tuple<std::string, std::string, std::string, std::optional<std::int64_t>, ArrayIn<float, 2>>;
/// Raises UsageError for operations that are unknown. The interpreter lock must be held.
[[nodiscard]] std::vector<Edit> edits_of(const std::vector<EditIn>& given);

/// The block of a row at a stored site: rows [rows, width] (of probabilities [heads * queries, keys]).
struct BlockShape {
  std::int64_t rows = 0, width = 0;
};
[[nodiscard]] BlockShape block_shape(const TapPlan& plan, const Model& model, std::size_t site, std::int64_t number,
                                     const ModelRow& row);

/// An array that takes a site. Strides are elements; 0: as if blocks were dense.
struct Target {
  float* data = nullptr;
  std::int64_t elements = 0;
  std::span<const std::int64_t> offsets;  ///< of every row's block
  std::int64_t stride = 0;                ///< from one row of a block to the next
  std::int64_t head_stride = 0;           ///< from one head's probabilities to the next's
};

/// Writes each value to its place; safe for several threads, as no two blocks share memory.
class ArraySink final : public Sink {
 public:
  /// Errors (kUsage): a block that would leave its array.
  [[nodiscard]] static Result<ArraySink> create(const Model& model, const TapPlan& plan, const Rows& rows,
                                                std::vector<Target> targets);
  Status accept(const StateFrame& frame) override;

 private:
  struct Site {
    Target target;
    bool probabilities = false;
    std::vector<std::int64_t> queries;  ///< of probabilities, by row
  };
  [[nodiscard]] static std::int64_t place(const Site& site, std::size_t row, std::int64_t at, std::int64_t width);
  std::vector<Site> sites_;
};

}  // namespace layerscope::python
