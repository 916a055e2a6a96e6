// T5, versions 1.0 and 1.1 (Raffel et al. 2020), mT5 and UMT5: pre-norm encoder and decoder, learned distance biases,
// unscaled scores. transformers, src/transformers/models/t5/modeling_t5.py, and mt5, umt5 beside it.
#include <cmath>

#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

// Whether the head's input is scaled is not written in every config: what the generation that wrote it computes counts.
bool scales_output(Config& c, const std::string& type) {
  const bool tied = c.flag("tie_word_embeddings", type != "mt5");
  if (type == "mt5") return tied && c.written_before(5);
  if (type == "umt5") return tied || !c.written_before(5);
  return c.flag("scale_decoder_outputs", tied);
}

ModelSpec describe(Config& c) {
  const std::string type = c.model_type();
  const bool encoder_only = c.architecture_ends_in({"EncoderModel", "ForTokenClassification"});
  const std::int64_t heads = c.size("num_heads"), head = c.size("d_kv"), layers = c.layers("num_layers");
  const Norm norm{.kind = NormKind::kRms, .epsilon = c.epsilon("layer_norm_epsilon", 1e-6)};
  const std::string projection = c.text("feed_forward_proj", type == "t5" ? "relu" : "gated-gelu");
  const bool gated = projection.starts_with("gated-");
  const std::string function = projection == "gated-gelu" ? "gelu_new" : gated ? projection.substr(6) : projection;
  (void)c.activation_named("feed_forward_proj", function);
  const Mlp mlp{.hidden = c.size("d_ff"),
                .activation = c.activation("dense_act_fn", function),
                .gated = c.flag("is_gated_act", gated)};
  const BucketBias bias{.buckets = c.size("relative_attention_num_buckets", 32),
                        .max_distance = c.size("relative_attention_max_distance", 128)};
  c.require(bias.buckets >= 4 && bias.max_distance > bias.buckets / 2,
            "\"relative_attention_num_buckets\" and \"relative_attention_max_distance\" leave no far distances");
  c.ignore("is_encoder_decoder");
  c.only("is_decoder", false);
  c.alias("hidden_size", "d_model");
  c.alias("num_attention_heads", "num_heads");
  c.alias("num_hidden_layers", "num_layers");
  c.alias("head_dim", "d_kv");

  const auto stack = [&](bool decoder, std::int64_t count) {
    const Attention self{.heads = heads,
                         .kv_heads = heads,
                         .d_qk = head,
                         .d_v = head,
                         .keys = decoder ? KeySource::kSelfCausal : KeySource::kSelf,
                         .score = BucketBias{.buckets = bias.buckets,
                                             .max_distance = bias.max_distance,
                                             .bidirectional = !decoder,
                                             .own_table = type == "umt5"}};
    Block block{{Step{.slot = "attn", .pre = norm, .mixer = self}}};
    const Attention cross{.heads = heads, .kv_heads = heads, .d_qk = head, .d_v = head, .keys = KeySource::kEncoder};
    if (decoder) block.steps.push_back({.slot = "cross", .pre = norm, .mixer = cross});
    block.steps.push_back({.slot = "mlp", .pre = norm, .mixer = mlp});
    return Stack{.embedding = {.vocabulary_size = c.size("vocab_size")}, .blocks = repeat(count, block), .top = norm};
  };
  ModelSpec spec{.width = c.size("d_model"), .encoder = stack(false, layers)};
  if (encoder_only) return spec;
  if (c.architecture_ends_in({"ForConditionalGeneration"})) {
    spec.head = Head{};
    if (scales_output(c, type))
      spec.head->input_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.width)));
  }
  spec.decoder = stack(true, c.has("num_decoder_layers") ? c.layers("num_decoder_layers") : layers);
  spec.decoder_start = DecoderStart{.start_id = c.index("decoder_start_token_id", c.index("pad_token_id", 0))};
  c.require(spec.decoder_start->start_id < c.size("vocab_size"), "\"decoder_start_token_id\" is beyond \"vocab_size\"");
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
  if (labels.reads == LabelHead::Reads::kEach) return;
  labels.reads = LabelHead::Reads::kEnd;
  labels.token = c.token("eos_token_id").value_or(1);
}

