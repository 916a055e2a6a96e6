// Folders with one thing wrong, each refused by name; and odd folders that are sound, each opened.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unit/session/model_copy.h"

namespace layerscope {
namespace {

using Edits = std::vector<std::pair<std::string_view, std::string_view>>;

void expect_refused(const test::ModelCopy& copy, std::string_view file, std::string_view named) {
  const auto opened = copy.open();
  ASSERT_FALSE(opened.ok());
  const std::string& message = opened.error().message;
  EXPECT_EQ(opened.error().code, ErrorCode::kModel) << message;
  EXPECT_TRUE(message.starts_with(file.empty() ? copy.path() : copy.file(file))) << message;
  EXPECT_NE(message.find(named), std::string::npos) << message << "\n  does not name " << named;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

void expect_opened(const test::ModelCopy& copy) {
  const auto opened = copy.open();
  EXPECT_TRUE(opened.ok()) << opened.error().message;
}

struct ConfigCase {
  std::string_view model;
  Edits edits;
  std::string_view named;  ///< what the refusal names; empty: opens
  bool by_tensor = false;  ///< refused by the weights rather than by config.json
};

constexpr bool kByTensor = true;

std::string title(const ConfigCase& item) {
  std::string text(item.model);
  for (const auto& [key, value] : item.edits) text.append(" ").append(key).append("=").append(value);
  return text;
}

const std::vector<ConfigCase>& shapes() {
  static const std::vector<ConfigCase> kCases = {
      {"bert-base-v5", {{"hidden_size", "23"}}, "hidden_size"},
      {"bert-base-v5", {{"hidden_size", "25"}}, "hidden_size"},
      {"bert-base-v5", {{"hidden_size", "28"}}, "embeddings.word_embeddings", kByTensor},
      {"bert-base-v5", {{"num_attention_heads", "5"}}, "num_attention_heads"},
      {"bert-base-v5", {{"num_attention_heads", "25"}}, "num_attention_heads"},
      {"bert-base-v5", {{"num_attention_heads", "8"}}, ""},
      {"bert-base-v5", {{"num_hidden_layers", "1"}}, "encoder.layer.1.", kByTensor},
      {"bert-base-v5", {{"num_hidden_layers", "3"}}, "encoder.layer.2.", kByTensor},
      {"bert-base-v5", {{"num_hidden_layers", "4096"}}, "encoder.layer.2.", kByTensor},
      {"bert-base-v5", {{"num_hidden_layers", "4097"}}, "num_hidden_layers"},
      {"bert-base-v5", {{"num_hidden_layers", "1000000000"}}, "num_hidden_layers"},
      {"bert-base-v5", {{"vocab_size", "119"}}, "embeddings.word_embeddings", kByTensor},
      {"bert-base-v5", {{"vocab_size", "121"}}, "embeddings.word_embeddings", kByTensor},
      {"bert-base-v5", {{"intermediate_size", "55"}}, "intermediate.dense", kByTensor},
      {"bert-base-v5", {{"intermediate_size", "57"}}, "intermediate.dense", kByTensor},
      {"bert-base-v5", {{"max_position_embeddings", "63"}}, "position_embeddings", kByTensor},
      {"bert-base-v5", {{"max_position_embeddings", "65"}}, "position_embeddings", kByTensor},
      {"bert-base-v5", {{"type_vocab_size", "1"}}, "token_type_embeddings", kByTensor},
      {"bert-base-v5", {{"type_vocab_size", "3"}}, "token_type_embeddings", kByTensor},
      {"gpt2-base-v4", {{"n_embd", "25"}}, "n_embd"},
      {"gpt2-base-v4", {{"n_embd", "28"}}, "wte.weight", kByTensor},
      {"gpt2-base-v4", {{"n_head", "7"}}, "n_head"},
      {"gpt2-base-v4", {{"n_layer", "2"}}, "h.2.", kByTensor},
      {"gpt2-base-v4", {{"n_layer", "4"}}, "h.3.", kByTensor},
      {"gpt2-base-v4", {{"n_layer", "4096"}}, "h.3.", kByTensor},
      {"gpt2-base-v4", {{"n_inner", "95"}}, "mlp.c_fc", kByTensor},
      {"gpt2-base-v4", {{"n_inner", "97"}}, "mlp.c_fc", kByTensor},
      {"gpt2-base-v4", {{"n_positions", "63"}}, "wpe.weight", kByTensor},
      {"gpt2-base-v4", {{"vocab_size", "121"}}, "wte.weight", kByTensor},
      {"llama-base-v4", {{"hidden_size", "25"}}, "embed_tokens", kByTensor},
      {"llama-base-v4", {{"hidden_size", "23"}}, "embed_tokens", kByTensor},
      {"llama-base-v4", {{"num_attention_heads", "5"}}, "num_key_value_heads"},
      {"llama-base-v4", {{"num_attention_heads", "6"}}, "q_proj", kByTensor},
      {"llama-base-v4", {{"num_key_value_heads", "3"}}, "num_key_value_heads"},
      {"llama-base-v4", {{"num_key_value_heads", "8"}}, "num_key_value_heads"},
      {"llama-base-v4", {{"num_key_value_heads", "1"}}, "k_proj", kByTensor},
      {"llama-base-v4", {{"num_hidden_layers", "2"}}, "layers.2.", kByTensor},
      {"llama-base-v4", {{"num_hidden_layers", "4"}}, "layers.3.", kByTensor},
      {"llama-base-v4", {{"num_hidden_layers", "4096"}}, "layers.3.", kByTensor},
      {"llama-base-v4", {{"intermediate_size", "43"}}, "mlp.", kByTensor},
      {"llama-base-v4", {{"intermediate_size", "45"}}, "mlp.", kByTensor},
      {"llama-base-v4", {{"head_dim", "5"}}, "turn 5 elements"},
      {"llama-base-v4", {{"head_dim", "8"}}, "q_proj", kByTensor},
      {"llama-base-v4", {{"head_dim", "268435456"}}, "head_dim"},
      {"llama-base-v4", {{"head_dim", "268435456"}, {"num_hidden_layers", "4096"}}, "head_dim"},
      {"llama-base-v4",
       {{"head_dim", "null"}, {"hidden_size", "268435456"}, {"num_attention_heads", "1"}, {"num_key_value_heads", "1"}},
       "head_dim"},
      {"llama-base-v4", {{"hidden_size", "268435456"}, {"intermediate_size", "268435456"}}, "embed_tokens", kByTensor},
      {"llama-base-v4", {{"num_attention_heads", "268435456"}}, "q_proj", kByTensor},
      {"mistral-window-v5", {{"num_attention_heads", "5"}}, "q_proj", kByTensor},
      {"mistral-window-v5", {{"head_dim", "6"}}, "q_proj", kByTensor},
      {"qwen2-window-v5", {{"num_hidden_layers", "2"}}, "layer_types"},
      {"qwen2-window-v5", {{"num_hidden_layers", "4"}}, "layer_types"},
      {"qwen2-window-v5", {{"head_dim", "12"}}, "q_proj", kByTensor},
      {"qwen3-base-v5", {{"head_dim", "6"}}, "q_proj", kByTensor},
      {"t5-base-v5", {{"d_model", "25"}}, "shared.weight", kByTensor},
      {"t5-base-v5", {{"d_kv", "6"}}, "SelfAttention.q", kByTensor},
      {"t5-base-v5", {{"num_heads", "4"}}, "SelfAttention", kByTensor},
      {"t5-base-v5", {{"num_layers", "1"}}, "encoder.block.1.", kByTensor},
      {"t5-base-v5", {{"num_layers", "4096"}}, "encoder.block.2.", kByTensor},
      {"t5-base-v5", {{"num_decoder_layers", "3"}}, "decoder.block.2.", kByTensor},
      {"t5-base-v5", {{"num_decoder_layers", "1"}}, "decoder.block.1.", kByTensor},
      {"t5-base-v5", {{"d_ff", "41"}}, "DenseReluDense.wi", kByTensor},
      {"t5-base-v5", {{"relative_attention_num_buckets", "31"}}, "relative_attention_bias", kByTensor},
      {"t5-base-v5", {{"relative_attention_num_buckets", "3"}}, "relative_attention_num_buckets"},
      {"t5-base-v5", {{"relative_attention_max_distance", "16"}}, "relative_attention_max_distance"},
      {"t5-base-v5", {{"decoder_start_token_id", "120"}}, "decoder_start_token_id"},
      {"t5-base-v5", {{"architectures", "[\"T5EncoderModel\"]"}}, "decoder.", kByTensor},
  };
  return kCases;
}

const std::vector<ConfigCase>& mathematics() {
  static const std::vector<ConfigCase> kCases = {
      {"bert-base-v5", {{"model_type", "\"rwkv\""}}, "model_type"},
      {"bert-base-v5", {{"model_type", "\"Bert\""}}, "model_type"},
      {"bert-base-v5", {{"model_type", "\"\""}}, "model_type"},
      {"bert-base-v5", {{"model_type", "\"a\\nb\""}}, "model_type"},
      {"bert-base-v5", {{"model_type", "\"gpt2\""}}, "wte.weight", kByTensor},
      {"llama-base-v4", {{"model_type", "\"mistral\""}, {"sliding_window", "null"}}, ""},
      {"llama-base-v4", {{"model_type", "\"qwen2\""}}, "q_proj.bias", kByTensor},
      {"llama-base-v4", {{"model_type", "\"qwen3\""}}, "q_norm", kByTensor},
      {"bert-base-v5", {{"hidden_act", "\"gelu_10\""}}, "gelu_10"},
      {"bert-base-v5", {{"hidden_act", "\"mish\""}}, "mish"},
      {"bert-base-v5", {{"hidden_act", "\"relu3\""}}, "relu3"},
      {"bert-base-v5", {{"hidden_act", "\"GELU\""}}, "GELU"},
      {"bert-base-v5", {{"hidden_act", "\"\""}}, "hidden_act"},
      {"bert-base-v5", {{"hidden_act", "\"gelu\\u0000\""}}, "hidden_act"},
      {"gpt2-base-v4", {{"activation_function", "\"leaky_relu\""}}, "leaky_relu"},
      {"llama-base-v4", {{"hidden_act", "\"swiglu\""}}, "swiglu"},
      {"t5-base-v5", {{"feed_forward_proj", "\"gated\""}}, "feed_forward_proj"},
      {"t5-base-v5", {{"feed_forward_proj", "\"gated-\""}}, "feed_forward_proj"},
      {"t5-base-v5", {{"feed_forward_proj", "\"gated-mish\""}}, "feed_forward_proj"},
      {"t5-base-v5", {{"feed_forward_proj", "\"gated-gelu-new\""}}, "feed_forward_proj"},
      {"t5-base-v5", {{"feed_forward_proj", "\"gated-relu\""}, {"is_gated_act", ""}}, "wi_0", kByTensor},
      {"t5-base-v5", {{"dense_act_fn", "\"mish\""}}, "dense_act_fn"},
      {"t5-base-v5", {{"is_decoder", "true"}}, "is_decoder"},
      {"t5-base-v5", {{"hidden_size", "25"}}, "d_model"},
      {"t5-base-v5", {{"num_hidden_layers", "3"}}, "num_layers"},
      {"t5-base-v5", {{"num_attention_heads", "5"}}, "num_heads"},
      {"t5-base-v5", {{"head_dim", "7"}}, "d_kv"},
      {"t5-base-v5", {{"is_causal", "false"}}, "is_causal"},
      {"gpt2-base-v4", {{"num_attention_heads", "2"}}, "n_head"},
      {"gpt2-base-v4", {{"hidden_size", "48"}}, "n_embd"},
      {"gpt2-base-v4", {{"num_hidden_layers", "2"}}, "n_layer"},
      {"gpt2-base-v4", {{"max_position_embeddings", "128"}}, "n_positions"},
      {"gpt2-base-v4", {{"is_causal", "false"}}, ""},
      {"gpt2-base-v4", {{"is_causal", "1"}}, "is_causal"},
      {"gpt2-base-v4", {{"add_cross_attention", "true"}}, "add_cross_attention"},
      {"gpt2-base-v4", {{"tie_last_hidden_states", "false"}}, "tie_last_hidden_states"},
      {"gpt2-base-v4", {{"sliding_window", "16"}}, "sliding_window"},
      {"gpt2-base-v4", {{"position_embedding_type", "\"rotary\""}}, "position_embedding_type"},
      {"gpt2-base-v4", {{"is_decoder", "true"}}, "is_decoder"},
      {"gpt2-base-v4", {{"alibi", "true"}}, "alibi"},
      {"bert-base-v5", {{"position_embedding_type", "\"relative_key\""}}, "position_embedding_type"},
      {"bert-base-v5", {{"position_embedding_type", "\"relative_key_query\""}}, "position_embedding_type"},
      {"bert-base-v5", {{"position_embedding_type", "true"}}, "position_embedding_type"},
      {"bert-base-v5", {{"is_decoder", "true"}}, "is_decoder"},
      {"bert-base-v5", {{"add_cross_attention", "true"}}, "add_cross_attention"},
      {"bert-base-v5", {{"is_encoder_decoder", "true"}}, "is_encoder_decoder"},
      {"bert-base-v5", {{"pruned_heads", "{\"0\":[1]}"}}, "pruned_heads"},
      {"bert-base-v5", {{"embedding_size", "12"}}, "embedding_size"},
      {"bert-base-v5", {{"conv_kernel_size", "3"}}, "conv_kernel_size"},
      {"bert-base-v5", {{"sliding_window", "8"}}, "sliding_window"},
      {"bert-base-v5",
       {{"rope_theta", "10000"}, {"rope_scaling", "{\"type\":\"linear\",\"factor\":2}"}},
       "rope_scaling"},
      {"bert-base-v5", {{"rope_parameters", "{\"rope_type\":\"default\"}"}}, "rope_parameters"},
      {"bert-base-v5", {{"partial_rotary_factor", "0.5"}}, "partial_rotary_factor"},
      {"bert-base-v5", {{"layer_types", "[\"full_attention\",\"sliding_attention\"]"}}, "layer_types"},
      {"bert-base-v5", {{"adapters", "{\"a\":1}"}}, "adapters"},
      {"bert-base-v5", {{"per_layer_config", "{\"0\":{\"intermediate_size\":12}}"}}, "per_layer_config"},
      {"bert-base-v5", {{"auto_map", "{\"AutoModel\":\"code.Model\"}"}}, "never run"},
      {"bert-base-v5", {{"auto_map", "\"x\\ny\""}}, "auto_map"},
      {"bert-base-v5", {{"quantization_config", "{\"quant_method\":\"gptq\",\"bits\":4}"}}, "gptq"},
      {"bert-base-v5", {{"quantization_config", "{\"bits\":4}"}}, "quantization_config"},
      {"bert-base-v5", {{"quantization_config", "\"awq\""}}, "quantization_config"},
      {"bert-base-v5", {{"compression_config", "{\"format\":\"int\"}"}}, "compression_config"},
      {"llama-base-v4", {{"auto_map", "{\"AutoModel\":\"code.Model\"}"}}, "auto_map"},
      {"llama-base-v4", {{"quantization_config", "{\"quant_method\":\"fp8\"}"}}, "fp8"},
      {"llama-base-v4", {{"attn_logit_softcapping", "50.0"}}, "attn_logit_softcapping"},
      {"llama-base-v4", {{"final_logit_softcapping", "30.0"}}, "final_logit_softcapping"},
      {"llama-base-v4", {{"sliding_window", "4"}}, "sliding_window"},
      {"llama-base-v4", {{"use_sliding_window", "true"}}, "use_sliding_window"},
      {"llama-base-v4",
       {{"layer_types", "[\"full_attention\",\"full_attention\",\"chunked_attention\"]"}},
       "layer_types"},
      {"llama-base-v4", {{"attention_chunk_size", "8"}}, "attention_chunk_size"},
      {"llama-base-v4", {{"no_rope_layers", "[1,0,1]"}}, "no_rope_layers"},
      {"llama-base-v4", {{"num_local_experts", "8"}}, "num_local_experts"},
      {"llama-base-v4", {{"num_experts", "8"}}, "num_experts"},
      {"llama-base-v4", {{"clip_qkv", "8.0"}}, "clip_qkv"},
      {"llama-base-v4", {{"use_qk_norm", "true"}}, "use_qk_norm"},
      {"llama-base-v4", {{"qk_layernorm", "true"}}, "qk_layernorm"},
      {"llama-base-v4", {{"query_pre_attn_scalar", "256"}}, "query_pre_attn_scalar"},
      {"llama-base-v4", {{"embedding_multiplier", "12"}}, "embedding_multiplier"},
      {"llama-base-v4", {{"residual_multiplier", "0.2"}}, "residual_multiplier"},
      {"llama-base-v4", {{"attention_multiplier", "0.01"}}, "attention_multiplier"},
      {"llama-base-v4", {{"logit_scale", "0.1"}}, "logit_scale"},
      {"llama-base-v4", {{"parallel_attn", "true"}}, "parallel_attn"},
      {"llama-base-v4", {{"use_parallel_residual", "true"}}, "use_parallel_residual"},
      {"llama-base-v4", {{"is_causal", "false"}}, ""},
      {"llama-base-v4", {{"use_bidirectional_attention", "true"}}, "use_bidirectional_attention"},
      {"llama-base-v4", {{"is_decoder", "true"}}, "is_decoder"},
      {"llama-base-v4", {{"per_layer_config", "{\"1\":{\"head_dim\":3}}"}}, "per_layer_config"},
      {"qwen2-window-v5", {{"is_causal", "false"}}, ""},
      {"qwen2-window-v5", {{"layer_types", "[\"full_attention\",\"full_attention\"]"}}, "layer_types"},
      {"qwen2-window-v5", {{"layer_types", "[\"full_attention\",\"full_attention\",\"mamba\"]"}}, "mamba"},
      {"qwen2-window-v5", {{"layer_types", "[\"full_attention\",\"full_attention\",1]"}}, "layer_types"},
      {"qwen2-window-v5", {{"layer_types", "\"full_attention\""}}, "layer_types"},
      {"qwen3-base-v5", {{"layer_types", "[\"full_attention\",\"sliding_attention\"]"}}, "sliding_window"},
      {"mistral-window-v5", {{"layer_types", "[\"sliding_attention\"]"}}, "layer_types"},
      {"mistral-window-v5",
       {{"sliding_window", "null"}, {"layer_types", "[\"full_attention\",\"sliding_attention\"]"}},
       "sliding_window"},
  };
  return kCases;
}

const std::vector<ConfigCase>& rotations() {
  static const std::vector<ConfigCase> kCases = [] {
    std::vector<ConfigCase> cases = {
        {"llama-base-v4", {{"partial_rotary_factor", "0.5"}}, "partial_rotary_factor"},
        {"llama-base-v4", {{"partial_rotary_factor", "0"}}, "partial_rotary_factor"},
        {"llama-base-v4", {{"partial_rotary_factor", "\"x\""}}, "partial_rotary_factor"},
        {"llama-base-v4", {{"partial_rotary_factor", "1.0"}}, ""},
        {"qwen2-window-v5", {{"rope_theta", "5000"}}, "rope_theta"},
        {"qwen2-window-v5", {{"rope_theta", "1000000"}}, ""},
        {"qwen2-window-v5", {{"rope_scaling", R"({"type":"linear","factor":2.0})"}}, "rope_scaling"},
        {"qwen2-window-v5", {{"rope_scaling", R"({"rope_theta":1000000.0,"rope_type":"default"})"}}, ""},
        {"qwen2-window-v5", {{"rope_scaling", R"([])"}}, "rope_scaling"},
        {"qwen2-window-v5", {{"rope_parameters", R"({"rope_theta":"1e6"})"}}, "rope_theta"},
        {"qwen2-window-v5", {{"rope_parameters", R"({"rope_theta":0.5})"}}, "rope_theta"},
        {"qwen2-window-v5", {{"rope_parameters", R"({"full_attention":{"rope_type":"default"}})"}}, "rope_parameters"},
        {"qwen2-window-v5", {{"rope_parameters", R"({"partial_rotary_factor":0.25})"}}, "partial_rotary_factor"},
    };
    const std::pair<std::string_view, std::string_view> scalings[] = {
        {R"({"type":"linear","factor":2.0})", ""},
        {R"({"rope_type":"linear","factor":2})", ""},
        {R"({"type":"linear","factor":2.0,"rope_theta":10000.0})", ""},
        {R"({"type":"dynamic","factor":2.0})", ""},
        {R"({"rope_type":"default"})", ""},
        {R"({"rope_type":null,"type":null})", ""},
        {R"({"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":16,"attention_factor":null})", ""},
        {R"({"rope_type":"yarn","factor":4.0,"beta_fast":32,"beta_slow":1,"mscale":1.0,"mscale_all_dim":0.8})", ""},
        {R"({"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32})",
         ""},
        {R"({"rope_type":"longrope","short_factor":[1,1,1],"long_factor":[1,2,4],"original_max_position_embeddings":32})",
         ""},
        {R"({"type":"linear"})", "factor"},
        {R"({"type":"linear","factor":null})", "factor"},
        {R"({"type":"linear","factor":"2"})", "factor"},
        {R"({"type":"linear","factor":0})", "factor"},
        {R"({"type":"linear","factor":-2})", "factor"},
        {R"({"type":"linear","factor":1e308})", "factor"},
        {R"({"type":"linear","factor":1e-320})", "frequencies"},
        {R"({"type":"linear","factor":2,"rope_theta":5.0})", "rope_theta"},
        {R"({"type":"dynamic"})", "factor"},
        {R"({"type":"ntk","factor":2})", "ntk"},
        {R"({"type":"mrope","mrope_section":[1,1,1]})", "mrope"},
        {R"({"type":"Linear","factor":2})", "Linear"},
        {R"({"type":"","factor":2})", "type"},
        {R"({"type":3,"factor":2})", "type"},
        {R"({"type":"a\nb","factor":2})", "type"},
        {R"({"rope_type":"yarn","factor":"x"})", "factor"},
        {R"({"rope_type":"yarn","factor":4,"attention_factor":"x"})", "attention_factor"},
        {R"({"rope_type":"yarn","factor":4,"attention_factor":-1})", "attention_factor"},
        {R"({"rope_type":"yarn","factor":4,"beta_fast":"x"})", "beta_fast"},
        {R"({"rope_type":"yarn","factor":4,"beta_fast":0})", "beta_fast"},
        {R"({"rope_type":"yarn","factor":4,"beta_slow":[1]})", "beta_slow"},
        {R"({"rope_type":"yarn","factor":4,"mscale":true})", "mscale"},
        {R"({"rope_type":"yarn","factor":4,"mscale_all_dim":"x"})", "mscale_all_dim"},
        {R"({"rope_type":"yarn","factor":4,"truncate":"no"})", "truncate"},
        {R"({"rope_type":"yarn","factor":4,"original_max_position_embeddings":0})", "original_max_position_embeddings"},
        {R"({"rope_type":"yarn","factor":4,"original_max_position_embeddings":1e300})",
         "original_max_position_embeddings"},
        {R"({"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4})", ""},
        {R"({"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,"original_max_position_embeddings":32})",
         "high_freq_factor"},
        {R"({"rope_type":"llama3","factor":8,"high_freq_factor":4,"original_max_position_embeddings":32})",
         "low_freq_factor"},
        {R"({"rope_type":"longrope","short_factor":[1,1,1]})", "long_factor"},
        {R"({"rope_type":"longrope","short_factor":[1,1],"long_factor":[1,1,1]})", "short_factor"},
        {R"({"rope_type":"longrope","short_factor":[1,1,"x"],"long_factor":[1,1,1]})", "short_factor"},
        {R"({"rope_type":"longrope","short_factor":[1,1,0],"long_factor":[1,1,1]})", "short_factor"},
        {R"({"rope_type":"longrope","short_factor":[1,1,1],"long_factor":[1,1,1],"factor":-1})", "factor"},
        {R"("linear")", "rope_scaling"},
    };
    for (const auto& [scaling, named] : scalings)
      cases.push_back({"llama-base-v4", {{"rope_scaling", scaling}}, named});
    return cases;
  }();
  return kCases;
}

