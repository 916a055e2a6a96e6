// The bulk job of scores over the vocabulary.
#pragma once

#include <cstddef>
#include <optional>

#include "job/states_job.h"

namespace layerscope {

/// As run_states_job: every score as the site `logits`, or with `top_k` only the highest of them, as the sites
///   logits.top_ids     I32 [tokens, k]  the k highest, highest first, the lower id before an equal score
///   logits.top_values  F32 [tokens, k]  their scores
///   logits.entropy     F32 [tokens, 1]  of softmax, in nats
///   logits.log_sum     F32 [tokens, 1]  ln of the sum of exp(score): exp(score - log_sum) is the probability
/// where k is not more than the vocabulary. Edits hold too. Of the options' request, positions and seed hold, and
/// save_dtype for the site `logits`. Errors: kModel for a folder without a head over the vocabulary.
[[nodiscard]] Result<JobResult> run_logits_job(const Model& model, RowReader& rows, const StatesJobOptions& options,
                                               std::optional<std::size_t> top_k, const JobHooks& hooks);

}  // namespace layerscope
