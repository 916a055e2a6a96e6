// How much a job will write and how long it will take, from its first rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "job/row_feed.h"
#include "job/runner.h"
#include "layerscope/tap.h"
#include "store/layout.h"

namespace layerscope {

struct SizeEstimate {
  std::int64_t rows = 0, tokens = 0;
  std::uint64_t bytes = 0;
  bool exact = false;  ///< the whole input was seen
};

/// The rows that wait in a feed, extrapolated by bytes of the input from `begin` on. Nothing if the input's size is not
/// known and it has not been seen whole.
[[nodiscard]] std::optional<SizeEstimate> estimate_size(const RowFeed::Preview& preview, const TapPlan& plan,
                                                        const ShardSchema& schema, std::uint64_t begin,
                                                        std::optional<std::uint64_t> total,
                                                        const PickTokens& picks = {});

/// Tokens a second of one thread, from a first batch of the waiting rows that is run twice. 0 if no row can be run.
[[nodiscard]] Result<double> measure_rate(const RowFeed::Preview& preview, const RowRunner& model, const TapPlan& plan,
                                          std::int64_t batch_tokens);

/// The folder that exists above a path, for its free space.
[[nodiscard]] std::string existing_folder(std::string path);

/// "41 GB", "3.2 MB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace layerscope
