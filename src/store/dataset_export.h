// A run as a folder that Hugging Face's datasets opens with load_from_disk.
#pragma once

#include <cstdint>
#include <string>

#include "layerscope/error.h"
#include "store/run.h"
#include "store/run_reader.h"

namespace layerscope {

/// Writes data-00000-of-0000N.arrow (Arrow IPC streams), dataset_info.json and state.json, the files that
/// datasets.Dataset.save_to_disk writes (datasets 2.x to 4.x, arrow_dataset.py). A row has the columns `row`, `id`
/// where the run has ids, `input_ids`, `special` and their like by the names of the run's tensors, and one a site: a
/// list of width values a token, or width values where it is pooled; probabilities as [head][query][key]. bfloat16,
/// which Arrow lacks, becomes float32.
///
/// The folder appears whole: it is written beside `target` and renamed over it. A file ends after the row at which its
/// values reach `options.shard_bytes`. `options.text_of` adds the column `text`. What is there already is replaced if
/// it is such a dataset. Errors: kUsage for a target that is something else; kDamage, kResource.
[[nodiscard]] Status export_dataset(const RunView& run, const std::string& target, const ExportOptions& options);

}  // namespace layerscope
