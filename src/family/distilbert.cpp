// DistilBERT (Sanh et al. 2019): BERT without types. transformers,
// src/transformers/models/distilbert/modeling_distilbert.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.alias("hidden_size", "dim");
  c.alias("num_hidden_layers", "n_layers");
  c.alias("num_attention_heads", "n_heads");
  return describe_bert(c, {.keys = {.width = "dim",
                                    .layers = "n_layers",
                                    .heads = "n_heads",
                                    .hidden = "hidden_dim",
                                    .activation = "activation",
                                    .epsilon = {}},
                           .positions = plain_positions(c)});
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kRelu);
}

constexpr std::string_view kTypes[] = {"distilbert"};
constexpr std::string_view kPrefixes[] = {"", "distilbert."};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.position", "embeddings.position_embeddings"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"block.{i}.attn.q", "transformer.layer.{i}.attention.q_lin"},
    {"block.{i}.attn.k", "transformer.layer.{i}.attention.k_lin"},
    {"block.{i}.attn.v", "transformer.layer.{i}.attention.v_lin"},
    {"block.{i}.attn.out", "transformer.layer.{i}.attention.out_lin"},
    {"block.{i}.attn.after", "transformer.layer.{i}.sa_layer_norm"},
    {"block.{i}.mlp.up", "transformer.layer.{i}.ffn.lin1"},
    {"block.{i}.mlp.down", "transformer.layer.{i}.ffn.lin2"},
    {"block.{i}.mlp.after", "transformer.layer.{i}.output_layer_norm"},
    {"head.transform", "vocab_transform"},
    {"head.norm", "vocab_layer_norm"},
    {"head.out", "vocab_projector"},
};
constexpr std::string_view kIgnored[] = {"embeddings.position_ids", "vocab_*.*", "pre_classifier.*", "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kDistilbert{.model_types = kTypes,
                         .describe = describe,
                         .binds = kBinds,
                         .prefixes = kPrefixes,
                         .ignored = kIgnored,
                         .adapt_labels = adapt_labels};

}  // namespace layerscope
