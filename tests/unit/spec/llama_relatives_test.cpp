// Rules of Llama's relatives that no tiny model shows: defaults, old names, and what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "family/registry.h"

namespace layerscope::testing {
namespace {

struct Described {
  ModelSpec spec;
  std::string error;
  [[nodiscard]] const Attention& attention(std::size_t block) const {
    const Stack& stack = spec.decoder ? *spec.decoder : *spec.encoder;
    return std::get<Attention>(stack.blocks[block].steps.front().mixer);
  }
  [[nodiscard]] const Mlp& mlp() const {
    const Stack& stack = spec.decoder ? *spec.decoder : *spec.encoder;
    return std::get<Mlp>(stack.blocks.front().steps.back().mixer);
  }
};

Described described(const std::string& type, const std::string& more = "") {
  const std::string json = "{\"model_type\": \"" + type + R"(", "hidden_size": 24, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 6, "intermediate_size": 10, "num_hidden_layers": 3, "vocab_size": 9,
      "max_position_embeddings": 32)" +
                           more + "}";
  auto parsed = parse_json(json, "config.json", ErrorCode::kModel);
  EXPECT_TRUE(parsed.ok()) << json;
  Config config(std::move(parsed).value(), "config.json");
  const Family* family = family_of(config.model_type());
  EXPECT_NE(family, nullptr) << type;
  Described result{.spec = family->describe(config), .error = {}};
  const Status status = config.finish();
  if (!status) result.error = status.error().message;
  return result;
}

std::optional<std::int64_t> window(const Described& model, std::size_t block) { return model.attention(block).window; }

TEST(LlamaRelatives, GemmaMeansTheApproximationByGelu) {
  EXPECT_EQ(described("gemma").mlp().activation, Activation::kGeluTanh);
  EXPECT_EQ(described("gemma", R"(, "hidden_act": "gelu")").mlp().activation, Activation::kGeluTanh);
  EXPECT_EQ(described("gemma", R"(, "hidden_act": "relu")").mlp().activation, Activation::kRelu);
  EXPECT_EQ(described("gemma2", R"(, "hidden_activation": "gelu")").mlp().activation, Activation::kGeluErf);
}

TEST(LlamaRelatives, GemmasEmbeddingIsScaledInFloat32) {
  EXPECT_EQ(described("gemma").spec.decoder->embedding.scale, static_cast<float>(std::sqrt(24.0)));
}

TEST(LlamaRelatives, NotCausalIsAnEncoderThatReachesOneFurther) {
  for (const char* type : {"llama", "mistral", "qwen3", "gemma2", "olmo", "phi3"}) {
    const Described both = described(type, R"(, "is_causal": false)");
    EXPECT_EQ(both.error, "") << type;
    EXPECT_TRUE(both.spec.encoder && !both.spec.decoder) << type;
    EXPECT_EQ(both.attention(0).keys, KeySource::kSelf) << type;
    EXPECT_EQ(described(type).attention(0).keys, KeySource::kSelfCausal) << type;
  }
  EXPECT_EQ(window(described("mistral", R"(, "is_causal": false, "sliding_window": 5)"), 0), 6);
}

TEST(LlamaRelatives, OnlyGemma3IsBidirectionalByItsOwnKey) {
  const std::string both = R"(, "use_bidirectional_attention": true)";
  const Described third = described("gemma3_text", both + R"(, "sliding_window": 9)");
  EXPECT_EQ(third.error, "");
  EXPECT_EQ(window(third, 0), 5);
  EXPECT_EQ(third.attention(0).keys, KeySource::kSelf);
  for (const char* type : {"gemma", "gemma2"})
    EXPECT_NE(described(type, both).error.find("use_bidirectional_attention"), std::string::npos) << type;
  EXPECT_EQ(described("gemma", R"(, "use_bidirectional_attention": null)").error, "");
}

TEST(LlamaRelatives, WindowsByRuleAndByName) {
  EXPECT_EQ(window(described("mistral"), 2), 4096);
  EXPECT_EQ(window(described("mistral", R"(, "sliding_window": null)"), 2), std::nullopt);
  EXPECT_EQ(window(described("qwen2", R"(, "sliding_window": 5)"), 2), std::nullopt);
  const Described qwen =
      described("qwen2", R"(, "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 2)");
  EXPECT_EQ(window(qwen, 1), std::nullopt);
  EXPECT_EQ(window(qwen, 2), 5);
  const Described gemma = described("gemma2", R"(, "sliding_window": 5)");
  EXPECT_EQ(window(gemma, 0), 5);
  EXPECT_EQ(window(gemma, 1), std::nullopt);
  const std::string types = R"(, "layer_types": ["full_attention", "sliding_attention", "full_attention"])";
  EXPECT_EQ(window(described("ministral", R"(, "sliding_window": 5)" + types), 1), 5);
  EXPECT_NE(described("qwen3", types).error.find("\"sliding_window\" is not set"), std::string::npos);
  EXPECT_NE(described("qwen3", R"(, "layer_types": ["full_attention"])").error.find("one type a layer"),
            std::string::npos);
}

TEST(LlamaRelatives, WhichBlocksTurn) {
  const Described smol = described("smollm3", R"(, "no_rope_layers": [1, 0, 1])");
  EXPECT_TRUE(smol.attention(0).rope && !smol.attention(1).rope);
  EXPECT_NE(described("smollm3", R"(, "no_rope_layers": [1])").error.find("every layer"), std::string::npos);
  const Described sliding = described("exaone4", R"(, "sliding_window": 5, "sliding_window_pattern": 2)");
  EXPECT_TRUE(sliding.attention(0).rope && !sliding.attention(1).rope);
  const Described full = described("exaone4", R"(, "sliding_window": null)");
  EXPECT_TRUE(full.attention(0).rope && full.attention(1).rope);
  EXPECT_NE(described("exaone4", R"(, "sliding_window_pattern": "LLLG")").error, "");
}

TEST(LlamaRelatives, WhatIsRefused) {
  const auto refuses = [](const char* type, const char* more, const char* expected) {
    const std::string error = described(type, more).error;
    EXPECT_NE(error.find(expected), std::string::npos) << type << more << " gave \"" << error << "\"";
  };
  refuses("llama", R"(, "partial_rotary_factor": 0.5)", "unrotated");
  refuses("llama", R"(, "clip_qkv": 2.0)", "clip_qkv");
  refuses("llama", R"(, "logits_scaling": 2.0)", "logits_scaling");
  refuses("llama", R"(, "layer_types": ["sliding_attention"])", "layer_types");
  refuses("granite", R"(, "logits_scaling": 0)", "logits_scaling");
  refuses("olmo", R"(, "clip_qkv": -1)", "clip_qkv");
  refuses("gemma2", R"(, "attn_logit_softcapping": 0)", "attn_logit_softcapping");
  refuses("apertus", "", "rotary settings");
  refuses("gemma3_text", R"(, "rope_parameters": {"rope_type": "default"})", "beside the layer types");
}

TEST(LlamaRelatives, PhiTakesItsTrainedLengthFromTheClass) {
  const Described phi = described("phi3", R"(, "rope_scaling": {"type": "su", "short_factor": [1, 1, 1],
      "long_factor": [2, 2, 2]})");
  EXPECT_EQ(phi.error, "");
  EXPECT_EQ(std::get<LongFrequencies>(phi.attention(0).rope->frequencies).trained, 4096);
}

}  // namespace
}  // namespace layerscope::testing
