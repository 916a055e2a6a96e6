// A model's weights, laid out for a backend. Transposed, cut, packed and cast; never folded, centred or rescaled.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "engine/binder.h"
#include "engine/positions.h"
#include "layerscope/error.h"
#include "spec/spec.h"

namespace layerscope {

/// A norm with the memory behind it.
struct NormWeights {
  NormView view;
  std::vector<float> weight, bias;
};

/// Matrices into narrow ranks and out of them again.
struct LatentWeights {
  std::unique_ptr<PackedLinear> in;     ///< q_down (or all of q) and kv_down end to end
  std::unique_ptr<PackedLinear> q_up;   ///< null where q comes from one full matrix
  std::unique_ptr<PackedLinear> kv_up;  ///< every head's unrotated keys, then its values
  std::unique_ptr<NormWeights> q_norm, kv_norm;
};

struct AttentionWeights {
  std::unique_ptr<PackedLinear> in;      ///< q, k and v end to end; q alone where keys come from the encoder
  std::unique_ptr<PackedLinear> memory;  ///< k and v of the encoder's states
  std::unique_ptr<PackedLinear> out;
  std::unique_ptr<NormWeights> q_norm, k_norm;
  std::unique_ptr<LatentWeights> latent;  ///< instead of `in`
  std::vector<float> sinks;               ///< [heads]
  std::vector<float> score;               ///< [buckets, heads], a table of the block's own
  std::unique_ptr<PackedLinear> position_k, position_q;
};

struct MlpWeights {
  std::unique_ptr<PackedLinear> in;  ///< activation(up), or gate and up end to end
  std::unique_ptr<PackedLinear> down;
  float alpha_p = 0, alpha_n = 0;  ///< of Xielu, as its formula takes them
};

struct ExpertsWeights {
  std::unique_ptr<PackedLinear> router;
  std::vector<float> correction;  ///< [experts]
  std::vector<MlpWeights> experts;
  MlpWeights shared;
  std::unique_ptr<PackedLinear> shared_gate;
};

struct ShortConvWeights {
  std::unique_ptr<PackedLinear> in, out;
  std::vector<float> taps;  ///< [width, taps]
  std::vector<float> bias;  ///< [width]
};

struct TokenConvWeights {
  std::vector<std::unique_ptr<PackedLinear>> groups;  ///< of [width / groups, taps * width / groups], activated
};

struct StepWeights {
  std::unique_ptr<NormWeights> pre, post, after;
  AttentionWeights attention;
  MlpWeights mlp;
  std::unique_ptr<ExpertsWeights> experts;
  std::unique_ptr<ShortConvWeights> short_conv;
  std::unique_ptr<TokenConvWeights> token_conv;
};

struct StackWeights {
  MatrixView token, position, type, task;  ///< looked up where they lie in the checkpoint
  std::vector<float> computed_positions;   ///< behind `position` where the checkpoint has no table
  std::unique_ptr<PackedLinear> embed_projection, top_projection;
  std::unique_ptr<NormWeights> embed_norm, top, relative_norm;
  std::optional<Rotation> angles;               ///< of StoredRotation, where the checkpoint has it
  std::optional<FixedFrequencies> frequencies;  ///< likewise
  std::vector<float> score;                     ///< [buckets, heads]
  std::vector<float> relative;                  ///< [2 * span, width]
  std::vector<std::vector<StepWeights>> blocks;
  std::vector<std::size_t> owner;  ///< of every block: the one whose weights it uses
  [[nodiscard]] const std::vector<StepWeights>& block(std::size_t index) const { return blocks[owner[index]]; }
};

/// What a head is made of, left where the checkpoint has it until scores are wanted.
struct HeadTensors {
  std::vector<MatrixView> transform, out;
  std::vector<float> transform_bias, out_bias;
  std::unique_ptr<NormWeights> norm;
};

struct ModelWeights {
  StackWeights encoder, decoder;
  std::optional<HeadTensors> head, labels;  ///< where the spec has them and nothing of them is missing
  std::optional<HeadTensors> pooler;        ///< likewise, as the transform of a head without scores
  std::size_t packed_bytes = 0;
};

/// Packs all weights but the head's. The source behind the bindings must outlive the result (embedding tables and the
/// head stay in it). Errors: kResource, kRuntime.
[[nodiscard]] Result<ModelWeights> load_weights(const ModelSpec& spec, const Bindings& bindings,
                                                const Backend& backend);

}  // namespace layerscope
