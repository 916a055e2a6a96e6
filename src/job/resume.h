// Going on with a run that was begun.
#pragma once

#include "job/input.h"
#include "job/states_job.h"
#include "layerscope/error.h"
#include "store/run_writer.h"

namespace layerscope {

/// What a run holds already.
struct Resumed {
  JobProgress begin;
  bool complete = false;
};

/// Looks at what stands in a run's folder: nothing, a run that this command may go on with, or a complete one. What a
/// killed run left unfinished goes; its shards are checked, and the input is read again up to the end of what they
/// hold. `manifest` gets the hashes of the model's files where there is a run. Errors: kUsage where configuration,
/// model or input changed, with the difference; kDamage.
[[nodiscard]] Result<Resumed> resume_run(RunWriter& run, const ModelInfo& info, Manifest& manifest, RowReader& rows,
                                         const JobHooks& hooks);

}  // namespace layerscope
