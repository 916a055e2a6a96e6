// Labels of words, of parts of a text and of tokens, brought to the tokens that a model reads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layerscope/error.h"
#include "probe/label_file.h"

namespace layerscope {

/// The tokens of a row, as far as labels look at them. All spans have one entry a token, or none where it is unknown.
struct LabelledTokens {
  std::span<const std::int32_t> ids;
  std::span<const std::uint8_t> special;
  /// [start, end) in code points of `text` or of its pair; negative for tokens that stand for no text.
  std::span<const std::pair<std::int64_t, std::int64_t>> offsets;
  std::span<const std::int8_t> sequence;  ///< 0 for `text`, 1 for its pair
  std::optional<std::string_view> text;   ///< UTF-8; nothing for a row of ids
};

/// A label and the tokens next to one another that it belongs to.
struct TokenLabel {
  std::int64_t first = 0, count = 0;
  LabelValue label;
  std::string type;  ///< the word, or a token's id: what a control task gives one label
};

struct LabelAlignment {
  std::vector<TokenLabel> labels;  ///< ascending; without those that are null
  std::int64_t without_token = 0;  ///< labels whose words have no token of their own, cut off ones included
};

/// Aligns labels of tokens, words or spans to a row's tokens. A token belongs to the first word that it overlaps; words
/// and spans lie in the text, not in its pair. Errors (kInput), in words that follow "FILE:LINE: ": another number of
/// labels than tokens; words that are not those of the text; spans that leave it; a row without text or offsets.
[[nodiscard]] Result<LabelAlignment> align_labels(const RowLabels& row, LabelLevel level, const LabelledTokens& tokens);

}  // namespace layerscope
