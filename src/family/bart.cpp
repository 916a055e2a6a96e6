// BART (Lewis et al. 2019) and the encoder-decoders that differ from it in norms, positions and defaults only.
// transformers, src/transformers/models/bart/modeling_bart.py, and mbart, pegasus, marian, blenderbot,
// blenderbot_small, m2m_100 beside it.
#include <algorithm>
#include <array>
#include <cmath>

#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

struct Traits {
  std::string_view type;
  bool pre_norm = false;        // norms before the mixers and one at the top of each stack, rather than after the sums
  bool embedding_norm = false;  // over the sum of tokens and positions
  std::int64_t first_position = 0;
  std::optional<Sinusoid> sinusoid;
  std::int64_t pad_id = 1, start_id = 2;
  std::string_view activation = "gelu";
};
constexpr std::array kTraits = {
    Traits{.type = "bart", .embedding_norm = true, .first_position = 2},
    Traits{.type = "mbart", .pre_norm = true, .embedding_norm = true, .first_position = 2, .start_id = 0},
    Traits{.type = "pegasus", .pre_norm = true, .sinusoid = Sinusoid::kInterleavedRates, .pad_id = 0, .start_id = 0},
    Traits{.type = "marian", .sinusoid = Sinusoid::kInterleavedRates, .pad_id = 58100, .start_id = 58100},
    Traits{.type = "blenderbot", .pre_norm = true, .pad_id = 0, .start_id = 1},
    Traits{.type = "blenderbot-small", .embedding_norm = true, .pad_id = 0, .start_id = 1},
    Traits{.type = "m2m_100", .pre_norm = true, .sinusoid = Sinusoid::kEndpointRates, .activation = "relu"},
};

Embedding embedding(Config& c, const Traits& traits, const std::optional<Norm>& norm, bool decoder) {
  const std::int64_t width = c.size("d_model");
  Embedding embedding{.vocabulary_size = c.size("vocab_size"), .norm = norm};
  // transformers 4 gives both tables one size.
  const bool own_vocabulary = decoder && !c.flag("share_encoder_decoder_embeddings", true) && !c.written_before(5);
  if (own_vocabulary) embedding.vocabulary_size = c.size("decoder_vocab_size", embedding.vocabulary_size);
  PositionTable positions{.offset = traits.first_position, .computed = traits.sinusoid};
  if (traits.sinusoid == Sinusoid::kEndpointRates) {
    positions.skipped_id = c.index("pad_token_id", traits.pad_id);
    positions.offset = *positions.skipped_id + 1;
    c.require(width >= 4, "\"d_model\" is below 4, too narrow for its positions");
  }
  positions.rows = c.size("max_position_embeddings") + positions.offset;
  // The decoder of blenderbot-small norms its tokens, unscaled, before it adds their positions.
  positions.behind_norm = decoder && traits.type == "blenderbot-small";
  const bool scaled = c.flag("scale_embedding", traits.type == "m2m_100") && !positions.behind_norm;
  if (scaled) embedding.scale = static_cast<float>(std::sqrt(static_cast<double>(width)));
  embedding.positions = positions;
  return embedding;
}

ModelSpec describe(Config& c) {
  const std::string type = c.model_type();
  const Traits& traits = *std::ranges::find(kTraits, type, &Traits::type);
  const bool shared = c.flag("share_encoder_decoder_embeddings", true);
  const bool alone = c.architecture_ends_in({"ForCausalLM"});  // a decoder without its encoder
  const std::int64_t width = c.size("d_model");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = 1e-5F, .bias = true};
  const std::optional<Norm> top = traits.pre_norm ? std::optional(norm) : std::nullopt;
  const std::optional<Norm> embedded = traits.embedding_norm ? std::optional(norm) : std::nullopt;
  const Activation activation = c.activation("activation_function", traits.activation);
  c.only("is_encoder_decoder", !alone);
  c.only("is_decoder", alone);
  c.only("normalize_before", traits.pre_norm);
  c.only("add_final_layer_norm", traits.pre_norm);
  c.only("normalize_embedding", traits.embedding_norm);
  c.only("static_position_embeddings", traits.sinusoid.has_value());
  c.alias("hidden_size", "d_model");
  c.alias("num_attention_heads", "encoder_attention_heads");
  c.alias("num_hidden_layers", "encoder_layers");

  const auto step = [&](const char* slot, Mixer mixer) {
    return traits.pre_norm ? Step{.slot = slot, .pre = norm, .mixer = mixer}
                           : Step{.slot = slot, .mixer = mixer, .after = norm};
  };
  const auto stack = [&](const std::string& name, KeySource keys) {
    const std::int64_t heads = c.size(name + "_attention_heads");
    c.require(width % heads == 0, "\"d_model\" is not a multiple of \"" + name + "_attention_heads\"");
    const std::int64_t head = std::max<std::int64_t>(width / heads, 1);
    Attention attention{.heads = heads,
                        .kv_heads = heads,
                        .d_qk = head,
                        .d_v = head,
                        .keys = keys,
                        .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                        .qkv_bias = true,
                        .out_bias = true};
    Block block{{step("attn", attention)}};
    attention.keys = KeySource::kEncoder;
    const bool decoder = keys == KeySource::kSelfCausal;
    if (decoder && !alone) block.steps.push_back(step("cross", attention));
    block.steps.push_back(
        step("mlp", Mlp{.hidden = c.size(name + "_ffn_dim"), .activation = activation, .bias = true}));
    return Stack{.embedding = embedding(c, traits, embedded, decoder),
                 .blocks = repeat(c.layers(name + "_layers"), block),
                 .top = top};
  };
  ModelSpec spec{.width = width, .decoder = stack("decoder", KeySource::kSelfCausal)};
  const std::int64_t vocabulary = spec.decoder->embedding.vocabulary_size;
  const bool scores_table = c.size("decoder_vocab_size", vocabulary) == vocabulary;
  c.require(!alone || scores_table, "\"decoder_vocab_size\" is not \"vocab_size\"");
  if (c.architecture_ends_in({"ForConditionalGeneration", "MTModel", "ForCausalLM"})) {
    spec.head = Head{.tied = c.flag("tie_word_embeddings", true), .bias = !alone && type != "m2m_100"};
    if (!scores_table && !shared) spec.head->outputs = c.size("decoder_vocab_size");
  }
  if (alone) return spec;
  spec.encoder = stack("encoder", KeySource::kSelf);
  const bool has_start = c.has("decoder_start_token_id") || type != "mbart";
  spec.decoder_start = DecoderStart{.start_id = has_start ? c.index("decoder_start_token_id", traits.start_id)
                                                          : c.index("bos_token_id", traits.start_id)};
  if (type == "mbart") spec.decoder_start->wrapped_before_id = c.index("pad_token_id", traits.pad_id);
  c.require(spec.decoder_start->start_id < vocabulary, "the decoder's start token is beyond its vocabulary");
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
  if (labels.reads == LabelHead::Reads::kEach) return;
  labels.reads = LabelHead::Reads::kEnd;
  labels.token = c.token("eos_token_id").value_or(2);
}

