// What the configs of mixtures of experts, latent attention and short convolutions become, and what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "family/registry.h"
#include "spec/validate.h"

namespace layerscope::testing {
namespace {

struct Described {
  ModelSpec spec;
  std::string complaint;
};

// `settings` are further members of the object.
Described described(const std::string& type, const std::string& settings) {
  std::string json = R"({"model_type": ")" + type + R"(", "hidden_size": 32, "intermediate_size": 24, "vocab_size": 50,
      "num_attention_heads": 4, "num_hidden_layers": 4, "max_position_embeddings": 64)";
  if (type == "lfm2") json += R"(, "num_key_value_heads": 2)";
  json += (settings.empty() ? "" : ", ") + settings + "}";
  auto parsed = parse_json(json, "config.json", ErrorCode::kModel);
  EXPECT_TRUE(parsed.ok()) << json;
  Config config(std::move(parsed).value(), "config.json");
  const Family* family = family_of(config.model_type());
  EXPECT_NE(family, nullptr) << type;
  Described result{.spec = family->describe(config)};
  Status status = config.finish();
  if (status.ok()) status = validate(result.spec, "config.json");
  if (!status.ok()) result.complaint = status.error().message;
  return result;
}

const Mixer& mixer(const Described& model, std::size_t block, std::size_t step) {
  return model.spec.decoder->blocks[block].steps[step].mixer;
}

const std::string kDeep =
    R"("n_routed_experts": 8, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
       "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 5, "kv_lora_rank": 7, "q_lora_rank": null)";
const std::string kFour = R"("num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2)";

TEST(Mixtures, SettingsOutsideTheMathematicsAreRefusedByName) {
  struct Case {
    std::string type, settings, word;
  };
  const std::vector<Case> cases = {
      {"mixtral", R"("num_local_experts": 4, "num_experts_per_tok": 5, "num_key_value_heads": 2)",
       "num_experts_per_tok"},
      {"mixtral", kFour + R"(, "layer_types": ["full_attention"])", "layer_types"},
      {"qwen3_moe", R"("num_experts": 4, "num_local_experts": 5, "num_key_value_heads": 2)", "num_local_experts"},
      {"qwen2_moe", R"("num_experts": 0, "num_key_value_heads": 2)", "num_experts"},
      {"olmoe", R"("num_experts": 4, "num_experts_per_tok": 2, "clip_qkv": -1.0)", "clip_qkv"},
      {"granitemoe", kFour + R"(, "position_embedding_type": "nope")", "position_embedding_type"},
      {"granitemoe", kFour + R"(, "logits_scaling": 0)", "logits_scaling"},
      {"gpt_oss", kFour, "rope_parameters"},
      {"gpt_oss", kFour + R"(, "rope_scaling": null, "quantization_config": {"quant_method": "mxfp4"})", "mxfp4"},
      {"deepseek_v3", kDeep + R"(, "scoring_func": "softmax")", "scoring_func"},
      {"deepseek_v3", kDeep + R"(, "topk_method": "greedy")", "topk_method"},
      {"deepseek_v3", kDeep + R"(, "moe_layer_freq": 2)", "moe_layer_freq"},
      {"deepseek_v3", kDeep + R"(, "num_key_value_heads": 2)", "num_key_value_heads"},
      {"deepseek_v3", R"("n_routed_experts": 8, "n_group": 8, "topk_group": 1, "num_experts_per_tok": 1)", "n_group"},
      {"deepseek_v3", R"("n_routed_experts": 8, "n_group": 4, "topk_group": 1, "num_experts_per_tok": 3)", "chosen"},
      {"lfm2", R"("layer_types": ["conv", "conv", "mamba", "conv"])", "mamba"},
      {"lfm2", R"("layer_types": ["conv"])", "layer_types"},
      {"lfm2", R"("block_ffn_dim_multiplier": 1e300)", "block_ffn_dim_multiplier"},
      {"lfm2", R"("theta": 5000.0, "rope_theta": 10000.0)", "theta"},
      {"hunyuan_v1_dense", R"("num_experts": 16)", "num_experts"},
      {"hunyuan_v1_dense", R"("use_qk_norm": false)", "use_qk_norm"},
  };
  for (const Case& each : cases) {
    const std::string complaint = described(each.type, each.settings).complaint;
    EXPECT_NE(complaint.find(each.word), std::string::npos) << each.type << ": " << each.settings << "\n" << complaint;
  }
}

