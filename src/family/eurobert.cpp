// EuroBERT (Boizard et al. 2025): Llama's blocks as an encoder.
// transformers, src/transformers/models/eurobert/modeling_eurobert.py.
#include "family/llama.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.ignore("auto_map");  // transformers has the model itself
  c.ignore("is_causal");
  c.ignore("position_embedding_type");
  c.only("is_decoder", false);
  const bool bias = c.flag("attention_bias", false), mlp_bias = c.flag("mlp_bias", false);
  ModelSpec spec =
      describe_llama(c, {.epsilon = 1e-5, .qkv_bias = bias, .out_bias = bias, .mlp_bias = mlp_bias, .both_ways = true});
  if (c.architecture_ends_in({"ForMaskedLM"}))
    spec.head = Head{.tied = c.flag("tie_word_embeddings", false), .bias = mlp_bias};
  return spec;
}

void adapt_labels(Config& c, const ModelSpec& spec, LabelHead& labels) {
  using Reads = LabelHead::Reads;
  if (labels.reads == Reads::kEach) return;
  const std::string pooling = c.text("classifier_pooling", "late");
  c.require(pooling == "bos" || pooling == "mean" || pooling == "late",
            "\"classifier_pooling\" is \"" + pooling + "\", expected \"bos\", \"mean\" or \"late\"");
  read_first_token(labels, spec.width, Activation::kGeluErf);
  if (pooling != "bos") labels.reads = pooling == "mean" ? Reads::kMean : Reads::kEachThenMean;
}

constexpr std::string_view kTypes[] = {"eurobert"};
constexpr std::string_view kIgnored[] = {"lm_head.*", "dense.*", "classifier.*", "rotary_emb.inv_freq"};

}  // namespace

const Family kEurobert{.model_types = kTypes,
                       .describe = describe,
                       .binds = kLlamaBinds,
                       .prefixes = kLlamaPrefixes,
                       .ignored = kIgnored,
                       .adapt_labels = adapt_labels};

}  // namespace layerscope
