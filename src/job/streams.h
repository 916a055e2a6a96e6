// Streams of several layers side by side, token by token: out of a model or a run folder, a batch at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "job/input.h"
#include "job/states_job.h"
#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

struct StreamBatch {
  std::vector<std::int64_t> rows;           ///< of every token, the number of its row
  std::vector<std::vector<float>> streams;  ///< by site, [tokens, width]
};

/// Where streams come from; may be walked several times.
class StreamSource {
 public:
  virtual ~StreamSource() = default;
  /// Those of `sites` that it has.
  [[nodiscard]] virtual Result<std::vector<std::string>> available(const std::vector<std::string>& sites) const = 0;
  /// Calls `take` with every batch, in the order of the rows. All sites have one width. Errors: those of `take`; kInput
  /// for a bad row, kRuntime, kDamage for what cannot be read.
  [[nodiscard]] virtual Status walk(const std::vector<std::string>& sites,
                                    const std::function<Status(const StreamBatch&)>& take) = 0;
};

/// How rows are read again and again; nothing else of the job's options is looked at.
struct TextStreamOptions {
  TokenizeOptions tokenize;
  bool skip_bad = false;
  std::function<void(const Error&)> skipped;
  int threads = 1;
};
using OpenRows = std::function<Result<std::unique_ptr<RowReader>>()>;

/// Texts run through the model. `model` outlives it.
[[nodiscard]] std::unique_ptr<StreamSource> text_streams(const Model& model, OpenRows open, TextStreamOptions options);
/// A complete run folder of that model. Errors: as open_run; kUsage for a run of another model.
[[nodiscard]] Result<std::unique_ptr<StreamSource>> run_streams(const Model& model, const std::string& folder);

}  // namespace layerscope