constexpr std::string_view kTypes[] = {"bart",   "mbart", "pegasus", "marian", "blenderbot", "blenderbot-small",
                                       "m2m_100"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"enc.embed.token", "encoder.embed_tokens"},
    {.slot = "enc.embed.token", .source = "shared", .shared = true},
    {"enc.embed.position", "encoder.embed_positions"},
    {"enc.embed.norm", "encoder.layernorm_embedding"},
    {"enc.block.{i}.attn.pre", "encoder.layers.{i}.self_attn_layer_norm"},
    {"enc.block.{i}.attn.q", "encoder.layers.{i}.self_attn.q_proj"},
    {"enc.block.{i}.attn.k", "encoder.layers.{i}.self_attn.k_proj"},
    {"enc.block.{i}.attn.v", "encoder.layers.{i}.self_attn.v_proj"},
    {"enc.block.{i}.attn.out", "encoder.layers.{i}.self_attn.out_proj"},
    {"enc.block.{i}.attn.after", "encoder.layers.{i}.self_attn_layer_norm"},
    {"enc.block.{i}.mlp.pre", "encoder.layers.{i}.final_layer_norm"},
    {"enc.block.{i}.mlp.up", "encoder.layers.{i}.fc1"},
    {"enc.block.{i}.mlp.down", "encoder.layers.{i}.fc2"},
    {"enc.block.{i}.mlp.after", "encoder.layers.{i}.final_layer_norm"},
    {"enc.top", "encoder.layer_norm"},
    {"dec.embed.token", "decoder.embed_tokens"},
    {.slot = "dec.embed.token", .source = "shared", .shared = true},
    {"dec.embed.position", "decoder.embed_positions"},
    {"dec.embed.norm", "decoder.layernorm_embedding"},
    {"dec.block.{i}.attn.pre", "decoder.layers.{i}.self_attn_layer_norm"},
    {"dec.block.{i}.attn.q", "decoder.layers.{i}.self_attn.q_proj"},
    {"dec.block.{i}.attn.k", "decoder.layers.{i}.self_attn.k_proj"},
    {"dec.block.{i}.attn.v", "decoder.layers.{i}.self_attn.v_proj"},
    {"dec.block.{i}.attn.out", "decoder.layers.{i}.self_attn.out_proj"},
    {"dec.block.{i}.attn.after", "decoder.layers.{i}.self_attn_layer_norm"},
    {"dec.block.{i}.cross.pre", "decoder.layers.{i}.encoder_attn_layer_norm"},
    {"dec.block.{i}.cross.q", "decoder.layers.{i}.encoder_attn.q_proj"},
    {"dec.block.{i}.cross.k", "decoder.layers.{i}.encoder_attn.k_proj"},
    {"dec.block.{i}.cross.v", "decoder.layers.{i}.encoder_attn.v_proj"},
    {"dec.block.{i}.cross.out", "decoder.layers.{i}.encoder_attn.out_proj"},
    {"dec.block.{i}.cross.after", "decoder.layers.{i}.encoder_attn_layer_norm"},
    {"dec.block.{i}.mlp.pre", "decoder.layers.{i}.final_layer_norm"},
    {"dec.block.{i}.mlp.up", "decoder.layers.{i}.fc1"},
    {"dec.block.{i}.mlp.down", "decoder.layers.{i}.fc2"},
    {"dec.block.{i}.mlp.after", "decoder.layers.{i}.final_layer_norm"},
    {"dec.top", "decoder.layer_norm"},
    {"head.out", "lm_head"},
    {"head.out.bias", "final_logits_bias!"},
};
// Of a decoder alone, what would read an encoder is stored as well.
constexpr std::string_view kIgnored[] = {"shared.weight",
                                         "lm_head.weight",
                                         "final_logits_bias",
                                         "*.embed_positions.weights",
                                         "classification_head.**",
                                         "qa_outputs.*",
                                         "decoder.layers.*.encoder_attn.**",
                                         "decoder.layers.*.encoder_attn_layer_norm.*"};

}  // namespace

const Family kBart{.model_types = kTypes,
                   .describe = describe,
                   .binds = kBinds,
                   .prefixes = kPrefixes,
                   .ignored = kIgnored,
                   .adapt_labels = adapt_labels};

}  // namespace layerscope
