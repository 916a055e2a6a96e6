// MPNet (Song et al. 2020): BERT without types, with RoBERTa's positions and one table of distance biases. The
// padding's id 1, 32 buckets and the distance 128 are constants of the model, whatever the config says.
// transformers, src/transformers/models/mpnet/modeling_mpnet.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const BucketBias bias{.buckets = c.size("relative_attention_num_buckets", 32),
                        .max_distance = 128,
                        .bidirectional = true,
                        .used_buckets = 32};
  c.require(bias.buckets >= bias.used_buckets, "\"relative_attention_num_buckets\" is below 32, the buckets in use");
  return describe_bert(c,
                       {.score = bias, .positions = padded_positions(c, 1), .head_activation = Activation::kGeluErf});
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"mpnet"};
constexpr std::string_view kPrefixes[] = {"", "mpnet."};

}  // namespace

const Family kMpnet{.model_types = kTypes,
                    .describe = describe,
                    .binds = kBertBinds,
                    .prefixes = kPrefixes,
                    .ignored = kBertIgnored,
                    .adapt_labels = adapt_labels};

}  // namespace layerscope
