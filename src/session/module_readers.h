// The modules of a sentence-transformers folder one by one: their settings and weights.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "layerscope/error.h"
#include "session/module_files.h"
#include "session/modules.h"

namespace layerscope {

/// What a module reads: the vector of a text, or those of its tokens.
inline constexpr std::string_view kSentenceInput = "sentence_embedding", kTokenInput = "token_embeddings";

/// kModel: `FILE: what`.
[[nodiscard]] Error refused_module(const std::string& file, const std::string& what);
/// "torch.nn.modules.activation.Tanh" to "Tanh".
[[nodiscard]] std::string_view last_part(std::string_view dotted);

/// A stored tensor as float32. Errors: kModel where it is missing, of another shape than `config` asks for, no float
/// tensor or not finite.
[[nodiscard]] Result<std::vector<float>> stored_floats(const Checkpoint& weights, const std::string& name,
                                                       const Shape& shape, const std::string& config);

/// A Pooling module's settings of either generation.
[[nodiscard]] Result<PoolingModule> read_pooling(const std::string& path);
/// A Dense module in `folder` whose input is one of `inputs`, the first where it does not say. What is read is added to
/// `files`.
[[nodiscard]] Result<DenseModule> read_dense(const std::string& folder, std::initializer_list<std::string_view> inputs,
                                             std::vector<std::string>& files);
[[nodiscard]] Result<LayerNormModule> read_layer_norm(const std::string& folder, std::vector<std::string>& files);
/// `NAME.safetensors` in a folder, a matrix "weight" and perhaps a vector "bias"; nothing where neither it nor a
/// pickled NAME.pt is there. Errors: kModel where only the pickled one is, which is never read.
[[nodiscard]] Result<std::optional<DenseModule>> read_linear(const std::string& folder, const std::string& name,
                                                             std::vector<std::string>& files);
/// Refuses a Normalize module in `folder` whose input is not `input`.
[[nodiscard]] Status read_normalize(const std::string& folder, std::string_view input, std::vector<std::string>& files);

}  // namespace layerscope
