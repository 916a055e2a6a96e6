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
  std::int64_t width = 0;      ///< 0 for attention's probabilities
  StoredUnit unit = StoredUnit::kTokens;
  bool cross = false;          ///< rows are the encoder's tokens
  DType dtype = DType::kF32;   ///< as stored, or as computed
};

/// Padding of a sequence in a rectangular dump: it is not part of the row, but says how the engine was run.
struct Padding {
  std::int64_t left = 0, right = 0;
};

/// One row as a side read it.
struct SideRow {
  std::int64_t number = 0;  ///< in a dump: the index in the batch
  ModelRow tokens;
  std::array<Padding, 2> padding{};                         ///< by StackId
  std::array<std::vector<std::int32_t>, 2> position_ids;  ///< by StackId, where the side says them; else empty
};

/// The values of one site of one row, unpadded.
struct SideBlock {
  std::int64_t rows = 0, width = 0;
  std::vector<double> values;           ///< [rows, width]; holds every stored type exactly
  std::vector<std::int32_t> positions;  ///< of the rows, where positions were picked; else empty
};

class Side {
 public:
  virtual ~Side() = default;
  [[nodiscard]] virtual SideKind kind() const noexcept = 0;
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
  /// What decides its rounding, for people: "f32, avx512", "stored as F16".
  [[nodiscard]] virtual std::string detail() const = 0;
  /// In the order of computation.
  [[nodiscard]] virtual const std::vector<SideSite>& sites() const noexcept = 0;
  /// Every row it holds; empty for a model, which takes the rows it is given.
  [[nodiscard]] virtual const std::vector<SideRow>& rows() const noexcept = 0;
  /// The model behind it, if its blocks can be run; else null.
  [[nodiscard]] virtual const Model* model() const noexcept = 0;
  /// blocks[row][site] of some rows: `rows` are rows() of this side, or any rows for a model. Errors: kDamage, kRuntime,
  /// kInput for rows that do not go with the model.
  [[nodiscard]] virtual Result<std::vector<std::vector<SideBlock>>> read(std::span<const SideRow> rows,
                                                                         std::span<const std::string> sites) const = 0;
};

/// A model as a side. `options.dtype` "f64" is the reference. Errors: those of Model::open and of the edits.
struct ModelSideOptions {
  OpenOptions open;
  std::vector<Edit> edits;
  int threads = 1;
};
[[nodiscard]] Result<std::unique_ptr<Side>> make_model_side(std::shared_ptr<const Model> model,
                                                            const std::string& path, std::vector<Edit> edits,
                                                            int threads);

/// A run folder, its parts as one. Errors: those of open_run.
[[nodiscard]] Result<std::unique_ptr<Side>> open_run_side(const std::string& folder, bool allow_incomplete);

/// A reference dump (docs/diff.md): FILE.safetensors or FILE.npz. `layers`: how many blocks each stack has, where that is
/// known; else its highest state is taken for the top. Errors: kRuntime naming file and tensor for what is no dump, holes
/// in a mask, shapes that do not fit; kResource for one that would not fit into memory.
[[nodiscard]] Result<std::unique_ptr<Side>> open_dump_side(const std::string& path,
                                                           const std::optional<std::array<int, 2>>& layers);

/// True for a path that names a dump: it ends in .safetensors or .npz and is a file.
[[nodiscard]] bool is_dump(const std::string& path);

}  // namespace layerscope
