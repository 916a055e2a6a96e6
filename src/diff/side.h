// One side of a comparison: a model that can be run, a run folder, or another engine's dump.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layerscope/edits.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

enum class SideKind : std::uint8_t { kModel, kRun, kDump };

/// A site that a side can show. Names are ours (docs/sites.md), whatever the side calls them.
struct SideSite {
  std::string name;
  StackId stack = StackId::kEncoder;
  std::optional<int> hf_index;
  std::int64_t width = 0;  ///< 0 for attention's probabilities
  StoredUnit unit = StoredUnit::kTokens;
  bool cross = false;         ///< rows are the encoder's tokens
  DType dtype = DType::kF32;  ///< as stored, or as computed
};

/// Padding of a sequence in a rectangular dump: it is not part of the row, but says how the engine was run.
struct Padding {
  std::int64_t left = 0, right = 0;
};

/// One row as a side read it.
struct SideRow {
  std::int64_t number = 0;  ///< in a dump: the index in the batch
  ModelRow tokens;
  std::array<Padding, 2> padding{};                       ///< by StackId
  std::array<std::vector<std::int32_t>, 2> position_ids;  ///< by StackId, where the side says them; else empty
};

/// The values of one site of one row, unpadded.
struct SideBlock {
  std::int64_t rows = 0, width = 0;
  std::vector<double> values;           ///< [rows, width]; holds every stored type exactly
  std::vector<std::int32_t> positions;  ///< of the rows, where positions were picked; else empty
  std::vector<double> padding;          ///< [left + right, width] what a dump holds where it padded; else empty
};

/// What decides a side's rounding.
struct SidePrecision {
  std::string dtype = "f32";   ///< "f32", "bf16" or "f64": what it computes in
  std::string isa;             ///< of ours; empty where it is not ours
  DType stored = DType::kF32;  ///< what its states went through on their way to us
  bool ours = true;            ///< our engine, rather than one of which only the type of its states is known
};

class Side {
 public:
  virtual ~Side() = default;
  [[nodiscard]] virtual SideKind kind() const noexcept = 0;
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
  [[nodiscard]] virtual SidePrecision precision() const = 0;
  /// In the order of computation.
  [[nodiscard]] virtual const std::vector<SideSite>& sites() const noexcept = 0;
  /// Every row it holds; empty for a model, which takes the rows it is given.
  [[nodiscard]] virtual const std::vector<SideRow>& rows() const noexcept = 0;
  /// The model behind it, if its blocks can be run; else null.
  [[nodiscard]] virtual std::shared_ptr<const Model> model() const { return nullptr; }
  /// Changes of the stream that its model runs with, or null.
  [[nodiscard]] virtual const EditPlan* edits() const noexcept { return nullptr; }
  /// Blocks of each stack as far as its states tell; 0 where nothing is known.
  [[nodiscard]] virtual std::array<int, 2> layers() const noexcept = 0;
  /// What a reader has to know of it: rows without tokens, tensors that were not understood.
  [[nodiscard]] virtual std::vector<std::string> notes() const { return {}; }
  /// blocks[row][site] of some rows: `rows` are rows() of this side, or any rows for a model. Errors: kDamage,
  /// kRuntime, kInput for rows that do not go with the model.
  [[nodiscard]] virtual Result<std::vector<std::vector<SideBlock>>> read(std::span<const SideRow> rows,
                                                                         std::span<const std::string> sites) const = 0;
};

/// A model as a side. Errors: those of the edits.
[[nodiscard]] Result<std::unique_ptr<Side>> make_model_side(std::shared_ptr<const Model> model,
                                                            const std::vector<Edit>& edits, int threads);

/// A run folder, its parts as one. `model`: what made it, if that is at hand; else null. Errors: those of open_run.
[[nodiscard]] Result<std::unique_ptr<Side>> open_run_side(const std::string& folder, std::shared_ptr<const Model> model,
                                                          bool allow_incomplete);

/// A reference dump (docs/diff.md): FILE.safetensors or FILE.npz. `like`: the sites of the model that it is held
/// against, or null; without, its highest state is taken for the top of its stack. Errors: kRuntime naming file and
/// tensor for what is no dump, for holes in a mask and shapes that do not go together; kResource.
[[nodiscard]] Result<std::unique_ptr<Side>> open_dump_side(const std::string& path, const SiteTable* like);

}  // namespace layerscope
