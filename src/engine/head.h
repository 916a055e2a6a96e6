// The end of a model: from a stack's stream to its final states, and from those to scores over the vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/binder.h"
#include "engine/weights.h"
#include "engine/workspace.h"
#include "layerscope/error.h"
#include "spec/spec.h"

namespace layerscope {

/// What is not there of the head that `spec` describes, "tensor "lm_head.weight" is missing"; empty where it is whole.
/// A bias of the scores that is missing is one of zeros.
[[nodiscard]] std::string missing_of_head(const ModelSpec& spec, const Bindings& bindings);
/// The same of the head over labels.
[[nodiscard]] std::string missing_of_labels(const ModelSpec& spec, const Bindings& bindings);

/// The head's matrices, laid out for a backend; those that are not there are null.
struct PackedHead {
  std::unique_ptr<PackedLinear> transform, out;
  const NormWeights* norm = nullptr;
};

/// `tensors` must outlive the result. Errors: kResource, kRuntime.
[[nodiscard]] Result<PackedHead> pack_head(const Head& head, const HeadTensors& tensors, const Backend& backend);

/// A head that is packed when it is first wanted, by whichever thread that is.
class LazyHead {
 public:
  /// All must outlive the result. Errors: those of pack_head, each time anew.
  [[nodiscard]] Result<const PackedHead*> get(const Head& head, const HeadTensors& tensors, const Backend& backend);

 private:
  std::mutex mutex_;
  std::unique_ptr<const PackedHead> packed_;
};

/// Rows of scores that are made at a time, so that they take a few tens of megabytes whatever the vocabulary.
[[nodiscard]] std::int64_t score_rows(std::int64_t vocabulary) noexcept;

/// finals [n, final width] in the stream's type -> out [n, vocabulary] in the stream's type.
[[nodiscard]] Status score(const Backend& backend, const Head& head, const PackedHead& weights, const RowsView& finals,
                           const MutableRows& out, Workspace& workspace);

/// finals [n, width] of first tokens -> out [n, width], what the pooler makes of them; both in the stream's type.
[[nodiscard]] Status pool_rows(const Backend& backend, const PackedHead& weights, const RowsView& finals,
                               const MutableRows& out, Workspace& workspace);

/// stream [n, width] -> out [n, final width], both in the stream's type; without a projection they may be the same
/// memory.
[[nodiscard]] Status finish_rows(const Backend& backend, const StackWeights& weights, const RowsView& stream,
                                 const MutableRows& out, Workspace& workspace);

}  // namespace layerscope
