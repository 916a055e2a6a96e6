// RoBERTa (Liu et al. 2019), XLM-RoBERTa, CamemBERT and data2vec: BERT with positions counted from behind the padding's
// id. With norms before the steps: roberta-prelayernorm (Ott et al. 2019).
// transformers, src/transformers/models/roberta/modeling_roberta.py and those named as the model types.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  return describe_bert(c, {.pre_norm = c.model_type() == "roberta-prelayernorm",
                           .positions = padded_positions(c, padding_id(c, 1)),
                           .types = c.size("type_vocab_size", 2),
                           .head_activation = Activation::kGeluErf});
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"roberta", "xlm-roberta", "camembert", "data2vec-text", "roberta-prelayernorm"};
constexpr std::string_view kPrefixes[] = {"", "roberta.", "data2vec_text.", "roberta_prelayernorm."};

}  // namespace

const Family kRoberta{.model_types = kTypes,
                      .describe = describe,
                      .binds = kBertBinds,
                      .prefixes = kPrefixes,
                      .ignored = kBertIgnored,
                      .adapt_labels = adapt_labels};

}  // namespace layerscope
