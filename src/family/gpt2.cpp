// GPT-2 (Radford et al. 2019): a pre-norm decoder, matrices stored [inputs, outputs]. GPT-BigCode: GPT-2 with one key
// head or as many as queries, matrices stored as usual. transformers, src/transformers/models/gpt2/modeling_gpt2.py and
// gpt_bigcode/modeling_gpt_bigcode.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool bigcode = c.model_type() == "gpt_bigcode";
  alias_gpt2_names(c);
  const std::int64_t width = c.size("n_embd"), heads = c.size("n_head");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  Attention attention =
      causal_attention(c, head_width(c, width, heads), heads, bigcode && c.flag("multi_query", true) ? 1 : heads);
  attention.qkv_bias = attention.out_bias = true;
  if (!c.flag("scale_attn_weights", true)) attention.scale = 1;
  const float scale = attention.scale;
  const bool by_layer = !bigcode && c.flag("scale_attn_by_inverse_layer_idx", false);
  const Mlp mlp{.hidden = c.size("n_inner", 4 * width),
                .activation = c.activation("activation_function", bigcode ? "gelu_pytorch_tanh" : "gelu_new"),
                .bias = true};

  ModelSpec spec{.width = width, .head = language_head(c, true)};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"),
                                     .positions = PositionTable{.rows = c.size("n_positions", 1024)}},
                       .top = norm};
  for (std::int64_t i = 0; i < c.layers("n_layer"); ++i) {
    if (by_layer) attention.scale = scale / static_cast<float>(i + 1);
    spec.decoder->blocks.push_back(pre_norm_block(norm, attention, mlp));
  }
  return causal_or_not(c, std::move(spec));
}

constexpr std::string_view kTypes[] = {"gpt2"}, kBigCodeTypes[] = {"gpt_bigcode"};
constexpr std::string_view kPrefixes[] = {"", "transformer."};
constexpr Cut kTransposed{.transposed = true};
constexpr Bind kBinds[] = {
    {"embed.token", "wte"},
    {"embed.position", "wpe"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.c_attn", {.part = 0, .parts = 3, .transposed = true}},
    {"block.{i}.attn.k", "h.{i}.attn.c_attn", {.part = 1, .parts = 3, .transposed = true}},
    {"block.{i}.attn.v", "h.{i}.attn.c_attn", {.part = 2, .parts = 3, .transposed = true}},
    {"block.{i}.attn.out", "h.{i}.attn.c_proj", kTransposed},
    {"block.{i}.mlp.pre", "h.{i}.ln_2"},
    {"block.{i}.mlp.up", "h.{i}.mlp.c_fc", kTransposed},
    {"block.{i}.mlp.down", "h.{i}.mlp.c_proj", kTransposed},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr Bind kBigCodeBinds[] = {
    {"embed.token", "wte"},
    {"embed.position", "wpe"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.c_attn", {.part = 0, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.k", "h.{i}.attn.c_attn", {.part = 1, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.v", "h.{i}.attn.c_attn", {.part = 2, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.out", "h.{i}.attn.c_proj"},
    {"block.{i}.mlp.pre", "h.{i}.ln_2"},
    {"block.{i}.mlp.up", "h.{i}.mlp.c_fc"},
    {"block.{i}.mlp.down", "h.{i}.mlp.c_proj"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"h.*.attn.bias", "h.*.attn.masked_bias",    "lm_head.weight", "score.weight",
                                         "classifier.*",  "multiple_choice_head.**", "qa_outputs.*"};

}  // namespace

const Family kGpt2{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};
const Family kGptBigCode{.model_types = kBigCodeTypes,
                         .describe = describe,
                         .binds = kBigCodeBinds,
                         .prefixes = kPrefixes,
                         .ignored = kIgnored};

}  // namespace layerscope
