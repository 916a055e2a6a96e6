// The bulk job of sentence vectors: rows in, a run folder whose one site is `embedding` out.
#pragma once

#include "job/states_job.h"
#include "session/embedder.h"

namespace layerscope {

/// What is known of the embedder's model, its folder the one that was given and the module files among its own.
[[nodiscard]] ModelInfo embedder_info(const Embedder& embedder);

/// As run_states_job, with the embedder's way of reading texts. Of the options, `request` and `tokenize` are the
/// embedder's and not looked at. Vectors of tokens are stored as picked positions are, with `pos` and `pos_offsets`;
/// sparse vectors are refused (kUsage). The manifest's config holds Embedder::recipe() as "embedding".
[[nodiscard]] Result<JobResult> run_embed_job(const Embedder& embedder, RowReader& rows,
                                              const StatesJobOptions& options, const JobHooks& hooks);

}  // namespace layerscope
