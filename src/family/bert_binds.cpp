// Names of tensors in BERT and those of its relatives that call their blocks encoder.layer.{i}.
#include "family/bert.h"

namespace layerscope {
namespace {

constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.position", "embeddings.position_embeddings"},
    {"embed.type", "embeddings.token_type_embeddings"},
    {"embed.task", "embeddings.task_type_embeddings"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"embed.norm", "embeddings.layer_norm"},
    {"embed.projection", "embeddings_project"},
    {"rotation", "encoder.embed_positions"},
    {"rotation", "rotary_embeddings.inv_freq!"},
    {"rotation", "encoder.layer.0.attention.self.rotary_embeddings.inv_freq!"},
    {"rotation", "encoder.layer.*.attention.self.rotary_embeddings.inv_freq!"},  // as transformers 5 writes it
    {"score", "encoder.relative_attention_bias"},
    {"block.{i}.attn.pre", "encoder.layer.{i}.attention.ln"},
    {"block.{i}.attn.pre", "encoder.layer.{i}.attention.LayerNorm"},
    {"block.{i}.attn.q", "encoder.layer.{i}.attention.self.query"},
    {"block.{i}.attn.q", "encoder.layer.{i}.attention.attn.q"},
    {"block.{i}.attn.k", "encoder.layer.{i}.attention.self.key"},
    {"block.{i}.attn.k", "encoder.layer.{i}.attention.attn.k"},
    {"block.{i}.attn.v", "encoder.layer.{i}.attention.self.value"},
    {"block.{i}.attn.v", "encoder.layer.{i}.attention.attn.v"},
    {"block.{i}.attn.out", "encoder.layer.{i}.attention.output.dense"},
    {"block.{i}.attn.out", "encoder.layer.{i}.attention.attn.o"},
    {"block.{i}.attn.after", "encoder.layer.{i}.attention.output.LayerNorm"},
    {"block.{i}.attn.after", "encoder.layer.{i}.attention.LayerNorm"},
    {"block.{i}.mlp.pre", "encoder.layer.{i}.ln"},
    {"block.{i}.mlp.pre", "encoder.layer.{i}.intermediate.LayerNorm"},
    {"block.{i}.mlp.pre", "encoder.layer.{i}.LayerNorm"},
    {"block.{i}.mlp.up", "encoder.layer.{i}.intermediate.dense"},
    {"block.{i}.mlp.down", "encoder.layer.{i}.output.dense"},
    {"block.{i}.mlp.after", "encoder.layer.{i}.output.LayerNorm"},
    {"top", "encoder.ln"},
    {"top", "encoder.emb_layer_norm_after"},
    {"top", "LayerNorm"},
    {.slot = "pooler", .source = "pooler.dense", .shared = true},  // with a classifier's
    {"head.transform", "cls.predictions.transform.dense"},
    {"head.transform", "lm_head.dense"},
    {"head.transform", "generator_predictions.dense"},
    {"head.norm", "cls.predictions.transform.LayerNorm"},
    {"head.norm", "lm_head.layer_norm"},
    {"head.norm", "generator_predictions.LayerNorm"},
    {"head.out", "cls.predictions.decoder"},
    {"head.out", "lm_head.decoder"},
    {"head.out", "generator_lm_head"},
    {"head.out.bias", "cls.predictions.bias!"},
    {"head.out.bias", "lm_head.bias!"},
};
constexpr std::string_view kIgnored[] = {
    "embeddings.position_ids",
    "embeddings.token_type_ids",
    "embeddings.position_embeddings.weight",  // rotary ESM checkpoints keep one unused
    "embeddings.task_type_embeddings.weight",
    "encoder.layer.*.attention.self.rotary_embeddings.inv_freq",
    "pooler.dense.*",
    "cls.**",
    "lm_head.**",
    "generator_predictions.**",
    "generator_lm_head.*",
    "discriminator_predictions.**",
    "contact_head.regression.*",
    "classifier.**",
    "qa_outputs.*",
    "sequence_summary.**",
};

}  // namespace

const std::span<const Bind> kBertBinds = kBinds;
const std::span<const std::string_view> kBertIgnored = kIgnored;

}  // namespace layerscope
