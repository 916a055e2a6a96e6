// Megatron-BERT (Shoeybi et al. 2019): BERT with norms before the steps and none over the embeddings.
// transformers, src/transformers/models/megatron_bert/modeling_megatron_bert.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  return describe_bert(c, {.pre_norm = true,
                           .embedding_norm = false,
                           .positions = plain_positions(c),
                           .types = c.size("type_vocab_size", 2)});
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"megatron-bert"};
constexpr std::string_view kPrefixes[] = {"", "bert."};

}  // namespace

const Family kMegatronBert{.model_types = kTypes,
                           .describe = describe,
                           .binds = kBertBinds,
                           .prefixes = kPrefixes,
                           .ignored = kBertIgnored,
                           .adapt_labels = adapt_labels};

}  // namespace layerscope
