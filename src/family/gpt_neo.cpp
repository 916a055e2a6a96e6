// GPT-Neo (Black et al. 2021): a pre-norm decoder with unscaled scores, blocks that see all and blocks that see a
// window taking turns. transformers, src/transformers/models/gpt_neo/modeling_gpt_neo.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

// [[["global", "local"], 12], ...]: runs of kinds and how often each is repeated. True = local.
std::vector<bool> local_blocks(Config& c, std::int64_t layers) {
  const auto refuse = [&c] {
    c.refuse("\"attention_types\" is no list of [[\"global\" or \"local\", ...], count] that names every layer once");
    return std::vector<bool>();
  };
  std::vector<bool> local;
  const Json* runs = c.json().find("attention_types");
  if (runs == nullptr || runs->is_null()) {
    for (int block = 0; block < 24; ++block) local.push_back(block % 2 == 1);
  } else if (runs->array() == nullptr) {
    return refuse();
  } else {
    for (const Json& run : *runs->array()) {
      const Json::Array* pair = run.array();
      if (pair == nullptr || pair->size() != 2 || (*pair)[0].array() == nullptr || (*pair)[1].integer() == nullptr)
        return refuse();
      const Json::Array& kinds = *(*pair)[0].array();
      const std::int64_t times = *(*pair)[1].integer();
      if (kinds.empty() || times < 1 || times > layers) return refuse();
      for (std::int64_t i = 0; i < times && static_cast<std::int64_t>(local.size()) <= layers; ++i) {
        for (const Json& kind : kinds) {
          const std::string* name = kind.string();
          if (name == nullptr || (*name != "global" && *name != "local")) return refuse();
          local.push_back(*name == "local");
        }
      }
    }
  }
  return static_cast<std::int64_t>(local.size()) == layers ? local : refuse();
}

ModelSpec describe(Config& c) {
  c.alias("num_attention_heads", "num_heads");
  c.alias("num_hidden_layers", "num_layers");
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_heads");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.scale = 1;
  attention.out_bias = true;
  const std::int64_t window = c.size("window_size", 256);
  const Mlp mlp{.hidden = c.size("intermediate_size", 4 * width),
                .activation = c.activation("activation_function", "gelu_new"),
                .bias = true};

  ModelSpec spec{.width = width, .head = language_head(c, true)};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"),
                                     .positions = PositionTable{.rows = c.size("max_position_embeddings", 2048)}},
                       .top = norm};
  for (const bool local : local_blocks(c, c.layers("num_layers"))) {
    attention.window = local ? std::optional(window) : std::nullopt;
    spec.decoder->blocks.push_back(pre_norm_block(norm, attention, mlp));
  }
  return spec;
}

constexpr std::string_view kTypes[] = {"gpt_neo"};
constexpr std::string_view kPrefixes[] = {"", "transformer."};
constexpr Bind kBinds[] = {
    {"embed.token", "wte"},
    {"embed.position", "wpe"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.attention.q_proj"},
    {"block.{i}.attn.k", "h.{i}.attn.attention.k_proj"},
    {"block.{i}.attn.v", "h.{i}.attn.attention.v_proj"},
    {"block.{i}.attn.out", "h.{i}.attn.attention.out_proj"},
    {"block.{i}.mlp.pre", "h.{i}.ln_2"},
    {"block.{i}.mlp.up", "h.{i}.mlp.c_fc"},
    {"block.{i}.mlp.down", "h.{i}.mlp.c_proj"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"h.*.attn.attention.bias",
                                         "h.*.attn.attention.masked_bias",
                                         "lm_head.weight",
                                         "score.weight",
                                         "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kGptNeo{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
