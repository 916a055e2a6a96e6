// BERT (Devlin et al. 2018): a post-norm encoder. ERNIE: BERT with a table of tasks, of which every token gets row 0.
// transformers, src/transformers/models/bert/modeling_bert.py and ernie/modeling_ernie.py.
#include "family/bert.h"

#include <cmath>

#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {

PositionTable plain_positions(Config& c) {
  c.only("position_embedding_type", "absolute");
  return {.rows = c.size("max_position_embeddings", 512)};
}

PositionTable padded_positions(Config& c, std::int64_t padding) {
  c.only("position_embedding_type", "absolute");
  const std::int64_t rows = c.size("max_position_embeddings", 512);
  c.require(rows > padding + 1,
            "\"max_position_embeddings\" leaves no position behind the padding's id " + std::to_string(padding));
  return {.rows = rows, .offset = padding + 1, .skipped_id = padding};
}

std::int64_t padding_id(Config& c, std::optional<std::int64_t> fallback) {
  c.require(c.has("pad_token_id") || (fallback && c.json().find("pad_token_id") == nullptr),
            "\"pad_token_id\" is not set, expected the id from which positions are counted");
  return c.index("pad_token_id", fallback.value_or(0));
}

ModelSpec describe_bert(Config& c, const BertTraits& traits) {
  const BertKeys& keys = traits.keys;
  const std::int64_t width = c.size(keys.width);
  const std::int64_t heads = c.size(keys.heads);
  const std::int64_t head = traits.head_dim.value_or(width / heads);
  c.require(traits.head_dim || width % heads == 0,
            "\"" + std::string(keys.width) + "\" is not a multiple of \"" + std::string(keys.heads) + "\"");
  c.only("is_decoder", false);
  c.only("add_cross_attention", false);
  c.ignore("is_causal");
  const Norm norm{.kind = NormKind::kLayer,
                  .epsilon = keys.epsilon.empty() ? 1e-12F : c.epsilon(keys.epsilon, 1e-12),
                  .bias = true};
  Attention attention{.heads = heads,
                      .kv_heads = heads,
                      .d_qk = head,
                      .d_v = head,
                      .keys = KeySource::kSelf,
                      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                      .rope = traits.rope,
                      .qkv_bias = traits.bias,
                      .out_bias = traits.bias};
  if (traits.score) attention.score = *traits.score;
  const Mlp mlp{.hidden = c.size(keys.hidden),
                .activation = keys.activation.empty() ? c.activation_named("hidden_act", traits.activation)
                                                      : c.activation(keys.activation, traits.activation),
                .gated = traits.gated,
                .bias = traits.bias};
  const std::optional<Norm> pre = traits.pre_norm ? std::optional(norm) : std::nullopt;
  const std::optional<Norm> after = traits.pre_norm ? std::nullopt : std::optional(norm);

  ModelSpec spec{.width = width};
  spec.encoder = Stack{
      .embedding = {.vocabulary_size = c.size("vocab_size"),
                    .positions = traits.positions,
                    .types = traits.types,
                    .norm = traits.embedding_norm ? std::optional(norm) : std::nullopt},
      .blocks = repeat(c.layers(keys.layers), {{Step{.slot = "attn", .pre = pre, .mixer = attention, .after = after},
                                                Step{.slot = "mlp", .pre = pre, .mixer = mlp, .after = after}}}),
      .top = pre};
  const std::int64_t tables = traits.table_width.value_or(width);
  if (tables != width) spec.encoder->embedding.projection = EmbeddingProjection{.width = tables, .bias = true};
  if (c.architecture_ends_in({"ForMaskedLM", "ForPreTraining", "ForCausalLM", "LMHeadModel"})) {
    spec.head = Head{.transform = Head::Transform{.width = tables,
                                                  .activation = traits.head_activation.value_or(mlp.activation),
                                                  .norm = norm},
                     .tied = c.flag("tie_word_embeddings", true),
                     .bias = true};
  }
  spec.pooler = Pooler{};
  return spec;
}

namespace {

ModelSpec describe(Config& c) {
  ModelSpec spec = describe_bert(c, {.positions = plain_positions(c), .types = c.size("type_vocab_size", 2)});
  if (c.model_type() == "ernie" && c.flag("use_task_id", false))
    spec.encoder->embedding.tasks = c.size("task_type_vocab_size", 3);
  return spec;
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"bert", "ernie"};
constexpr std::string_view kPrefixes[] = {"", "bert.", "ernie."};
}  // namespace

const Family kBert{.model_types = kTypes,
                   .describe = describe,
                   .binds = kBertBinds,
                   .prefixes = kPrefixes,
                   .ignored = kBertIgnored,
                   .adapt_labels = adapt_labels};

}  // namespace layerscope
