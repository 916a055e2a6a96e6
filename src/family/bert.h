// What BERT and its near relatives share.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "spec/bind.h"

namespace layerscope {

/// What a relative's config.json calls BERT's settings; empty: it has no such key, the default holds.
struct BertKeys {
  std::string_view width = "hidden_size", layers = "num_hidden_layers", heads = "num_attention_heads",
                   hidden = "intermediate_size", activation = "hidden_act", epsilon = "layer_norm_eps";
};

/// Where a relative differs from BERT.
struct BertTraits {
  BertKeys keys = {};
  std::string_view activation = "gelu";  ///< of the MLP where the config names none
  bool pre_norm = false;                 ///< norms go before the steps and over the top, rather than after the steps
  bool gated = false;                    ///< the MLP
  bool bias = true;                      ///< of all matrices
  std::optional<std::int64_t> head_dim = {};
  std::optional<Rope> rope = {};
  std::optional<BucketBias> score = {};

  bool embedding_norm = true;
  std::optional<PositionTable> positions = {};
  std::int64_t types = 0;                        ///< rows of the type table
  std::optional<std::int64_t> table_width = {};  ///< of the embeddings; a matrix follows where it is not the stream's

  std::optional<Activation> head_activation = {};  ///< of the head's transform; none: the MLP's
};

/// Table of positions counted from 0, read from "max_position_embeddings".
[[nodiscard]] PositionTable plain_positions(Config& config);
/// Table of positions counted from behind the padding's id, at which padding itself stands.
[[nodiscard]] PositionTable padded_positions(Config& config, std::int64_t padding_id);
/// The padding's id, which has to be there.
[[nodiscard]] std::int64_t padding_id(Config& config, std::optional<std::int64_t> fallback);

/// Bidirectional attention and an MLP, each with a layer norm (Devlin et al. 2018), and the head over the vocabulary
/// where the architecture has one.
[[nodiscard]] ModelSpec describe_bert(Config& config, const BertTraits& traits);

/// Names of tensors in all relatives whose blocks are called encoder.layer.{i}: where they differ, each has its row.
extern const std::span<const Bind> kBertBinds;
extern const std::span<const std::string_view> kBertIgnored;

}  // namespace layerscope
