// What configs of the decoders before Llama may say, and what they are refused for.
#include <gtest/gtest.h>

#include "family/registry.h"
#include "spec/print.h"

namespace layerscope::testing {
namespace {

struct Described {
  std::string error;  ///< empty: none
  std::string program;
};

Described describe(const std::string& json) {
  auto parsed = parse_json(json, "config.json", ErrorCode::kModel);
  EXPECT_TRUE(parsed.ok()) << json;
  Config config(std::move(parsed).value(), "config.json");
  const Family* family = family_of(config.model_type());
  EXPECT_NE(family, nullptr) << json;
  const ModelSpec spec = family->describe(config);
  Described result;
  const Status status = config.finish();
  if (!status.ok()) result.error = status.error().message;
  const Stack& stack = spec.decoder ? *spec.decoder : *spec.encoder;
  for (const std::string& line : block_program(stack)) result.program += line + "\n";
  for (const Slot& slot : slots_of(spec)) result.program += slot.name + " " + slot.shape.text() + "\n";
  return result;
}

constexpr const char* kBloom = R"("model_type": "bloom", "vocab_size": 9)";
constexpr const char* kGpt = R"("vocab_size": 9, "n_embd": 8, "n_layer": 2)";
constexpr const char* kNeo = R"("model_type": "gpt_neo", "vocab_size": 9, "hidden_size": 8, "num_heads": 2)";
constexpr const char* kFalcon =
    R"("model_type": "falcon", "vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4)";
constexpr const char* kMpt = R"("model_type": "mpt", "vocab_size": 9, "d_model": 8, "n_layers": 2, "n_heads": 2)";

std::string with(const char* common, const std::string& more) { return std::string("{") + common + ", " + more + "}"; }

TEST(Decoders, SettingsMayHaveTheirOtherNames) {
  const Described plain = describe(with(kBloom, R"("hidden_size": 8, "n_head": 2, "n_layer": 3)"));
  EXPECT_EQ(plain.error, "");
  const Described old = describe(with(kBloom, R"("n_embed": 8, "num_attention_heads": 2, "num_hidden_layers": 3)"));
  EXPECT_EQ(old.error, "");
  EXPECT_EQ(old.program, plain.program);
  const Described other = describe(with(kBloom, R"("hidden_size": 8, "n_head": 2, "n_layer": 4)"));
  EXPECT_NE(other.program, plain.program);
}

TEST(Decoders, OneNormOfTwoStepsIsOneSlot) {
  const std::string one = R"("new_decoder_architecture": true, "num_kv_heads": 2, "num_ln_in_parallel_attn": )";
  const std::string norm = "block.1.mlp.pre.weight";
  EXPECT_EQ(describe(with(kFalcon, one + "1")).program.find(norm), std::string::npos);
  EXPECT_NE(describe(with(kFalcon, one + "2")).program.find(norm), std::string::npos);
  EXPECT_NE(describe(with(kFalcon, R"("parallel_attn": false)")).program.find(norm), std::string::npos);
}

TEST(Decoders, WhatTransformersCannotRunOrReadsTwoWaysIsRefused) {
  const std::pair<std::string, const char*> cases[] = {
      {with(kFalcon, R"("alibi": true)"), "\"alibi\" is true"},
      {with(kFalcon, R"("new_decoder_architecture": true, "parallel_attn": false)"), "\"parallel_attn\" is false"},
      {with(kFalcon, R"("num_ln_in_parallel_attn": 2)"), "\"num_ln_in_parallel_attn\" is 2, expected 1"},
      {with(kFalcon, R"("partial_rotary_factor": 0.5)"), "\"partial_rotary_factor\" is not 1"},
      {with(kFalcon, R"("multi_query": false, "num_kv_heads": 2)"), "\"num_kv_heads\""},
      {with(kMpt, R"("attn_config": {"alibi": false})"), "\"attn_config.alibi\" is false"},
      {with(kMpt, R"("attn_config": {"alibi_bias_max": 16})"), "\"attn_config.alibi_bias_max\" is 16"},
      {with(kMpt, R"("attn_config": {"prefix_lm": true})"), "\"attn_config.prefix_lm\" is true"},
      {with(kMpt, R"("attn_config": {"clip_qkv": -1})"), "\"attn_config.clip_qkv\""},
      {with(kMpt, R"("is_causal": false)"), "\"is_causal\""},
      {with(kBloom, R"("hidden_size": 8, "n_head": 2, "n_layer": 2, "pretraining_tp": 2, "slow_but_exact": true)"),
       "\"slow_but_exact\" is true"},
      {with(kBloom, R"("hidden_size": 268435456, "n_head": 268435456, "n_layer": 4096)"), "attention heads"},
      {with(kBloom, R"("hidden_size": 8, "n_head": 3, "n_layer": 2)"), "multiple of the"},
      {with(kGpt, R"("model_type": "gptj", "n_head": 2, "rotary_dim": 3)"), "\"rotary_dim\" is 3"},
      {with(kGpt, R"("model_type": "gptj", "n_head": 2)"), "\"rotary_dim\" is 64"},
      {with(kGpt, R"("model_type": "codegen", "n_head": 2, "rotary_dim": 2)"), "a multiple of 4"},
      {with(kGpt, R"("model_type": "gpt2", "n_head": 2, "add_cross_attention": true)"), "\"add_cross_attention\""},
      {with(kNeo, R"("num_layers": 3, "attention_types": [[["global", "local"], 1]])"), "\"attention_types\""},
      {with(kNeo, R"("num_layers": 2, "attention_types": [[["global", "sparse"], 1]])"), "\"attention_types\""},
      {with(kNeo, R"("num_layers": 2, "attention_types": [["global", 2]])"), "\"attention_types\""},
      {with(kNeo, R"("num_layers": 2)"), "\"attention_types\""},
      {R"({"model_type": "xglm", "vocab_size": 9, "d_model": 8, "num_layers": 2, "attention_heads": 2, "ffn_dim": 9,
           "pad_token_id": 3})",
       "\"pad_token_id\" is 3"},
  };
  for (const auto& [json, part] : cases) {
    const std::string error = describe(json).error;
    EXPECT_NE(error.find(part), std::string::npos) << json << " says: " << error;
  }
}

TEST(Decoders, WithoutACausalMaskAModelIsAnEncoder) {
  const std::string gpt = R"("model_type": "gpt2", "n_head": 2)";
  EXPECT_NE(describe(with(kGpt, gpt)).program.find("causal"), std::string::npos);
  const Described both = describe(with(kGpt, gpt + R"(, "is_causal": false)"));
  EXPECT_EQ(both.error, "");
  EXPECT_EQ(both.program.find("causal"), std::string::npos);
}

}  // namespace
}  // namespace layerscope::testing
