// Every key of a config against the same edge values: what opens and what is refused is written down for each.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "unit/session/model_copy.h"

namespace layerscope {
namespace {

constexpr std::array<std::string_view, 12> kEdges = {
    "", "null", "0", "-1", "2147483648", "9223372036854775808", "1e308", "1.5", "\"x\"", "true", "[]", "{}"};

/// One letter an edge value: o opens; r refused by config.json's key; t refused as a tensor is missing or misshapen.
struct Row {
  std::string_view model, key, outcomes;
  std::string_view named = {};  ///< what the message names instead of the key
};

constexpr std::string_view kRequired = "rrrrrrrrrrrr";
constexpr std::string_view kOptional = "oorrrrrrrrrr";  // has a default that fits this model
constexpr std::string_view kMisfit = "ttrrrrrrrrrr";    // has a default that does not fit this model's tensors
constexpr std::string_view kIndex = "ooorrrrrrrrr";
constexpr std::string_view kFlag = "oorrrrrrrorr";
constexpr std::string_view kWithTensors = "oorrrrrrrtrr";  // true needs tensors that this model lacks
constexpr std::string_view kObject = "oorrrrrrrrro";
constexpr std::string_view kUnused = "oooooooooooo";  // no part in hidden states

constexpr Row kRows[] = {
    {"bert-base-v5", "model_type", kRequired},
    {"bert-base-v5", "hidden_size", kRequired},
    {"bert-base-v5", "intermediate_size", kRequired},
    {"bert-base-v5", "num_attention_heads", kRequired},
    {"bert-base-v5", "num_hidden_layers", kRequired},
    {"bert-base-v5", "architectures", "oorrrrrrrror"},
    {"bert-base-v5", "vocab_size", kRequired},
    {"bert-base-v5", "type_vocab_size", kOptional},
    {"bert-base-v5", "max_position_embeddings", kMisfit},
    {"bert-base-v5", "hidden_act", kOptional},
    {"bert-base-v5", "layer_norm_eps", kOptional},
    {"bert-base-v5", "is_decoder", kOptional},
    {"bert-base-v5", "add_cross_attention", kOptional},

    {"gpt2-base-v4", "model_type", kRequired},
    {"gpt2-base-v4", "n_embd", kRequired},
    {"gpt2-base-v4", "n_head", kRequired},
    {"gpt2-base-v4", "n_layer", kRequired},
    {"gpt2-base-v4", "architectures", "oorrrrrrrror"},
    {"gpt2-base-v4", "vocab_size", kRequired},
    {"gpt2-base-v4", "n_inner", kOptional},
    {"gpt2-base-v4", "n_positions", kMisfit},
    {"gpt2-base-v4", "activation_function", kOptional},
    {"gpt2-base-v4", "layer_norm_epsilon", kOptional},
    {"gpt2-base-v4", "scale_attn_weights", kFlag},
    {"gpt2-base-v4", "scale_attn_by_inverse_layer_idx", kFlag},

    {"llama-base-v4", "model_type", kRequired},
    {"llama-base-v4", "hidden_size", kRequired},
    {"llama-base-v4", "intermediate_size", kRequired},
    {"llama-base-v4", "num_attention_heads", kRequired},
    {"llama-base-v4", "num_hidden_layers", kRequired},
    {"llama-base-v4", "architectures", "oorrrrrrrror"},
    {"llama-base-v4", "vocab_size", kRequired},
    {"llama-base-v4", "num_key_value_heads", kMisfit},
    {"llama-base-v4", "head_dim", kOptional},
    {"llama-base-v4", "hidden_act", kOptional},
    {"llama-base-v4", "rms_norm_eps", kOptional},
    {"llama-base-v4", "attention_bias", kWithTensors},
    {"llama-base-v4", "mlp_bias", kWithTensors},
    {"llama-base-v4", "rope_scaling", kObject},
    {"llama-base-v4", "rope_theta", "oorroororrrr"},

    {"mistral-window-v5", "model_type", kRequired},
    {"mistral-window-v5", "hidden_size", kRequired},
    {"mistral-window-v5", "intermediate_size", kRequired},
    {"mistral-window-v5", "num_attention_heads", kRequired},
    {"mistral-window-v5", "num_hidden_layers", kRequired},
    {"mistral-window-v5", "architectures", "oorrrrrrrror"},
    {"mistral-window-v5", "vocab_size", kRequired},
    {"mistral-window-v5", "num_key_value_heads", "rtrrrrrrrrrr"},
    {"mistral-window-v5", "head_dim", kMisfit},
    {"mistral-window-v5", "hidden_act", kOptional},
    {"mistral-window-v5", "rms_norm_eps", kOptional},
    {"mistral-window-v5", "rope_parameters", kObject},
    {"mistral-window-v5", "sliding_window", kOptional},

    {"qwen2-window-v5", "model_type", kRequired},
    {"qwen2-window-v5", "hidden_size", kRequired},
    {"qwen2-window-v5", "intermediate_size", kRequired},
    {"qwen2-window-v5", "num_attention_heads", kRequired},
    {"qwen2-window-v5", "num_hidden_layers", kRequired},
    {"qwen2-window-v5", "architectures", "oorrrrrrrror"},
    {"qwen2-window-v5", "tie_word_embeddings", kFlag},
    {"qwen2-window-v5", "vocab_size", kRequired},
    {"qwen2-window-v5", "num_key_value_heads", "rtrrrrrrrrrr"},
    {"qwen2-window-v5", "hidden_act", kOptional},
    {"qwen2-window-v5", "rms_norm_eps", kOptional},
    {"qwen2-window-v5", "layer_types", kOptional},
    {"qwen2-window-v5", "max_window_layers", kIndex},
    {"qwen2-window-v5", "rope_parameters", kObject},
    {"qwen2-window-v5", "sliding_window", "orrrrrrrrrrr"},
    {"qwen2-window-v5", "use_sliding_window", "rrrrrrrrrorr", "sliding_window"},

    {"qwen3-base-v5", "model_type", kRequired},
    {"qwen3-base-v5", "hidden_size", kRequired},
    {"qwen3-base-v5", "intermediate_size", kRequired},
    {"qwen3-base-v5", "num_attention_heads", kRequired},
    {"qwen3-base-v5", "num_hidden_layers", kRequired},
    {"qwen3-base-v5", "architectures", "oorrrrrrrror"},
    {"qwen3-base-v5", "vocab_size", kRequired},
    {"qwen3-base-v5", "num_key_value_heads", "rtrrrrrrrrrr"},
    {"qwen3-base-v5", "head_dim", kMisfit},
    {"qwen3-base-v5", "hidden_act", kOptional},
    {"qwen3-base-v5", "rms_norm_eps", kOptional},
    {"qwen3-base-v5", "attention_bias", kWithTensors},
    {"qwen3-base-v5", "layer_types", kOptional},
    {"qwen3-base-v5", "max_window_layers", kIndex},
    {"qwen3-base-v5", "rope_parameters", kObject},
    {"qwen3-base-v5", "use_sliding_window", kFlag},

    {"t5-base-v5", "model_type", kRequired},
    {"t5-base-v5", "d_model", kRequired},
    {"t5-base-v5", "d_ff", kRequired},
    {"t5-base-v5", "d_kv", kRequired},
    {"t5-base-v5", "num_heads", kRequired},
    {"t5-base-v5", "num_layers", kRequired},
    {"t5-base-v5", "vocab_size", kRequired},
    {"t5-base-v5", "num_decoder_layers", kOptional},
    {"t5-base-v5", "feed_forward_proj", kOptional},
    {"t5-base-v5", "dense_act_fn", kOptional},
    {"t5-base-v5", "is_gated_act", kWithTensors},
    {"t5-base-v5", "layer_norm_epsilon", kOptional},
    {"t5-base-v5", "is_decoder", kOptional},
    {"t5-base-v5", "relative_attention_num_buckets", kOptional},
    {"t5-base-v5", "relative_attention_max_distance", kOptional},
    {"t5-base-v5", "decoder_start_token_id", kIndex},
    {"t5-base-v5", "pad_token_id", kIndex},
    {"t5-base-v5", "tie_word_embeddings", kFlag},
    {"t5-base-v5", "scale_decoder_outputs", kFlag},
    {"t5-base-v5", "architectures", "oorrrrrrrror"},
};

/// Keys of the same configs that hidden states do not depend on.
const std::set<std::string, std::less<>> kUnusedKeys = {
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "bos_token_id",
    "classifier_dropout",
    "dropout_rate",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_dropout_prob",
    "initializer_factor",
    "initializer_range",
    "is_encoder_decoder",
    "max_position_embeddings",
    "pad_token_id",
    "pretraining_tp",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "scale_decoder_outputs",
    "sliding_window",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "tie_word_embeddings",
    "transformers_version",
    "use_cache",
};

void expect_outcome(const test::ModelCopy& copy, const Row& row, std::size_t edge) {
  copy.set(row.key, kEdges[edge]);
  const auto opened = copy.open();
  SCOPED_TRACE(std::string(row.model) + ": " + std::string(row.key) + " = " + std::string(kEdges[edge]));
  if (row.outcomes[edge] == 'o') {
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return;
  }
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kModel);
  const std::string& message = opened.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_TRUE(message.starts_with(copy.path())) << message;
  if (row.outcomes[edge] == 't') {
    EXPECT_NE(message.find("tensor \""), std::string::npos) << message;
    return;
  }
  EXPECT_NE(message.find("config.json: "), std::string::npos) << message;
  EXPECT_NE(message.find(row.named.empty() ? row.key : row.named), std::string::npos) << message;
}

void expect_outcomes(const Row& row) {
  ASSERT_EQ(row.outcomes.size(), kEdges.size()) << row.key;
  const test::ModelCopy copy(row.model);
  for (std::size_t edge = 0; edge < kEdges.size(); ++edge) expect_outcome(copy, row, edge);
}

TEST(EdgeValues, OfEveryKeyThatCountsAreRefusedOrFit) {
  for (const Row& row : kRows) expect_outcomes(row);
}

TEST(EdgeValues, OfEveryOtherKeyDoNotMatter) {
  std::map<std::string, std::set<std::string>> told;
  for (const Row& row : kRows) told[std::string(row.model)].insert(std::string(row.key));
  std::size_t cases = std::size(kRows) * kEdges.size();
  for (const auto& [model, keys] : told) {
    for (const std::string& key : test::ModelCopy(model).config_keys()) {
      if (keys.contains(key)) continue;
      EXPECT_TRUE(kUnusedKeys.contains(key)) << model << " has the key " << key << ", of which nothing is said";
      expect_outcomes({model, key, kUnused});
      cases += kEdges.size();
    }
  }
  EXPECT_GT(cases, 1500U);
}

}  // namespace
}  // namespace layerscope
