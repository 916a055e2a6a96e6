// Heads over labels, which are alike in all families: the matrix of labels, what it reads, and the names in
// config.json.
#pragma once

#include <optional>
#include <span>

#include "spec/bind.h"

namespace layerscope {

/// The family's description of a config, with the head over labels where its architecture names one
/// (ForSequenceClassification, ForTokenClassification).
[[nodiscard]] ModelSpec describe_model(const Family& family, Config& config);

/// A head over labels as most decoders have it: without a bias over the last token that is no padding, or with one over
/// every token. (transformers, modeling_layers.py: GenericForSequenceClassification, GenericForTokenClassification)
[[nodiscard]] std::optional<LabelHead> describe_labels(Config& config);

/// The classifier of encoders: the first token through a matrix with an activation, then the labels'. Heads over every
/// token have none of that.
void read_first_token(LabelHead& labels, std::int64_t width, Activation activation);

/// More labels than any classifier has.
inline constexpr std::size_t kMostLabels = std::size_t{1} << 20;

/// What the tensors of such heads are called, behind the families' own rows.
extern const std::span<const Bind> kLabelBinds;

}  // namespace layerscope
