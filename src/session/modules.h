// The modules of a sentence-transformers folder: what it does with a model's states to make vectors of them.
//
// Facts: sentence_transformers 6.2, base/model.py, base/modules/{transformer,dense,normalize}.py,
// sentence_transformer/modules/{pooling,layer_norm,dropout}.py, multi_vector_encoder/model.py and
// multi_vector_encoder/modules/multi_vector_mask.py, sparse_encoder/model.py and
// sparse_encoder/modules/{mlm_transformer,splade_pooling}.py. Both generations of names and of Pooling's settings are
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

/// What is made of a text.
enum class VectorKind : std::uint8_t {
  kDense,   ///< one vector
  kTokens,  ///< a vector for every token that is kept, compared by late interaction (Khattab and Zaharia 2020)
  kSparse,  ///< a weight for every entry of the vocabulary, most of them 0 (Formal et al. 2021)
};
[[nodiscard]] std::string_view vector_kind_name(VectorKind kind) noexcept;
[[nodiscard]] std::optional<VectorKind> vector_kind_from_name(std::string_view name) noexcept;

/// Queries are brought to `length` tokens by copies of `token`.
struct QueryExpansion {
  std::int64_t length = 32;
  bool cut = true;      ///< longer queries are cut to it
  bool attend = false;  ///< the other tokens attend to the copies
  std::string token;    ///< empty: the tokenizer's [MASK]
  std::string config;   ///< the file that asks for it, for messages
};

/// Vectors of tokens: a projection of each token's state, and which tokens get one.
struct TokenVectors {
  std::vector<VectorModule> steps;  ///< in order, on every token by itself
  std::vector<std::string> skipped_words;
  bool skip_in_queries = false, skip_in_documents = true;  ///< where tokens among skipped_words get no vector
  bool first_token = true;                                 ///< whether the first token gets one
  std::optional<std::int64_t> query_length, document_length;
  std::optional<QueryExpansion> expansion;
  std::vector<std::string> markers;  ///< texts of prompts that are one token each
};

/// max or sum over tokens of log(1 + relu(score)), for every entry of the vocabulary.
struct SpladeHead {
  bool sum = false;
  bool twice = false;  ///< log(1 + log(1 + relu(score)))
  std::optional<std::int64_t> dimension;
  std::string config;  ///< the file that asks for it, for messages
};

/// relu(w . state + b) of every token that is not special; the largest of an id counts (Chen et al. 2024, BGE-M3).
struct LexicalHead {
  std::vector<float> weight;  ///< [hidden]
  float bias = 0;
  std::string config;
};

struct SparseVectors {
  std::variant<SpladeHead, LexicalHead> head;
  std::optional<std::int64_t> most_active;  ///< only so many of the largest weights are kept
};

/// What a folder says about its vectors.
struct SentenceModules {
  VectorKind kind = VectorKind::kDense;
  std::string model_folder;  ///< where config.json and the weights are: the folder, or one within it
  PoolingModule pooling;
  TokenVectors tokens;                     ///< where the kind is kTokens
  SparseVectors sparse;                    ///< where the kind is kSparse
  std::vector<VectorModule> after;         ///< what follows pooling, in order; Dropout does nothing and is left out
  std::optional<std::int64_t> max_length;  ///< tokens of a text, special ones included
  bool lower_case = false;
  std::string mask_token;  ///< of the tokenizer, empty without one
  bool pads_left = false;
  std::vector<std::pair<std::string, std::string>> prompts;  ///< by name, in the order of the file
  std::optional<std::string> default_prompt;                 ///< the text of `default_prompt_name`
  std::string similarity = "cosine";
  std::optional<std::int64_t> truncate_dim;
  std::vector<std::string> other_tensors;  ///< in the model's weight file, but read here
  std::string chat_template;               ///< the file that holds one, empty where no text is wrapped
  std::vector<std::string> files;          ///< paths of everything that was read here
};

/// Reads a folder with or without modules.json; without one no other settings of sentence-transformers hold, and
/// pooling is the mean, or the last token where the architecture named in config.json is a causal language model. The
/// kind of vectors is the folder's own unless one is asked for. Errors: kModel with file and field; kUsage for a kind
/// that the folder cannot give.
[[nodiscard]] Result<SentenceModules> read_modules(const std::string& folder, std::optional<VectorKind> kind = {});

}  // namespace layerscope
