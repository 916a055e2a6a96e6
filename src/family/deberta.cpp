// DeBERTa (He et al. 2021) and its versions 2 and 3: post-norm encoders whose scores also weigh contents against
// relative positions. transformers, src/transformers/models/deberta/modeling_deberta.py and
// deberta_v2/modeling_deberta_v2.py.
#include <algorithm>
#include <cmath>

#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

/// A list of texts, or one text with "|" between its parts.
std::vector<std::string> parts(Config& c, std::string_view key) {
  const Json* value = c.json().find(key);
  if (value == nullptr || value->string() == nullptr) return c.texts(key).value_or(std::vector<std::string>());
  std::vector<std::string> result(1);
  for (const char letter : c.text(key, "")) {
    if (letter == '|') {
      result.emplace_back();
    } else if (letter != ' ') {
      result.back() += static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
    }
  }
  return result;
}
bool among(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A count, or `none` where it is absent, 0 or negative.
std::int64_t positive(Config& c, std::string_view key, std::int64_t none) {
  const Json* value = c.json().find(key);
  const std::int64_t* number = value == nullptr ? nullptr : value->integer();
  if (number == nullptr || *number > 0) return c.size(key, none);
  c.ignore(key);
  return none;
}

Attention attention(Config& c, bool second, std::int64_t width) {
  const std::int64_t heads = c.size("num_attention_heads"), head = width / heads;
  c.require(width % heads == 0, "\"hidden_size\" is not a multiple of \"num_attention_heads\"");
  const std::vector<std::string> kinds = parts(c, "pos_att_type");
  Disentangled relative{.content_to_position = among(kinds, "c2p"),
                        .position_to_content = among(kinds, "p2c"),
                        .shared = second && c.flag("share_att_key", false),
                        .key_bias = second};
  // The first version counts every kind that is named, the second those it knows.
  const std::int64_t terms =
      second ? relative.content_to_position + relative.position_to_content : static_cast<std::int64_t>(kinds.size());
  Attention attention{.heads = heads,
                      .kv_heads = heads,
                      .d_qk = head,
                      .d_v = head,
                      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head * (1 + terms)))),
                      .qkv_bias = true,
                      .out_bias = true,
                      .key_bias = second};
  if (second) c.only("attention_head_size", head);
  c.only("talking_head", false);
  relative.max_distance = positive(c, "max_relative_positions", c.size("max_position_embeddings", 512));
  if (second) relative.buckets = positive(c, "position_buckets", 0);
  relative.span = relative.buckets > 0 ? relative.buckets : relative.max_distance;
  if (!c.flag("relative_attention", false) || !(relative.content_to_position || relative.position_to_content))
    return attention;
  c.require(relative.buckets == 0 || (relative.buckets > 1 && relative.max_distance - 1 != relative.buckets / 2),
            "\"position_buckets\" and \"max_relative_positions\" leave no far distances");
  attention.score = relative;
  return attention;
}

ModelSpec describe(Config& c) {
  const bool second = c.model_type() == "deberta-v2";
  const std::int64_t width = c.size("hidden_size"), tables = c.size("embedding_size", width);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-7), .bias = true};
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "gelu"), .bias = true};
  c.only("is_decoder", false);
  c.only("add_cross_attention", false);

  Stack stack{
      .embedding = {.vocabulary_size = c.size("vocab_size"), .types = c.index("type_vocab_size", 0), .norm = norm}};
  if (c.flag("position_biased_input", true))
    stack.embedding.positions = PositionTable{.rows = c.size("max_position_embeddings", 512)};
  if (tables != width)
    stack.embedding.projection = EmbeddingProjection{.width = tables, .at = EmbeddingProjection::At::kSum};
  const Attention mixer = attention(c, second, width);
  stack.blocks =
      repeat(c.layers("num_hidden_layers"),
             {{Step{.slot = "attn", .mixer = mixer, .after = norm}, Step{.slot = "mlp", .mixer = mlp, .after = norm}}});
  if (std::holds_alternative<Disentangled>(mixer.score) && second && among(parts(c, "norm_rel_ebd"), "layer_norm"))
    stack.relative_norm = norm;
  if (const std::int64_t taps = second ? positive(c, "conv_kernel_size", 0) : 0; taps > 0) {
    const TokenConv conv{
        .taps = taps, .groups = c.size("conv_groups", 1), .activation = c.activation("conv_act", "tanh")};
    c.require(taps % 2 == 1, "\"conv_kernel_size\" is even");
    c.require(width % conv.groups == 0, "\"hidden_size\" is not a multiple of \"conv_groups\"");
    stack.blocks.front().steps.push_back(
        {.slot = "conv", .reads = Step::Reads::kBlockInput, .mixer = conv, .after = norm});
  }
  ModelSpec spec{.width = width, .encoder = std::move(stack)};
  if (c.architecture_ends_in({"ForMaskedLM"})) {
    const bool legacy = c.flag("legacy", true);
    c.require(legacy || tables == width, "\"legacy\" is false and \"embedding_size\" differs from \"hidden_size\"");
    spec.head = Head{.transform = Head::Transform{.width = tables, .activation = mlp.activation, .norm = norm},
                     .tied = !legacy || c.flag("tie_word_embeddings", true),
                     .bias = true};
  }
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, c.activation("pooler_hidden_act", "gelu"));
}

