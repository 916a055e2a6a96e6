// The bulk job over whatever computes its rows.
#pragma once

#include "job/runner.h"
#include "job/states_job.h"

namespace layerscope {

/// As run_states_job.
[[nodiscard]] Result<JobResult> run_bulk_job(const RowRunner& model, RowReader& rows, const StatesJobOptions& options,
                                             const JobHooks& hooks);

}  // namespace layerscope
