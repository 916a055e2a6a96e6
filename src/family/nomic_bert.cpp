// Nomic BERT (Nussbaum et al. 2024): BERT with rotated heads and a gated MLP without biases. Jina embeddings v3 (Sturua
// et al. 2024), without its adapters: with biases and a plain MLP. Both in transformers' own spelling and in the one of
// the published checkpoints. transformers, src/transformers/models/nomic_bert/modeling_nomic_bert.py and
// jina_embeddings_v3/modeling_jina_embeddings_v3.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

// Settings of the published config.json that transformers' own does not have.
BertTraits published(Config& c) {
  c.only("prenorm", false);
  c.only("causal", false);
  c.only("parallel_block", false);
  c.only("use_rms_norm", false);
  c.only("activation_function", "swiglu");
  c.only("rotary_emb_interleaved", false);
  for (const char* key : {"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"}) c.only(key, false);
  for (const char* key : {"rotary_emb_scale_base", "rotary_scaling_factor", "num_experts", "moe_every_n_layers"})
    c.absent(key);
  const BertKeys keys{.width = "n_embd",
                      .layers = "n_layer",
                      .heads = "n_head",
                      .hidden = "n_inner",
                      .activation = {},
                      .epsilon = "layer_norm_epsilon"};
  return {.keys = keys,
          .rope = c.rope(c.size("n_embd") / c.size("n_head"),
                         {.theta = 1000, .theta_key = "rotary_emb_base", .partial_key = "rotary_emb_fraction"})};
}

ModelSpec describe(Config& c) {
  c.ignore("auto_map");  // transformers has the model itself
  c.ignore("position_embedding_type");
  const bool jina = c.model_type() == "jina_embeddings_v3";
  BertTraits traits;
  if (!jina && c.has("n_embd")) {
    traits = published(c);
  } else {
    const std::optional<std::int64_t> head = c.optional_size("head_dim");
    const std::int64_t plain = c.size("hidden_size") / c.size("num_attention_heads");
    traits = {.head_dim = head, .rope = c.rope(head.value_or(plain), {.theta = jina ? 20000.0 : 1000.0})};
  }
  traits.types = c.size("type_vocab_size", jina ? 1 : 2);
  traits.gated = !jina;
  traits.bias = jina;
  traits.activation = jina ? "gelu" : "silu";
  if (jina) traits.head_activation = Activation::kGeluErf;
  ModelSpec spec = describe_bert(c, traits);
  if (!jina) spec.pooler.reset();
  return spec;
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"nomic_bert", "jina_embeddings_v3"};
constexpr std::string_view kPrefixes[] = {"", "nomic_bert.", "roberta.", "bert."};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.type", "embeddings.token_type_embeddings"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"embed.norm", "emb_ln"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.attn.q", "encoder.layers.{i}.attn.Wqkv", {.part = 0, .parts = 3}},
    {"block.{i}.attn.k", "encoder.layers.{i}.attn.Wqkv", {.part = 1, .parts = 3}},
    {"block.{i}.attn.v", "encoder.layers.{i}.attn.Wqkv", {.part = 2, .parts = 3}},
    {"block.{i}.attn.out", "encoder.layers.{i}.attn.out_proj"},
    {"block.{i}.attn.q", "encoder.layers.{i}.mixer.Wqkv", {.part = 0, .parts = 3}},
    {"block.{i}.attn.k", "encoder.layers.{i}.mixer.Wqkv", {.part = 1, .parts = 3}},
    {"block.{i}.attn.v", "encoder.layers.{i}.mixer.Wqkv", {.part = 2, .parts = 3}},
    {"block.{i}.attn.out", "encoder.layers.{i}.mixer.out_proj"},
    {"block.{i}.attn.after", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.attn.after", "encoder.layers.{i}.norm1"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.gate", "encoder.layers.{i}.mlp.fc12"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.fc1"},
    {"block.{i}.mlp.up", "encoder.layers.{i}.mlp.fc11"},
    {"block.{i}.mlp.up", "encoder.layers.{i}.mlp.fc1"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.fc2"},
    {"block.{i}.mlp.down", "encoder.layers.{i}.mlp.fc2"},
    {"block.{i}.mlp.after", "layers.{i}.post_mlp_layernorm"},
    {"block.{i}.mlp.after", "encoder.layers.{i}.norm2"},
    {.slot = "pooler", .source = "pooler.dense", .shared = true},  // with a classifier's
    {"head.transform", "cls.predictions.transform.dense"},
    {"head.transform", "lm_head.dense"},
    {"head.norm", "cls.predictions.transform.layer_norm"},
    {"head.norm", "lm_head.layer_norm"},
    {"head.out", "cls.predictions.decoder"},
    {"head.out", "lm_head.decoder"},
    {"head.out.bias", "cls.predictions.bias!"},
    {"head.out.bias", "lm_head.bias!"},
};
constexpr std::string_view kIgnored[] = {"embeddings.position_ids", "pooler.dense.*", "cls.**", "lm_head.**",
                                         "classifier.**",           "qa_outputs.*"};

}  // namespace

const Family kNomicBert{.model_types = kTypes,
                        .describe = describe,
                        .binds = kBinds,
                        .prefixes = kPrefixes,
                        .ignored = kIgnored,
                        .adapt_labels = adapt_labels};

}  // namespace layerscope
