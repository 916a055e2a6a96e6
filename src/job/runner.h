// What the bulk job needs of a model.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

/// The tokens of a row's main stack that have values, ascending; an empty function: those that the plan picks.
using PickTokens = std::function<std::vector<std::int32_t>(const ModelRow& row)>;

/// A model as the job sees it. All functions may be called from several threads at once; see Model for their meaning.
class RowRunner {
 public:
  virtual ~RowRunner() = default;
  [[nodiscard]] virtual const ModelInfo& info() const noexcept = 0;
  [[nodiscard]] virtual const SiteTable& sites() const noexcept = 0;
  [[nodiscard]] virtual Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options) const = 0;
  virtual void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const = 0;
  [[nodiscard]] virtual Status run(const Batch& batch, const TapPlan& plan, Sink& sink) const = 0;
  virtual void enter_worker() const = 0;
  /// What of a row is kept where that depends on its tokens; the plan picks positions then.
  [[nodiscard]] virtual PickTokens picks() const { return {}; }
};

}  // namespace layerscope
