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

struct EncoderShape {
  const char* name;
  std::int64_t width, hidden, layers, heads;
  /// Weights of the blocks' matrices.
  [[nodiscard]] double block_weights() const {
    return static_cast<double>(layers) * static_cast<double>(4 * width * width + 2 * width * hidden);
  }
};
inline constexpr std::int64_t kVocabulary = 30522, kPositions = 512;

/// Writes config.json and model.safetensors (float32, names as the family has them) into `folder`.
inline void write_model(const std::string& folder, const EncoderShape& shape) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << R"({"model_type":"bert","hidden_size":)" << shape.width
                                         << R"(,"intermediate_size":)" << shape.hidden << R"(,"num_hidden_layers":)"
                                         << shape.layers << R"(,"num_attention_heads":)" << shape.heads
                                         << R"(,"vocab_size":)" << kVocabulary << R"(,"max_position_embeddings":)"
                                         << kPositions << "}";
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors = {
      {"embeddings.word_embeddings.weight", {kVocabulary, shape.width}},
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

/// Lengths as of real corpora: log-normal, median 55, 4 to 512 tokens.
inline std::vector<std::int64_t> row_lengths(std::int64_t tokens) {
  std::mt19937 generator(7);
  std::lognormal_distribution<double> lengths(std::log(55.0), 0.8);
  std::vector<std::int64_t> rows;
  for (std::int64_t left = tokens; left > 0; left -= rows.back())
    rows.push_back(std::clamp<std::int64_t>(static_cast<std::int64_t>(lengths(generator)), 4, 512));
  return rows;
}

}  // namespace layerscope::bench