TEST(Mixtures, ExpertsStandWhereTheConfigPutsThem) {
  const Described qwen = described("qwen3_moe", R"("num_experts": 4, "num_experts_per_tok": 2,
      "num_key_value_heads": 2, "moe_intermediate_size": 9, "decoder_sparse_step": 2, "mlp_only_layers": [3])");
  ASSERT_EQ(qwen.complaint, "");
  for (const std::size_t block : {0U, 2U, 3U}) EXPECT_TRUE(std::holds_alternative<Mlp>(mixer(qwen, block, 1))) << block;
  ASSERT_TRUE(std::holds_alternative<Experts>(mixer(qwen, 1, 1)));
  EXPECT_EQ(std::get<Experts>(mixer(qwen, 1, 1)).hidden, 9);
  EXPECT_FALSE(std::get<Experts>(mixer(qwen, 1, 1)).router.renormalise) << "false unless the config says otherwise";

  const Described mixtral = described("mixtral", kFour);
  ASSERT_EQ(mixtral.complaint, "");
  EXPECT_EQ(std::get<Experts>(mixer(mixtral, 3, 1)).hidden, 24);
  EXPECT_TRUE(std::get<Experts>(mixer(mixtral, 0, 1)).router.renormalise);

  const Described deep = described("deepseek_v3", kDeep + R"(, "first_k_dense_replace": 3)");
  ASSERT_EQ(deep.complaint, "");
  EXPECT_TRUE(std::holds_alternative<Mlp>(mixer(deep, 2, 1)));
  EXPECT_TRUE(std::holds_alternative<Experts>(mixer(deep, 3, 1)));
}

TEST(Mixtures, ScoresOfLatentAttentionGrowWithTheStretch) {
  const std::string yarn = R"(, "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0,
      "original_max_position_embeddings": 16, "mscale_all_dim": )";
  const auto scale = [&](const std::string& settings) {
    const Described model = described("deepseek_v3", kDeep + settings);
    EXPECT_EQ(model.complaint, "");
    return static_cast<double>(std::get<Attention>(mixer(model, 0, 0)).scale);
  };
  const double plain = 1 / std::sqrt(10.0), stretched = 0.1 * std::log(40.0) + 1;
  EXPECT_NEAR(scale(""), plain, 1e-7);
  EXPECT_NEAR(scale(yarn + "0}"), plain, 1e-7);
  EXPECT_NEAR(scale(yarn + "1.0}"), plain * stretched * stretched, 1e-6);
}

// 12288 becomes the published 1.2B model's 8192.
TEST(Mixtures, WidthsOfTheShortConvolutionsMlp) {
  const auto hidden = [](const std::string& settings) {
    const Described model = described("lfm2", settings);
    EXPECT_EQ(model.complaint, "");
    return std::get<Mlp>(mixer(model, 0, 1)).hidden;
  };
  EXPECT_EQ(hidden(R"("block_ff_dim": 12288)"), 8192);
  EXPECT_EQ(hidden(R"("block_ff_dim": 12288, "block_auto_adjust_ff_dim": false)"), 12288);
  EXPECT_EQ(hidden(R"("block_ff_dim": 100, "block_ffn_dim_multiplier": null)"), 66);
  EXPECT_EQ(hidden(R"("block_ff_dim": 100, "block_ffn_dim_multiplier": 1.5, "block_multiple_of": 10)"), 100);
  EXPECT_EQ(hidden(""), 256) << "24 of \"intermediate_size\", raised to a multiple";
}

TEST(Mixtures, LayersOfConvolutionsAndAttention) {
  const Described listed = described("lfm2", R"("full_attn_idxs": [2])");
  ASSERT_EQ(listed.complaint, "");
  for (const std::size_t block : {0U, 1U, 3U})
    EXPECT_TRUE(std::holds_alternative<ShortConv>(mixer(listed, block, 0))) << block;
  EXPECT_TRUE(std::holds_alternative<Attention>(mixer(listed, 2, 0)));
  EXPECT_TRUE(std::holds_alternative<Attention>(mixer(described("lfm2", ""), 0, 0))) << "all, where nothing is said";
}

}  // namespace
}  // namespace layerscope::testing
