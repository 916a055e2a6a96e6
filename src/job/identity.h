// What a run is, as its manifest says it.
#pragma once

#include "job/input.h"
#include "job/runner.h"
#include "job/states_job.h"
#include "layerscope/error.h"
#include "store/manifest.h"

namespace layerscope {

/// The manifest of a job, all but the hashes of the model's files.
[[nodiscard]] Manifest describe_run(const ModelInfo& info, const ShardSchema& schema, const RowReader& rows,
                                    const StatesJobOptions& options);
/// Adds size and hash of every file of the model. Errors: kModel naming the file.
[[nodiscard]] Status hash_model_files(const ModelInfo& info, Manifest& manifest);

}  // namespace layerscope
