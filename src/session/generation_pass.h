// One call of the engine for rows that grow, with what it shows brought to where it belongs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "layerscope/model.h"
#include "session/generator.h"
#include "session/text_stream.h"

namespace layerscope {

/// A row between its first token and its last.
struct GrowingRow {
  std::uint64_t tag = 0;
  std::int64_t number = 0;
  ModelRow prompt;
  std::vector<std::int32_t> ids;  ///< of the decoder: the prompt's and the chosen ones
  std::int64_t prompt_tokens = 0;
  KvCache cache;
  std::vector<float> final;  ///< [final width] of the last token that was run
  TextStream text;
  bool stopped = false, ended = false;
  /// Tokens that have not been run yet.
  [[nodiscard]] std::int64_t waiting() const noexcept { return static_cast<std::int64_t>(ids.size()) - cache.tokens(); }
};

class GenerationPass {
 public:
  /// All outlive the pass; all but the model may be null. Errors: those of compiling a plan.
  [[nodiscard]] static Result<GenerationPass> create(const Model& model, const TapPlan* observed,
                                                     GenerationObserver* observer, const EditPlan* edits);

  /// Runs up to `most` waiting tokens of every row; the encoder's come first of all. Afterwards `final` is that of the
  /// last one run. `team` may be null; `steps`: every row has one waiting token behind its cache.
  [[nodiscard]] Status run(std::span<GrowingRow* const> rows, std::int64_t most, Team* team, bool steps) const;
  /// Elements of `final`.
  [[nodiscard]] std::int64_t final_width() const noexcept { return final_width_; }

 private:
  class Shown;
  GenerationPass(const Model& model, GenerationObserver* observer, const EditPlan* edits)
      : model_(model), observer_(observer), edits_(edits) {}

  const Model& model_;
  GenerationObserver* observer_;
  const EditPlan* edits_;
  TapPlan plan_;
  std::vector<int> wanted_;  // of every observed site of plan_: its index in the caller's plan, or -1
  std::int64_t final_width_ = 0;
};

}  // namespace layerscope
