// EuroBERT (Boizard et al. 2025): Llama's blocks as an encoder.
// transformers, src/transformers/models/eurobert/modeling_eurobert.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.ignore("auto_map");  // transformers has the model itself
  c.ignore("is_causal");
  c.only("is_decoder", false);
  const bool bias = c.flag("attention_bias", false), mlp_bias = c.flag("mlp_bias", false);
  ModelSpec spec = describe_llama(c, {.qkv_bias = bias, .out_bias = bias, .mlp_bias = mlp_bias});
  spec.encoder = std::move(spec.decoder);
  spec.decoder.reset();
  for (Block& block : spec.encoder->blocks) std::get<Attention>(block.steps.front().mixer).keys = KeySource::kSelf;
  spec.head.reset();
  if (c.architecture_ends_in({"ForMaskedLM"}))
    spec.head = Head{.tied = c.flag("tie_word_embeddings", false), .bias = mlp_bias};
  return spec;
}

constexpr std::string_view kTypes[] = {"eurobert"};

}  // namespace

const Family kEurobert{.model_types = kTypes,
                       .describe = describe,
                       .binds = kLlamaBinds,
                       .prefixes = kLlamaPrefixes,
                       .ignored = kLlamaIgnored};

}  // namespace layerscope
