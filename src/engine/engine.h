// The forward pass: one for every family.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/team.h"
#include "engine/head.h"
#include "engine/kv_cache.h"
#include "engine/weights.h"
#include "engine/workspace.h"
#include "layerscope/edits.h"
#include "layerscope/error.h"
#include "spec/spec.h"
#include "tap/frame.h"

namespace layerscope {

/// A forward pass need not begin at the tokens.
struct StartPoint {
  StackId stack = StackId::kEncoder;
  int block = 0, step = 0;  ///< the first step that runs
  RowsView stream;          ///< [tokens, width] what it reads, in the stream's type
};

struct RunOptions {
  std::optional<StartPoint> start;
  /// [encoder's tokens, width] in the stream's type: what the decoder's cross attention reads. The encoder does not
  /// run.
  std::optional<RowsView> encoded;
  /// One cache a sequence: the decoder's tokens are new ones behind those of the cache, and join it. For a model with
  /// two stacks the encoder's tokens come with the first call and are left out of later ones.
  std::span<KvCache* const> caches;
  const EditPlan* edits = nullptr;  ///< changes of the stream, made before a site is shown
  /// By sequence, the decoder's tokens from whose end negative positions of edits count: those of the prompt, when a
  /// row runs in several calls. Empty: those of cache and batch together.
  std::span<const std::int64_t> edited_lengths;
  /// Threads that share the batch, or null for the calling one alone: no bit depends on it. The caller becomes a worker
  /// (Backend::enter_worker).
  Team* team = nullptr;
  /// Every sequence has exactly one new token, behind its cache: products read their weights once, at the speed of
  /// memory. A row's bits depend neither on the number of sequences nor on the team; they need not be those of a pass
  /// that is no step.
  bool steps = false;
};

/// Weights and backend behind a spec, ready to run batches from any number of threads.
class Engine {
 public:
  Engine(ModelSpec spec, ModelWeights weights, std::unique_ptr<Backend> backend);

  /// Runs a batch (checked by the caller: ids within the vocabulary, positions within the table) as far as the plan
  /// needs and shows every wanted site. Errors: kRuntime naming site, row and token where the stream first holds a NaN
  /// or infinity; the observer's own; kUsage for options that go with neither the model nor the batch.
  [[nodiscard]] Status run(const Batch& batch, const TapPlan& plan, Observer& observer,
                           const RunOptions& options = {}) const;

  /// Packs the head if that has not been done. Errors: kUsage for a model without one; kResource.
  [[nodiscard]] Status load_head() const;
  /// finals [n, final width] -> out [n, vocabulary], both in the stream's type; of `options`, team and steps count.
  /// Errors: those of load_head; kUsage for rows of another type.
  [[nodiscard]] Status logits(const RowsView& finals, const MutableRows& out, const RunOptions& options = {}) const;
  /// Likewise, scores over labels: finals [n, final width] -> out [n, labels].
  [[nodiscard]] Status label_scores(const RowsView& finals, const MutableRows& out) const;
  [[nodiscard]] bool has_pooler() const noexcept { return weights_.pooler.has_value(); }
  /// What the pooler makes of first final states: [n, width] -> [n, width], both in the stream's type. Errors: kUsage
  /// for a model without one; kResource.
  [[nodiscard]] Status pool(const RowsView& finals, const MutableRows& out) const;
  /// What the end of a stack makes of its stream: [n, width] -> [n, final width], both in the stream's type.
  [[nodiscard]] Status finish(StackId stack, const RowsView& stream, const MutableRows& out) const;

  [[nodiscard]] const ModelSpec& spec() const noexcept { return spec_; }
  [[nodiscard]] const Backend& backend() const noexcept { return *backend_; }
  [[nodiscard]] std::size_t packed_bytes() const noexcept { return weights_.packed_bytes; }

 private:
  [[nodiscard]] std::unique_ptr<Workspace> take_workspace() const;
  void return_workspace(std::unique_ptr<Workspace> workspace) const;
  [[nodiscard]] Result<const PackedHead*> head() const;

  ModelSpec spec_;
  ModelWeights weights_;
  std::unique_ptr<Backend> backend_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;
  mutable LazyHead head_, labels_, pooler_;
};

}  // namespace layerscope
