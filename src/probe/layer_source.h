// States of several sites side by side, row by row, out of a model or a run folder.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "job/input.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

/// The vectors of one row, `count` of them from `first` on in their block.
struct LayerRow {
  std::int64_t number = 0, first = 0, count = 0;
};

/// Some whole rows.
struct LayerBlock {
  std::vector<LayerRow> rows;
  std::vector<std::int32_t> positions;     ///< of every vector: its token's place in the row, -1 for a pooled one
  std::vector<std::vector<float>> values;  ///< by site, [vectors, width]
  [[nodiscard]] std::int64_t vectors() const noexcept { return static_cast<std::int64_t>(positions.size()); }
  void clear();
};

/// Rows by ascending number, read once from the first to the last.
class LayerSource {
 public:
  virtual ~LayerSource() = default;
  /// A folder, as it was named.
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
  /// What a block holds; every vector is there at each of them.
  [[nodiscard]] virtual const std::vector<StoredSite>& sites() const noexcept = 0;
  /// The next rows; false at the end. Errors: kInput for a bad row, kRuntime, kDamage, kResource.
  [[nodiscard]] virtual Result<bool> next(LayerBlock& block) = 0;
};

/// A run folder, its parts as one. Its layers, those of `layers` (as --layers says it, empty for all); of a run that
/// holds none, every site with vectors of floats. Errors: as open_run; kUsage for layers that it does not hold, or that
/// have no vectors in common (states of an encoder's and of a decoder's tokens).
[[nodiscard]] Result<std::unique_ptr<LayerSource>> open_run_layers(const std::string& folder, const std::string& layers,
                                                                   bool allow_incomplete);

struct ModelLayerOptions {
  TapRequest request;
  TokenizeOptions tokenize;
  bool skip_bad = false;
  std::function<void(const Error&)> skipped;
  int threads = 1;
};

/// Texts run through a model, which outlives the source. Errors: those of TapPlan::compile; kUsage as above.
[[nodiscard]] Result<std::unique_ptr<LayerSource>> model_layers(const Model& model, std::unique_ptr<RowReader> rows,
                                                                ModelLayerOptions options);

/// The sites have one vector each where another has one. Errors: kUsage naming `path`.
[[nodiscard]] Status check_side_by_side(const std::string& path, const std::vector<StoredSite>& sites);

}  // namespace layerscope
