// ELECTRA (Clark et al. 2020): BERT whose tables may be narrower than the stream. The discriminator's head says of each
// token whether it was replaced, so only the generator has one over the vocabulary.
// transformers, src/transformers/models/electra/modeling_electra.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  ModelSpec spec = describe_bert(c, {.positions = plain_positions(c),
                                     .types = c.size("type_vocab_size", 2),
                                     .table_width = c.size("embedding_size", 128),
                                     .head_activation = Activation::kGeluErf});
  if (c.architecture_ends_in({"ForPreTraining"})) spec.head.reset();
  return spec;
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kGeluErf);
}

constexpr std::string_view kTypes[] = {"electra"};
constexpr std::string_view kPrefixes[] = {"", "electra."};

}  // namespace

const Family kElectra{.model_types = kTypes,
                      .describe = describe,
                      .binds = kBertBinds,
                      .prefixes = kPrefixes,
                      .ignored = kBertIgnored,
                      .adapt_labels = adapt_labels};

}  // namespace layerscope
