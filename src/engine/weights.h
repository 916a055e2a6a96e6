// A model's weights, laid out for a backend. Transposed, cut, packed and cast; never folded, centred or rescaled.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "engine/binder.h"
#include "layerscope/error.h"
#include "spec/spec.h"

namespace layerscope {

/// A norm with the memory behind it.
struct NormWeights {
  NormView view;
  std::vector<float> weight, bias;
};

struct AttentionWeights {
  std::unique_ptr<PackedLinear> in;      ///< q, k and v end to end; q alone where keys come from the encoder
  std::unique_ptr<PackedLinear> memory;  ///< k and v of the encoder's states
  std::unique_ptr<PackedLinear> out;
  std::unique_ptr<NormWeights> q_norm, k_norm;
};

struct MlpWeights {
  std::unique_ptr<PackedLinear> in;  ///< activation(up), or gate and up end to end
  std::unique_ptr<PackedLinear> down;
};

struct StepWeights {
  std::unique_ptr<NormWeights> pre, post, after;
  AttentionWeights attention;
  MlpWeights mlp;
};

struct StackWeights {
  MatrixView token, position, type;  ///< looked up where they lie in the checkpoint
  std::unique_ptr<NormWeights> embed_norm, top;
  std::vector<float> score;  ///< [buckets, heads]
  std::vector<std::vector<StepWeights>> blocks;
};

struct ModelWeights {
  StackWeights encoder, decoder;
  std::size_t packed_bytes = 0;
};

/// Packs all weights. The source behind the bindings must outlive the result (embedding tables stay in it). Errors:
/// kResource, kRuntime.
[[nodiscard]] Result<ModelWeights> load_weights(const ModelSpec& spec, const Bindings& bindings,
                                                const Backend& backend);

}  // namespace layerscope