constexpr std::string_view kTypes[] = {"t5", "mt5", "umt5"};
constexpr std::string_view kPrefixes[] = {"", "transformer."};
constexpr Bind kBinds[] = {
    {.slot = "enc.embed.token", .source = "shared", .shared = true},
    {.slot = "enc.embed.token", .source = "encoder.embed_tokens", .shared = true},
    {.slot = "enc.score", .source = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    {"enc.block.{i}.attn.score", "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias"},
    {"enc.block.{i}.attn.pre", "encoder.block.{i}.layer.0.layer_norm"},
    {"enc.block.{i}.attn.q", "encoder.block.{i}.layer.0.SelfAttention.q"},
    {"enc.block.{i}.attn.k", "encoder.block.{i}.layer.0.SelfAttention.k"},
    {"enc.block.{i}.attn.v", "encoder.block.{i}.layer.0.SelfAttention.v"},
    {"enc.block.{i}.attn.out", "encoder.block.{i}.layer.0.SelfAttention.o"},
    {"enc.block.{i}.mlp.pre", "encoder.block.{i}.layer.1.layer_norm"},
    {"enc.block.{i}.mlp.gate", "encoder.block.{i}.layer.1.DenseReluDense.wi_0"},
    {"enc.block.{i}.mlp.up", "encoder.block.{i}.layer.1.DenseReluDense.wi"},
    {"enc.block.{i}.mlp.up", "encoder.block.{i}.layer.1.DenseReluDense.wi_1"},
    {"enc.block.{i}.mlp.down", "encoder.block.{i}.layer.1.DenseReluDense.wo"},
    {"enc.top", "encoder.final_layer_norm"},
    {.slot = "dec.embed.token", .source = "shared", .shared = true},
    {.slot = "dec.score", .source = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    {"dec.block.{i}.attn.score", "decoder.block.{i}.layer.0.SelfAttention.relative_attention_bias"},
    {"dec.block.{i}.attn.pre", "decoder.block.{i}.layer.0.layer_norm"},
    {"dec.block.{i}.attn.q", "decoder.block.{i}.layer.0.SelfAttention.q"},
    {"dec.block.{i}.attn.k", "decoder.block.{i}.layer.0.SelfAttention.k"},
    {"dec.block.{i}.attn.v", "decoder.block.{i}.layer.0.SelfAttention.v"},
    {"dec.block.{i}.attn.out", "decoder.block.{i}.layer.0.SelfAttention.o"},
    {"dec.block.{i}.cross.pre", "decoder.block.{i}.layer.1.layer_norm"},
    {"dec.block.{i}.cross.q", "decoder.block.{i}.layer.1.EncDecAttention.q"},
    {"dec.block.{i}.cross.k", "decoder.block.{i}.layer.1.EncDecAttention.k"},
    {"dec.block.{i}.cross.v", "decoder.block.{i}.layer.1.EncDecAttention.v"},
    {"dec.block.{i}.cross.out", "decoder.block.{i}.layer.1.EncDecAttention.o"},
    {"dec.block.{i}.mlp.pre", "decoder.block.{i}.layer.2.layer_norm"},
    {"dec.block.{i}.mlp.gate", "decoder.block.{i}.layer.2.DenseReluDense.wi_0"},
    {"dec.block.{i}.mlp.up", "decoder.block.{i}.layer.2.DenseReluDense.wi"},
    {"dec.block.{i}.mlp.up", "decoder.block.{i}.layer.2.DenseReluDense.wi_1"},
    {"dec.block.{i}.mlp.down", "decoder.block.{i}.layer.2.DenseReluDense.wo"},
    {"dec.top", "decoder.final_layer_norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "classifier.*", "classification_head.**", "qa_outputs.*",
                                         "decoder.block.*.layer.1.EncDecAttention.relative_attention_bias.weight"};
constexpr std::string_view kCopies[] = {"encoder.embed_tokens.weight=shared.weight",
                                        "decoder.embed_tokens.weight=shared.weight"};

}  // namespace

const Family kT5{.model_types = kTypes,
                 .describe = describe,
                 .binds = kBinds,
                 .prefixes = kPrefixes,
                 .ignored = kIgnored,
                 .copies = kCopies,
                 .adapt_labels = adapt_labels};

}  // namespace layerscope
