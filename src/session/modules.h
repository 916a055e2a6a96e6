// The modules of a sentence-transformers folder: what it does with a model's states to make one vector of them.
//
// Facts: sentence_transformers 6.2, base/model.py, base/modules/{transformer,dense,normalize}.py and
// sentence_transformer/modules/{pooling,layer_norm,dropout}.py. Both generations of names and of Pooling's settings are
// read; anything that would change the vector and is not understood is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tap.h"

namespace layerscope {

/// The activations of torch.nn, with their default arguments, that a Dense module may name.
enum class DenseActivation : std::uint8_t {
  kIdentity,
  kTanh,
  kRelu,
  kRelu6,      ///< min(max(x, 0), 6)
  kLeakyRelu,  ///< x, or 0.01 x below 0
  kGelu,       ///< x * Phi(x), Phi by erf
  kSilu,       ///< x * sigmoid(x)
  kSigmoid,
  kElu,       ///< x, or exp(x) - 1 below 0
  kSoftplus,  ///< log(1 + exp(x)), x itself above 20
  kMish,      ///< x * tanh(softplus(x))
};

/// out = activation(W x + b), plus R x or x itself with `use_residual`.
struct DenseModule {
  std::int64_t inputs = 0, outputs = 0;
  DenseActivation activation = DenseActivation::kTanh;
  std::vector<float> weight;  ///< [outputs, inputs]
  std::vector<float> bias;    ///< [outputs], or empty
  bool use_residual = false;
  std::vector<float> residual;  ///< [outputs, inputs], or empty: x itself
  std::string config;           ///< the file that describes it, for messages
};

/// (x - mean) / sqrt(variance + 1e-5) * weight + bias.
struct LayerNormModule {
  std::vector<float> weight, bias;
  std::string config;
};

/// x / max(|x|, 1e-12).
struct NormalizeModule {};

using VectorModule = std::variant<DenseModule, LayerNormModule, NormalizeModule>;

struct PoolingModule {
  std::vector<Pooling> modes;  ///< their vectors are concatenated in this order
  bool include_prompt = true;
  std::optional<std::int64_t> dimension;  ///< that the file says a state has
  std::string config;                     ///< the file that says it, for messages
};

/// What a folder says about its vectors.
struct SentenceModules {
  std::string model_folder;  ///< where config.json and the weights are: the folder, or one within it
  PoolingModule pooling;
  std::vector<VectorModule> after;         ///< what follows pooling, in order; Dropout does nothing and is left out
  std::optional<std::int64_t> max_length;  ///< tokens of a text, special ones included
  bool lower_case = false;
  std::vector<std::pair<std::string, std::string>> prompts;  ///< by name, in the order of the file
  std::optional<std::string> default_prompt;                 ///< the text of `default_prompt_name`
  std::string similarity = "cosine";
  std::optional<std::int64_t> truncate_dim;
  std::string chat_template;       ///< the file that holds one, empty where no text is wrapped
  std::vector<std::string> files;  ///< paths of everything that was read here
};

/// Reads a folder with or without modules.json; without one no other settings of sentence-transformers hold, and
/// pooling is the mean, or the last token where the architecture named in config.json is a causal language model.
/// Errors: kModel with file and field.
[[nodiscard]] Result<SentenceModules> read_modules(const std::string& folder);

}  // namespace layerscope
