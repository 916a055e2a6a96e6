// ALBERT (Lan et al. 2019): BERT with narrow tables and few sets of weights. A layer is one pass over the inner layers
// of its group, and every inner layer is a block here, as transformers 5 counts states.
// transformers, src/transformers/models/albert/modeling_albert.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t tables = c.size("embedding_size", 128);
  ModelSpec spec = describe_bert(c, {.activation = "gelu_new",
                                     .positions = plain_positions(c),
                                     .types = c.size("type_vocab_size", 2),
                                     .table_width = tables});
  spec.encoder->embedding.projection = EmbeddingProjection{.width = tables, .bias = true};  // of equal widths too
  const std::int64_t layers = c.layers("num_hidden_layers");
  const std::int64_t groups = c.size("num_hidden_groups", 1), inner = c.size("inner_group_num", 1);
  c.require(groups <= layers, "\"num_hidden_groups\" is above \"num_hidden_layers\"");
  c.require(inner <= kMaxLayers / layers,
            "\"inner_group_num\" makes more than " + std::to_string(kMaxLayers) + " blocks");
  if (groups > layers || inner > kMaxLayers / layers) return spec;
  const Block block = spec.encoder->blocks.front();
  spec.encoder->blocks.clear();
  std::vector<std::int64_t> first(static_cast<std::size_t>(groups), -1);  // block that begins a group's first pass
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto group = static_cast<std::int64_t>(static_cast<double>(layer) /
                                                 (static_cast<double>(layers) / static_cast<double>(groups)));
    std::int64_t& owner = first[static_cast<std::size_t>(group)];
    const bool again = owner >= 0;
    if (!again) owner = layer * inner;
    for (std::int64_t i = 0; i < inner; ++i) {
      Block copy = block;
      copy.source = std::to_string(group) + ".albert_layers." + std::to_string(i);
      if (again) copy.same_as = owner + i;
      spec.encoder->blocks.push_back(std::move(copy));
    }
  }
  return spec;
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"albert"};
constexpr std::string_view kPrefixes[] = {"", "albert."};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.position", "embeddings.position_embeddings"},
    {"embed.type", "embeddings.token_type_embeddings"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"embed.projection", "encoder.embedding_hidden_mapping_in"},
    {"block.{i}.attn.q", "encoder.albert_layer_groups.{i}.attention.query"},
    {"block.{i}.attn.k", "encoder.albert_layer_groups.{i}.attention.key"},
    {"block.{i}.attn.v", "encoder.albert_layer_groups.{i}.attention.value"},
    {"block.{i}.attn.out", "encoder.albert_layer_groups.{i}.attention.dense"},
    {"block.{i}.attn.after", "encoder.albert_layer_groups.{i}.attention.LayerNorm"},
    {"block.{i}.mlp.up", "encoder.albert_layer_groups.{i}.ffn"},
    {"block.{i}.mlp.down", "encoder.albert_layer_groups.{i}.ffn_output"},
    {"block.{i}.mlp.after", "encoder.albert_layer_groups.{i}.full_layer_layer_norm"},
    {.slot = "pooler", .source = "pooler", .shared = true},  // with a classifier's
    {"head.transform", "predictions.dense"},
    {"head.norm", "predictions.LayerNorm"},
    {"head.out", "predictions.decoder"},
    {"head.out.bias", "predictions.bias!"},
};
constexpr std::string_view kIgnored[] = {"embeddings.position_ids",
                                         "embeddings.token_type_ids",
                                         "pooler.*",
                                         "predictions.**",
                                         "sop_classifier.**",
                                         "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kAlbert{.model_types = kTypes,
                     .describe = describe,
                     .binds = kBinds,
                     .prefixes = kPrefixes,
                     .ignored = kIgnored,
                     .adapt_labels = adapt_labels};

}  // namespace layerscope
