// The architecture as text: the block program that one reads instead of a forward pass.
#pragma once

#include <string>
#include <vector>

#include "spec/spec.h"

namespace layerscope {

/// One line a run of equal blocks: "block 0..5: x = norm(x + attn(x)); x = norm(x + mlp(x))".
[[nodiscard]] std::vector<std::string> block_program(const Stack& stack);
/// From `final` to scores over the vocabulary: "logits: out(layer_norm(gelu(transform(final)))), out = token table".
[[nodiscard]] std::string head_text(const Head& head);
/// Likewise over labels: "labels: out(tanh(transform(final of the first token))), 3 of them".
[[nodiscard]] std::string labels_text(const LabelHead& labels);
/// What comes before block 0, after the last block, and the parts of a mixer: "attn: 12 heads of 64, causal, rope".
[[nodiscard]] std::string embedding_text(const Embedding& embedding);
[[nodiscard]] std::string step_text(const Step& step);

}  // namespace layerscope
