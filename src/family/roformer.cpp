// RoFormer (Su et al. 2021): BERT with rotated queries and keys, values too where asked for. Checkpoints store the
// table of angles. transformers, src/transformers/models/roformer/modeling_roformer.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.ignore("position_embedding_type");
  const std::int64_t head = c.size("hidden_size") / c.size("num_attention_heads");
  const Rope rope = c.rope(head, {.interleaved = true});
  ModelSpec spec = describe_bert(
      c, {.rope = rope, .types = c.size("type_vocab_size", 2), .table_width = c.optional_size("embedding_size")});
  spec.encoder->rotation = StoredRotation{.pairs = rope.pairs, .rows = c.size("max_position_embeddings", 1536)};
  const bool values = c.flag("rotary_value", false);
  for (Block& block : spec.encoder->blocks) std::get<Attention>(block.steps.front().mixer).rotate_values = values;
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, c.activation("hidden_act", "gelu"));
}

constexpr std::string_view kTypes[] = {"roformer"};
constexpr std::string_view kPrefixes[] = {"", "roformer."};

}  // namespace

const Family kRoformer{.model_types = kTypes,
                       .describe = describe,
                       .binds = kBertBinds,
                       .prefixes = kPrefixes,
                       .ignored = kBertIgnored,
                       .adapt_labels = adapt_labels};

}  // namespace layerscope