constexpr std::string_view kTypes[] = {"deberta", "deberta-v2"};
constexpr std::string_view kPrefixes[] = {"", "deberta."};
constexpr Cut kQueries{.part = 0, .parts = 3, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Cut kKeys{.part = 1, .parts = 3, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Cut kValues{.part = 2, .parts = 3, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.word_embeddings"},
    {"embed.position", "embeddings.position_embeddings"},
    {"embed.type", "embeddings.token_type_embeddings"},
    {"embed.projection", "embeddings.embed_proj"},
    {"embed.norm", "embeddings.LayerNorm"},
    {"relative", "encoder.rel_embeddings"},
    {"relative_norm", "encoder.LayerNorm"},
    {"block.{i}.attn.q", "encoder.layer.{i}.attention.self.query_proj"},
    {"block.{i}.attn.k", "encoder.layer.{i}.attention.self.key_proj"},
    {"block.{i}.attn.v", "encoder.layer.{i}.attention.self.value_proj"},
    {"block.{i}.attn.q", "encoder.layer.{i}.attention.self.in_proj", kQueries},
    {"block.{i}.attn.k", "encoder.layer.{i}.attention.self.in_proj", kKeys},
    {"block.{i}.attn.v", "encoder.layer.{i}.attention.self.in_proj", kValues},
    {"block.{i}.attn.q.bias", "encoder.layer.{i}.attention.self.q_bias!"},
    {"block.{i}.attn.v.bias", "encoder.layer.{i}.attention.self.v_bias!"},
    {"block.{i}.attn.position_k", "encoder.layer.{i}.attention.self.pos_key_proj"},
    {"block.{i}.attn.position_q", "encoder.layer.{i}.attention.self.pos_query_proj"},
    {"block.{i}.attn.position_k", "encoder.layer.{i}.attention.self.pos_proj"},
    {"block.{i}.attn.position_q", "encoder.layer.{i}.attention.self.pos_q_proj"},
    {"block.{i}.attn.out", "encoder.layer.{i}.attention.output.dense"},
    {"block.{i}.attn.after", "encoder.layer.{i}.attention.output.LayerNorm"},
    {"block.{i}.mlp.up", "encoder.layer.{i}.intermediate.dense"},
    {"block.{i}.mlp.down", "encoder.layer.{i}.output.dense"},
    {"block.{i}.mlp.after", "encoder.layer.{i}.output.LayerNorm"},
    {"block.{i}.conv.taps", "encoder.conv.conv"},
    {"block.{i}.conv.after", "encoder.conv.LayerNorm"},
    {"head.transform", "cls.predictions.transform.dense"},
    {"head.norm", "cls.predictions.transform.LayerNorm"},
    {"head.out", "cls.predictions.decoder"},
    {"head.out.bias", "cls.predictions.bias!"},
    {"head.transform", "lm_predictions.lm_head.dense"},
    {"head.norm", "lm_predictions.lm_head.LayerNorm"},
    {"head.out", "lm_predictions.lm_head"},
};
constexpr std::string_view kIgnored[] = {"embeddings.position_ids",
                                         "embeddings.position_embeddings.weight",
                                         "encoder.rel_embeddings.weight",
                                         "encoder.LayerNorm.*",
                                         "pooler.dense.*",
                                         "cls.**",
                                         "lm_predictions.**",
                                         "mask_predictions.**",
                                         "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kDeberta{.model_types = kTypes,
                      .describe = describe,
                      .binds = kBinds,
                      .prefixes = kPrefixes,
                      .ignored = kIgnored,
                      .adapt_labels = adapt_labels};

}  // namespace layerscope
