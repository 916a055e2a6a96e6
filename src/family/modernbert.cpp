// ModernBERT (Warner et al. 2024): a pre-norm encoder with rotated heads, gated MLPs and windows in most blocks. The
// final state is the one behind the final norm, as in transformers 5.
// transformers, src/transformers/models/modernbert/modeling_modernbert.py.
#include <cmath>

#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

// Which blocks see a window only: as listed, or all but every n-th.
std::vector<bool> windowed(Config& c, std::int64_t layers) {
  const std::optional<std::vector<std::string>> types = c.texts("layer_types");
  const std::int64_t every = c.size("global_attn_every_n_layers", 3);
  std::vector<bool> result;
  for (std::int64_t i = 0; i < layers; ++i) result.push_back(i % every != 0);
  if (!types) return result;
  c.require(static_cast<std::int64_t>(types->size()) == layers, "\"layer_types\" does not name one type a layer");
  for (std::size_t i = 0; i < std::min(types->size(), result.size()); ++i) {
    result[i] = (*types)[i] == "sliding_attention";
    c.require(result[i] || (*types)[i] == "full_attention",
              "\"layer_types\" names \"" + (*types)[i] + "\", expected full_attention or sliding_attention");
  }
  return result;
}

Head::Transform prediction_head(Config& c, std::int64_t width, const Norm& norm) {
  return {.width = width,
          .activation = c.activation("classifier_activation", "gelu"),
          .norm = norm,
          .bias = c.flag("classifier_bias", false)};
}

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads"), head = width / heads;
  c.require(width % heads == 0, "\"hidden_size\" is not a multiple of \"num_attention_heads\"");
  c.only("is_decoder", false);
  c.ignore("is_causal");
  c.ignore("position_embedding_type");  // published configs have one that nothing reads
  c.ignore("auto_map");                 // transformers has the model itself
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("norm_eps", 1e-5), .bias = c.flag("norm_bias", false)};
  const bool bias = c.flag("attention_bias", false);
  const RopeDefaults everywhere{.theta = 160000, .theta_key = "global_rope_theta", .layer_type = "full_attention"};
  const bool one_theta = c.json().find("local_rope_theta") != nullptr && !c.has("local_rope_theta");
  RopeDefaults within{.theta = 10000, .theta_key = "local_rope_theta", .layer_type = "sliding_attention"};
  if (one_theta) within = {.theta = 160000, .theta_key = "global_rope_theta", .layer_type = "sliding_attention"};
  const Rope full = c.rope(head, everywhere), sliding = c.rope(head, within);
  const std::int64_t window = c.size("local_attention", 128) / 2 + 1;
  const Mlp mlp{.hidden = c.size("intermediate_size", 1152),
                .activation = c.activation("hidden_activation", "gelu"),
                .gated = true,
                .bias = c.flag("mlp_bias", false)};

  ModelSpec spec{.width = width};
  spec.encoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"), .norm = norm}, .top = norm};
  const std::int64_t layers = c.layers("num_hidden_layers");
  for (const bool slides : windowed(c, layers)) {
    const Attention attention{.heads = heads,
                              .kv_heads = heads,
                              .d_qk = head,
                              .d_v = head,
                              .keys = KeySource::kSelf,
                              .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                              .window = slides ? std::optional(window) : std::nullopt,
                              .rope = slides ? sliding : full,
                              .qkv_bias = bias,
                              .out_bias = bias};
    const bool first = spec.encoder->blocks.empty();  // the embeddings are normed already
    spec.encoder->blocks.push_back(
        {{Step{.slot = "attn", .pre = first ? std::nullopt : std::optional(norm), .mixer = attention},
          Step{.slot = "mlp", .pre = norm, .mixer = mlp}}});
  }
  if (c.architecture_ends_in({"ForMaskedLM"})) {
    spec.head = Head{.transform = prediction_head(c, width, norm),
                     .tied = c.flag("tie_word_embeddings", true),
                     .bias = c.flag("decoder_bias", true)};
  }
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  const std::string pooling = c.text("classifier_pooling", "cls");
  labels.head.transform = prediction_head(c, spec.width, *spec.encoder->top);
  labels.head.bias = true;
  if (labels.reads == LabelHead::Reads::kEach) return;
  c.require(pooling == "cls" || pooling == "mean",
            "\"classifier_pooling\" is \"" + pooling + "\", expected \"cls\" or \"mean\"");
  labels.reads = pooling == "mean" ? LabelHead::Reads::kMean : LabelHead::Reads::kFirst;
}

constexpr std::string_view kTypes[] = {"modernbert"};
constexpr std::string_view kPrefixes[] = {"", "model."};
constexpr Bind kBinds[] = {
    {"embed.token", "embeddings.tok_embeddings"},
    {"embed.norm", "embeddings.norm"},
    {"block.{i}.attn.pre", "layers.{i}.attn_norm"},
    {"block.{i}.attn.q", "layers.{i}.attn.Wqkv", {.part = 0, .parts = 3}},
    {"block.{i}.attn.k", "layers.{i}.attn.Wqkv", {.part = 1, .parts = 3}},
    {"block.{i}.attn.v", "layers.{i}.attn.Wqkv", {.part = 2, .parts = 3}},
    {"block.{i}.attn.out", "layers.{i}.attn.Wo"},
    {"block.{i}.mlp.pre", "layers.{i}.mlp_norm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.Wi", {.part = 0, .parts = 2}},
    {"block.{i}.mlp.up", "layers.{i}.mlp.Wi", {.part = 1, .parts = 2}},
    {"block.{i}.mlp.down", "layers.{i}.mlp.Wo"},
    {"top", "final_norm"},
    {"head.transform", "head.dense"},
    {"head.norm", "head.norm"},
    {"head.out", "decoder"},
};
constexpr std::string_view kIgnored[] = {"head.**", "decoder.*", "classifier.*", "qa_outputs.*"};

}  // namespace

const Family kModernbert{.model_types = kTypes,
                         .describe = describe,
                         .binds = kBinds,
                         .prefixes = kPrefixes,
                         .ignored = kIgnored,
                         .adapt_labels = adapt_labels};

}  // namespace layerscope
