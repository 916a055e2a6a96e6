// Many rows at once through a plan: which of them share a batch, and which threads run it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/team.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

/// A row ready to run, somebody else's, and its number, which decides `sample:K`.
struct RowToRun {
  const ModelRow* row = nullptr;
  std::int64_t number = 0;
};

struct RunRowsOptions {
  int threads = 1;
  const EditPlan* edits = nullptr;
  const std::atomic<bool>* stop = nullptr;  ///< once true, the run ends with kCancelled
};

/// Rows by index that run together. Each group is one batch.
struct RowGroups {
  std::vector<std::vector<std::size_t>> groups;
  bool shared = false;  ///< all threads share one batch after the other, rather than each taking some
};

/// How rows of so many tokens are best spread over threads: batches of up to kBatchTokens tokens and about equal size
/// side by side, or, where one row is most of the work, one batch at a time by all threads.
[[nodiscard]] RowGroups group_rows(std::span<const std::int64_t> tokens, int threads);

/// Everything that `plan` wants of the rows, to a sink that takes frames from several threads; the tag of a frame is
/// the row's index. No value depends on the other rows or on threads. Errors: as Model::run; kCancelled.
[[nodiscard]] Status run_rows(const Model& model, const TapPlan& plan, std::span<const RowToRun> rows, Sink& sink,
                              const RunRowsOptions& options);

/// Model::run by a team of threads, or by the calling one where it is null.
[[nodiscard]] Status run_batch(const Model& model, const Batch& batch, const TapPlan& plan, Sink& sink,
                               const EditPlan* edits, Team* team);

}  // namespace layerscope
