// The bulk job of generation: prompts in, a run folder with prompts, outputs and their states out.
#pragma once

#include "job/generate_rows.h"
#include "job/states_job.h"
#include "session/generator.h"

namespace layerscope {

struct GenerateJobOptions {
  StatesJobOptions job;          ///< its threads and edits are those of generation too
  GenerationOptions generation;  ///< its edits and threads are not looked at
  /// Cache of the rows that run at once: told before the first one runs, and the plan of a dry run.
  std::function<void(const GenerateRows::Plan&)> planned;
};

/// As run_states_job. Rows are stored in the order of the input; a shard closes after the row at which it is full, so
/// that its bytes depend on the rows alone. A run that was killed goes on behind its last shard with the same bytes.
[[nodiscard]] Result<JobResult> run_generate_job(const Model& model, RowReader& rows, const GenerateJobOptions& options,
                                                 const JobHooks& hooks);

}  // namespace layerscope
