// GPT-J (Wang and Komatsuzaki 2021): attention and MLP side by side under one norm, neighbouring elements of each
// head's first part turning together, a head with a bias. CodeGen (Nijkamp et al. 2022): the same with q, v and k in
// one matrix of four quarters. transformers, src/transformers/models/gptj/modeling_gptj.py and
// codegen/modeling_codegen.py.
#include <algorithm>

#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  alias_gpt2_names(c);
  const std::int64_t width = c.size("n_embd"), heads = c.size("n_head"), turning = c.size("rotary_dim", 64);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  const std::int64_t most = std::min<std::int64_t>(attention.d_qk, 4096);
  const bool turns = turning % 2 == 0 && turning <= most;
  c.require(turns,
            "\"rotary_dim\" is " + std::to_string(turning) + ", expected an even number up to " + std::to_string(most));
  c.require(c.model_type() != "codegen" || heads % 4 == 0,
            "\"n_head\" is " + std::to_string(heads) + ", expected a multiple of 4");
  const std::int64_t dims = turns ? turning : 2;
  attention.rope = Rope{.pairs = dims / 2,
                        .interleaved = true,
                        .frequencies = FixedFrequencies{.inverse = plain_frequencies(10000, dims)}};
  const Mlp mlp{.hidden = c.size("n_inner", 4 * width),
                .activation = c.activation("activation_function", "gelu_new"),
                .bias = true};
  return {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("n_layer"),
                                            pre_norm_block(norm, attention, mlp, Order::kParallelOneNorm)),
                           .top = norm},
          .head = language_head(c, false, true)};
}

constexpr std::string_view kTypes[] = {"gptj"}, kCodeGenTypes[] = {"codegen"};
constexpr std::string_view kPrefixes[] = {"transformer.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "wte"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.q_proj"},
    {"block.{i}.attn.k", "h.{i}.attn.k_proj"},
    {"block.{i}.attn.v", "h.{i}.attn.v_proj"},
    {"block.{i}.attn.out", "h.{i}.attn.out_proj"},
    {"block.{i}.mlp.up", "h.{i}.mlp.fc_in"},
    {"block.{i}.mlp.down", "h.{i}.mlp.fc_out"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr Bind kCodeGenBinds[] = {
    {"embed.token", "wte"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.qkv_proj", {.part = 0, .parts = 3, .groups = Cut::Groups::kFour}},
    {"block.{i}.attn.v", "h.{i}.attn.qkv_proj", {.part = 1, .parts = 3, .groups = Cut::Groups::kFour}},
    {"block.{i}.attn.k", "h.{i}.attn.qkv_proj", {.part = 2, .parts = 3, .groups = Cut::Groups::kFour}},
    {"block.{i}.attn.out", "h.{i}.attn.out_proj"},
    {"block.{i}.mlp.up", "h.{i}.mlp.fc_in"},
    {"block.{i}.mlp.down", "h.{i}.mlp.fc_out"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {
    "h.*.attn.bias", "h.*.attn.masked_bias", "h.*.attn.embed_positions", "h.*.attn.causal_mask", "lm_head.*",
    "score.*",       "qa_outputs.*"};

}  // namespace

const Family kGptJ{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};
const Family kCodeGen{.model_types = kCodeGenTypes,
                      .describe = describe,
                      .binds = kCodeGenBinds,
                      .prefixes = kPrefixes,
                      .ignored = kIgnored};

}  // namespace layerscope
