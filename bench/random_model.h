// A model folder of random weights in the shape of a known encoder, and rows of ids to run through it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace layerscope::bench {

inline constexpr std::int64_t kVocabulary = 30522, kPositions = 512;

struct ModelShape {
  const char* name;
  std::int64_t width, hidden, layers, heads;
  std::int64_t kv_heads = 0;    ///< 0: an encoder like BERT's; otherwise a decoder like Llama's, all rows 512 tokens
  std::int64_t vocabulary = 0;  ///< of a decoder with a head; 0: kVocabulary, and no head
  [[nodiscard]] bool decoder() const { return kv_heads > 0; }
  [[nodiscard]] std::int64_t words() const { return vocabulary > 0 ? vocabulary : kVocabulary; }
  [[nodiscard]] std::int64_t key_width() const { return decoder() ? width / heads * kv_heads : width; }
  /// [outputs, inputs] of a block's products as the engine packs them.
  [[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> products() const {
    return {
        {width + 2 * key_width(), width}, {width, width}, {decoder() ? 2 * hidden : hidden, width}, {width, hidden}};
  }
  /// Weights of the blocks' matrices.
  [[nodiscard]] double block_weights() const {
    double sum = 0;
    for (const auto& [outputs, inputs] : products()) sum += static_cast<double>(outputs * inputs);
    return static_cast<double>(layers) * sum;
  }
  /// Operations over a row, its attention included: a causal one computes half of the scores.
  [[nodiscard]] double operations(std::int64_t length) const {
    const double scores = static_cast<double>(length) * static_cast<double>(length) * (decoder() ? 0.5 : 1.0);
    return 2 * block_weights() * static_cast<double>(length) + 4 * static_cast<double>(layers * width) * scores;
  }
};
using Tensors = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

inline Tensors encoder_tensors(const ModelShape& shape) {
  Tensors tensors = {{"embeddings.word_embeddings.weight", {kVocabulary, shape.width}},
                     {"embeddings.position_embeddings.weight", {kPositions, shape.width}},
                     {"embeddings.token_type_embeddings.weight", {2, shape.width}}};
  const auto module = [&](const std::string& name, std::vector<std::int64_t> weight) {
    tensors.push_back({name + ".bias", {weight.front()}});
    tensors.push_back({name + ".weight", std::move(weight)});
  };
  module("embeddings.LayerNorm", {shape.width});
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string at = "encoder.layer." + std::to_string(i) + ".";
    for (const char* name :
         {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"})
      module(at + name, {shape.width, shape.width});
    module(at + "attention.output.LayerNorm", {shape.width});
    module(at + "intermediate.dense", {shape.hidden, shape.width});
    module(at + "output.dense", {shape.width, shape.hidden});
    module(at + "output.LayerNorm", {shape.width});
  }
  return tensors;
}

inline Tensors decoder_tensors(const ModelShape& shape) {
  Tensors tensors = {{"embed_tokens.weight", {shape.words(), shape.width}}, {"norm.weight", {shape.width}}};
  if (shape.vocabulary > 0) tensors.push_back({"lm_head.weight", {shape.vocabulary, shape.width}});
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string at = "layers." + std::to_string(i) + ".";
    for (const char* name : {"input_layernorm", "post_attention_layernorm"})
      tensors.push_back({at + name + ".weight", {shape.width}});
    for (const char* name : {"q_proj", "o_proj"})
      tensors.push_back({at + "self_attn." + name + ".weight", {shape.width, shape.width}});
    for (const char* name : {"k_proj", "v_proj"})
      tensors.push_back({at + "self_attn." + name + ".weight", {shape.key_width(), shape.width}});
    for (const char* name : {"gate_proj", "up_proj"})
      tensors.push_back({at + "mlp." + name + ".weight", {shape.hidden, shape.width}});
    tensors.push_back({at + "mlp.down_proj.weight", {shape.width, shape.hidden}});
  }
  return tensors;
}

/// Writes config.json and model.safetensors (float32, names as the family has them) into `folder`.
inline void write_model(const std::string& folder, const ModelShape& shape) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << R"({"model_type":")" << (shape.decoder() ? "llama" : "bert")
                                         << (shape.vocabulary > 0 ? R"(","architectures":["LlamaForCausalLM)" : "")
                                         << (shape.vocabulary > 0 ? R"("],"hidden_size":)" : R"(","hidden_size":)")
                                         << shape.width << R"(,"intermediate_size":)" << shape.hidden
                                         << R"(,"num_hidden_layers":)" << shape.layers << R"(,"num_attention_heads":)"
                                         << shape.heads
                                         << (shape.decoder() ? R"(,"num_key_value_heads":)" : R"(,"type_vocab_size":)")
                                         << (shape.decoder() ? shape.kv_heads : 2) << R"(,"vocab_size":)"
                                         << shape.words() << R"(,"max_position_embeddings":)" << kPositions << "}";
  const Tensors tensors = shape.decoder() ? decoder_tensors(shape) : encoder_tensors(shape);
  std::string header = "{";
  std::int64_t begin = 0;
  for (const auto& [name, dims] : tensors) {
    std::int64_t elements = 1;
    std::string text;
    for (const std::int64_t dim : dims) {
      elements *= dim;
      text += (text.empty() ? "" : ",") + std::to_string(dim);
    }
    header += (begin == 0 ? "\"" : ",\"") + name + R"(":{"dtype":"F32","shape":[)" + text + R"(],"data_offsets":[)" +
              std::to_string(begin) + "," + std::to_string(begin + 4 * elements) + "]}";
    begin += 4 * elements;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  const auto length = static_cast<std::uint64_t>(header.size());
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 0.04F);
  std::vector<float> values(1 << 16);
  for (float& value : values) value = normal(generator);
  for (std::int64_t left = begin / 4; left > 0; left -= static_cast<std::int64_t>(values.size())) {
    file.write(reinterpret_cast<const char*>(values.data()),
               std::min<std::int64_t>(left, static_cast<std::int64_t>(values.size())) * 4);
  }
}

/// Lengths as of real corpora, log-normal, median 55, 4 to 512 tokens; 512 each for a decoder.
inline std::vector<std::int64_t> row_lengths(const ModelShape& shape, std::int64_t tokens) {
  if (shape.decoder()) return std::vector<std::int64_t>(static_cast<std::size_t>(tokens / kPositions), kPositions);
  std::mt19937 generator(7);
  std::lognormal_distribution<double> lengths(std::log(55.0), 0.8);
  std::vector<std::int64_t> rows;
  for (std::int64_t left = tokens; left > 0; left -= rows.back())
    rows.push_back(std::clamp<std::int64_t>(static_cast<std::int64_t>(lengths(generator)), 4, 512));
  return rows;
}

}  // namespace layerscope::bench
