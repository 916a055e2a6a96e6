#include "session/token_places.h"

#include <algorithm>

#include "base/try.h"
#include "session/model_state.h"

namespace layerscope {

Result<TokenPlaces> token_places(const Model& model, const TextRow& text, std::span<const std::int32_t> ids,
                                 bool add_special_tokens) {
  const Tokenizer* const tokenizer = model.state().tokenizer.get();
  if (!text.text || tokenizer == nullptr) return TokenPlaces{};
  EncodeOptions encode;
  encode.add_special_tokens = add_special_tokens;
  encode.max_length = static_cast<std::int64_t>(ids.size());
  encode.want_offsets = true;
  std::optional<std::string_view> pair;
  if (text.pair && !text.pair->empty()) pair = *text.pair;
  LAYERSCOPE_ASSIGN(Encoding encoding, tokenizer->encode(*text.text, pair, encode));
  if (!std::ranges::equal(encoding.ids, ids)) return Error{ErrorCode::kRuntime, "the tokens are not those of the text"};
  return TokenPlaces{std::move(encoding.offsets), std::move(encoding.sequence)};
}

}  // namespace layerscope
