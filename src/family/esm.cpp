// ESM-1b and ESM-2 (Rives et al. 2021, Lin et al. 2023): pre-norm encoders of proteins. Masked tokens may enter as
// zeros, the others scaled by what was masked in training. transformers, src/transformers/models/esm/modeling_esm.py.
#include "family/bert.h"
#include "family/registry.h"
#include "spec/labels.h"

namespace layerscope {
namespace {

constexpr float kUnmaskedInTraining = 1 - 0.15F * 0.8F;

ModelSpec describe(Config& c) {
  c.only("is_folding_model", false);
  const std::string positions = c.text("position_embedding_type", "absolute");
  const bool rotary = positions == "rotary";
  c.require(rotary || positions == "absolute",
            "\"position_embedding_type\" is \"" + positions + "\", expected \"absolute\" or \"rotary\"");
  const std::int64_t padding = padding_id(c, std::nullopt);
  BertTraits traits{.keys = {.activation = {}},
                    .pre_norm = true,
                    .embedding_norm = c.flag("emb_layer_norm_before", false),
                    .head_activation = Activation::kGeluErf};
  if (rotary) {
    traits.rope = c.rope(c.size("hidden_size") / c.size("num_attention_heads"));
  } else {
    traits.positions = padded_positions(c, padding);
    c.ignore("rope_theta");
  }
  ModelSpec spec = describe_bert(c, traits);
  if (rotary) spec.encoder->rotation = StoredRotation{.pairs = traits.rope->pairs};
  if (c.flag("token_dropout", false))
    spec.encoder->embedding.rescale =
        MaskRescale{.mask_id = c.index("mask_token_id"), .trained_share = kUnmaskedInTraining};
  return spec;
}

void adapt_labels(Config&, const ModelSpec& spec, LabelHead& labels) {
  read_first_token(labels, spec.width, Activation::kTanh);
}

constexpr std::string_view kTypes[] = {"esm"};
constexpr std::string_view kPrefixes[] = {"", "esm."};

}  // namespace

const Family kEsm{.model_types = kTypes,
                  .describe = describe,
                  .binds = kBertBinds,
                  .prefixes = kPrefixes,
                  .ignored = kBertIgnored,
                  .adapt_labels = adapt_labels};

}  // namespace layerscope
