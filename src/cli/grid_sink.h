// The few numbers of a state that the picture needs; the states themselves are not kept.
#pragma once

#include <vector>

#include "cli/arguments.h"
#include "layerscope/tap.h"

namespace layerscope::cli {

/// For one sequence: the measure of every (stored site, row). Keeps one state a row and stack to compare with.
class GridSink final : public Sink {
 public:
  GridSink(const TapPlan& plan, Measure measure);

  [[nodiscard]] Status accept(const StateFrame& frame) override;

  /// Values of stored site `site`, one a row of its block; NaN where there is nothing to compare with.
  [[nodiscard]] const std::vector<float>& values(std::size_t site) const { return values_[site]; }

 private:
  struct Reference {
    std::vector<std::vector<float>> rows;  ///< by row: the state to compare with
  };
  float measure_row(Reference& reference, std::size_t row, const std::vector<float>& state) const;

  const TapPlan& plan_;
  Measure measure_;
  std::vector<std::vector<float>> values_;
  Reference references_[2];
};

/// Row `index` as float32, whatever its type (F32, F16 or BF16).
void read_row(const RowsView& rows, std::int64_t index, std::vector<float>& out);

}  // namespace layerscope::cli
