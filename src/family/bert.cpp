// BERT (Devlin et al. 2018): a post-norm encoder. transformers, src/transformers/models/bert/modeling_bert.py.
#include <cmath>

#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size");
  const std::int64_t heads = c.size("num_attention_heads");
  const std::int64_t head = width / heads;
  c.require(width % heads == 0, "\"hidden_size\" is not a multiple of \"num_attention_heads\"");
  c.only("position_embedding_type", "absolute");
  c.only("is_decoder", false);
  c.only("add_cross_attention", false);
  c.ignore("is_causal");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-12), .bias = true};

  const Attention attention{.heads = heads,
                            .kv_heads = heads,
                            .d_qk = head,
                            .d_v = head,
                            .keys = KeySource::kSelf,
                            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                            .qkv_bias = true,
                            .out_bias = true};
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "gelu"), .bias = true};

  ModelSpec spec{.width = width};
  spec.encoder = Stack{
      .embedding = {.vocabulary_size = c.size("vocab_size"),
                    .positions = PositionTable{.rows = c.size("max_position_embeddings", 512)},
                    .types = c.size("type_vocab_size", 2),
                    .norm = norm},
      .blocks = repeat(c.layers("num_hidden_layers"), {{Step{.slot = "attn", .mixer = attention, .after = norm},
                                                        Step{.slot = "mlp", .mixer = mlp, .after = norm}}}),
  };
  return spec;
}

constexpr std::string_view kTypes[] = {"bert"};
constexpr std::string_view kPrefixes[] = {"", "bert."};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.position", "embeddings.position_embeddings"},
    {"embed.type", "embeddings.token_type_embeddings"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"block.{i}.attn.q", "encoder.layer.{i}.attention.self.query"},
    {"block.{i}.attn.k", "encoder.layer.{i}.attention.self.key"},
    {"block.{i}.attn.v", "encoder.layer.{i}.attention.self.value"},
    {"block.{i}.attn.out", "encoder.layer.{i}.attention.output.dense"},
    {"block.{i}.attn.after", "encoder.layer.{i}.attention.output.LayerNorm"},
    {"block.{i}.mlp.up", "encoder.layer.{i}.intermediate.dense"},
    {"block.{i}.mlp.down", "encoder.layer.{i}.output.dense"},
    {"block.{i}.mlp.after", "encoder.layer.{i}.output.LayerNorm"},
};
constexpr std::string_view kIgnored[] = {"embeddings.position_ids", "pooler.dense.*", "cls.**", "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kBert{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