const std::vector<ConfigCase>& harmless() {
  static const std::vector<ConfigCase> kCases = {
      {"bert-base-v5", {{"architectures", ""}, {"dtype", ""}, {"transformers_version", ""}}, ""},
      {"bert-base-v5", {{"torch_dtype", "\"float16\""}}, ""},
      {"bert-base-v5", {{"dtype", "\"bfloat16\""}}, ""},
      {"bert-base-v5", {{"position_embedding_type", "\"absolute\""}}, ""},
      {"bert-base-v5", {{"position_embedding_type", "null"}}, ""},
      {"bert-base-v5", {{"pruned_heads", "{}"}, {"is_encoder_decoder", "false"}}, ""},
      {"bert-base-v5", {{"id2label", "{\"0\":\"a\"}"}, {"problem_type", "null"}, {"chunk_size_feed_forward", "0"}}, ""},
      {"bert-base-v5", {{"my_own_key", "{\"deep\":[1,2,{\"x\":null}]}"}}, ""},
      {"bert-base-v5", {{"is_causal", "false"}}, ""},
      {"bert-base-v5", {{"quantization_config", "null"}, {"auto_map", "null"}}, ""},
      {"bert-base-v5", {{"hidden_act", "\"gelu_python\""}}, ""},
      {"bert-base-v5", {{"tie_word_embeddings", "false"}}, ""},
      {"bert-base-v5", {{"output_hidden_states", "true"}, {"output_attentions", "true"}, {"return_dict", "false"}}, ""},
      {"gpt2-base-v4", {{"reorder_and_upcast_attn", "true"}, {"n_ctx", "64"}}, ""},
      {"gpt2-base-v4", {{"hidden_size", "24"}, {"num_attention_heads", "4"}, {"num_hidden_layers", "3"}}, ""},
      {"gpt2-base-v4", {{"task_specific_params", "{\"text-generation\":{\"do_sample\":true}}"}}, ""},
      {"gpt2-base-v4", {{"is_causal", "true"}, {"tie_last_hidden_states", "true"}}, ""},
      {"llama-base-v4", {{"pretraining_tp", "2"}, {"tie_word_embeddings", "true"}}, ""},
      {"llama-base-v4", {{"head_dim", "null"}, {"sliding_window", "null"}, {"layer_types", "null"}}, ""},
      {"llama-base-v4",
       {{"rope_theta", ""}, {"rope_parameters", R"({"rope_theta":10000.0,"rope_type":"default"})"}},
       ""},
      {"llama-base-v4", {{"attention_dropout", "0.5"}, {"use_cache", "false"}}, ""},
      {"llama-base-v4", {{"eos_token_id", "[2,3]"}, {"pad_token_id", "-1"}}, ""},
      {"qwen2-window-v5", {{"use_mrope", "false"}, {"attention_bias", "true"}}, ""},
      {"qwen2-window-v5", {{"layer_types", ""}, {"use_sliding_window", "false"}, {"sliding_window", "null"}}, ""},
      {"qwen2-window-v5", {{"rope_parameters", ""}, {"rope_theta", "1000000.0"}, {"rope_scaling", "null"}}, ""},
      {"mistral-window-v5", {{"layer_types", "[\"sliding_attention\",\"full_attention\"]"}}, ""},
      {"mistral-window-v5", {{"sliding_window", "null"}}, ""},
      {"t5-base-v5", {{"num_decoder_layers", ""}, {"decoder_start_token_id", ""}, {"dense_act_fn", ""}}, ""},
      {"t5-base-v5", {{"hidden_size", "24"}, {"num_hidden_layers", "2"}, {"head_dim", "5"}}, ""},
      {"t5-base-v5", {{"n_positions", "512"}, {"output_past", "true"}, {"tie_word_embeddings", "false"}}, ""},
      {"t5-base-v5", {{"architectures", "[]"}}, ""},
  };
  return kCases;
}

void check(const std::vector<ConfigCase>& cases) {
  for (const ConfigCase& item : cases) {
    SCOPED_TRACE(title(item));
    const test::ModelCopy copy(item.model);
    for (const auto& [key, value] : item.edits) copy.set(key, value);
    if (item.named.empty())
      expect_opened(copy);
    else
      expect_refused(copy, item.by_tensor ? "" : "config.json", item.named);
  }
}

TEST(HostileConfig, SizesThatDoNotFitAreRefused) { check(shapes()); }
TEST(HostileConfig, MathematicsThatIsNotDoneIsRefused) { check(mathematics()); }
TEST(HostileConfig, RotationsAreReadStrictly) { check(rotations()); }
TEST(HostileConfig, HarmlessSettingsOpen) { check(harmless()); }
TEST(HostileConfig, IsTriedInHundredsOfWays) {
  EXPECT_GT(shapes().size() + mathematics().size() + rotations().size() + harmless().size(), 240U);
}

}  // namespace
}  // namespace layerscope
