#include "session/rows.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

Error bad(std::string message) { return Error{ErrorCode::kInput, std::move(message)}; }

std::optional<std::int64_t> smaller(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  return a && b ? std::min(*a, *b) : a ? a : b;
}

// Ids taken as they are: nothing added, nothing cut.
Result<Tokens> given(const ModelState& state, const Stack& reader, const std::vector<std::int32_t>& ids,
                     std::string_view what) {
  Tokens tokens{.ids = ids};
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= reader.embedding.vocabulary_size) {
      return bad(std::string(what) + " holds " + std::to_string(id) + ", the vocabulary has ids 0 to " +
                 std::to_string(reader.embedding.vocabulary_size - 1));
    }
    tokens.special.push_back(state.tokenizer ? state.tokenizer->is_special(id) : state.special_ids.contains(id));
  }
  return tokens;
}

Result<Tokens> tokenized(const ModelState& state, const Stack& reader, std::string_view text,
                         const std::optional<std::string>& pair, const TokenizeOptions& options,
                         std::optional<std::int64_t> limit, bool target = false) {
  if (!state.tokenizer) return bad(state.no_tokenizer + ", give the row as {\"ids\": [...]}");
  EncodeOptions encode{.add_special_tokens = options.add_special_tokens, .target = target};
  if (options.truncate) encode.max_length = limit;
  std::optional<std::string_view> second;
  if (pair && !pair->empty()) second = *pair;  // transformers takes an empty pair of one row for none
  LAYERSCOPE_ASSIGN(Encoding encoding, state.tokenizer->encode(text, second, encode));
  LAYERSCOPE_ASSIGN(Tokens tokens, given(state, reader, encoding.ids, "the tokenised text"));
  tokens.special = std::move(encoding.special);
  const bool typed =
      std::any_of(encoding.type_ids.begin(), encoding.type_ids.end(), [](std::uint8_t type) { return type != 0; });
  if (typed && state.info.has_type_ids) tokens.type_ids = std::move(encoding.type_ids);
  return tokens;
}

// Labels moved one place to the right, behind `tokens`, which holds the start.
void shift_right(const DecoderStart& rule, const Tokens& labels, Tokens& tokens) {
  if (rule.wrapped_before_id) {
    const auto padding = std::count(labels.ids.begin(), labels.ids.end(), *rule.wrapped_before_id);
    const std::size_t real = labels.ids.size() - static_cast<std::size_t>(padding);
    if (real > 0) {
      tokens.ids.front() = labels.ids[real - 1];
      tokens.special.front() = labels.special[real - 1];
    }
  }
  for (std::size_t i = 0; i + 1 < labels.ids.size(); ++i) {
    tokens.ids.push_back(labels.ids[i]);
    tokens.special.push_back(labels.special[i]);
  }
}

Result<Tokens> decoder_tokens(const ModelState& state, const TextRow& row, const Tokens& main,
                              const TokenizeOptions& options, std::optional<std::int64_t> limit) {
  const Stack& decoder = *state.spec.decoder;
  if (row.decoder_ids) return given(state, decoder, *row.decoder_ids, "\"decoder_ids\"");
  const DecoderStart& rule = *state.spec.decoder_start;
  LAYERSCOPE_ASSIGN(Tokens tokens,
                    given(state, decoder, {static_cast<std::int32_t>(rule.start_id)}, "the decoder's start"));
  const bool repeats = state.spec.labels.has_value();  // a classifier's decoder reads what its encoder reads
  if (!row.target && !repeats) return tokens;
  if (decoder.embedding.vocabulary_size != state.info.vocabulary_size)
    return bad("the decoder has a vocabulary of its own, give the row \"decoder_ids\" rather than a \"target\"");
  if (!row.target) {
    shift_right(rule, main, tokens);
    return tokens;
  }
  LAYERSCOPE_ASSIGN(const Tokens labels, tokenized(state, decoder, *row.target, std::nullopt, options, limit, true));
  shift_right(rule, labels, tokens);
  return tokens;
}

Status check_types(const ModelState& state, const std::vector<std::uint8_t>& types) {
  const std::int64_t count = state.main_stack().embedding.types;
  for (const std::uint8_t type : types) {
    if (type >= count)
      return bad("type id " + std::to_string(type) + " in a model with type ids 0 to " + std::to_string(count - 1));
  }
  return {};
}

// What contradicts itself is refused rather than half read.
Status check_parts(const ModelState& state, const TextRow& row) {
  if (row.text && row.ids) return bad("the row has both text and ids");
  if (row.pair && !row.text) return bad("the row has a pair but no text");
  if (row.type_ids && !row.ids) return bad("the row has \"type_ids\" but no \"ids\"");
  if (!state.spec.two_stacks() && (row.decoder_ids || row.target))
    return bad("\"decoder_ids\" and \"target\" are for models with an encoder and a decoder");
  if (row.decoder_ids && row.target) return bad("the row has both \"decoder_ids\" and \"target\"");
  return {};
}

// Tokens that nobody attends to need every meeting of tokens to be an attention that reaches all keys.
Status check_unattended(const Stack& stack, const Batch::Input& input) {
  std::optional<std::int64_t> window;
  for (const Block& block : stack.blocks) {
    for (const Step& step : block.steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      const bool mixes = std::holds_alternative<ShortConv>(step.mixer) || std::holds_alternative<TokenConv>(step.mixer);
      if (mixes || (attention != nullptr && std::holds_alternative<Disentangled>(attention->score)))
        return Error{ErrorCode::kUsage,
                     "tokens of this model meet in other ways than plain attention, so that none "
                     "can be left unattended"};
      if (attention != nullptr && attention->window) window = smaller(window, attention->window);
    }
  }
  if (stack.embedding.rescale)
    return Error{ErrorCode::kUsage,
                 "this model rescales its rows by their mask tokens, so that none can be left "
                 "unattended"};
  for (std::size_t s = 0; s < input.unattended.size(); ++s) {
    const std::int64_t length = input.offsets[s + 1] - input.offsets[s], hidden = input.unattended[s];
    if (hidden < 0 || (hidden > 0 && hidden >= length)) return bad("a sequence has no attended token left");
    if (hidden > 0 && window && length > *window) {
      return bad("a sequence of " + std::to_string(length) +
                 " tokens, of which the last are not attended to, does not " + "fit into the model's window of " +
                 std::to_string(*window));
    }
  }
  return {};
}

}  // namespace

std::optional<std::int64_t> position_limit(const Stack& stack) {
  if (stack.rotation && stack.rotation->rows > 0) return stack.rotation->rows;
  if (!stack.embedding.positions) return std::nullopt;
  return stack.embedding.positions->rows - stack.embedding.positions->offset;
}

Result<ModelRow> make_row(const ModelState& state, const TextRow& row, const TokenizeOptions& options) {
  if (options.max_length && *options.max_length < 1) {
    return Error{ErrorCode::kUsage,
                 "the maximal length is " + std::to_string(*options.max_length) + ", expected at least 1"};
  }
  LAYERSCOPE_TRY(check_parts(state, row));
  const std::optional<std::int64_t> limit = smaller(state.info.max_tokens, options.max_length);
  ModelRow ready;
  if (row.ids) {
    LAYERSCOPE_ASSIGN(ready.main, given(state, state.main_stack(), *row.ids, "\"ids\""));
    if (row.type_ids) {
      if (!state.info.has_type_ids) return bad("\"type_ids\" for a model without type embeddings");
      if (row.type_ids->size() != row.ids->size()) return bad("\"type_ids\" and \"ids\" differ in length");
      ready.main.type_ids = *row.type_ids;
    }
  } else if (row.text) {
    LAYERSCOPE_ASSIGN(ready.main, tokenized(state, state.main_stack(), *row.text, row.pair, options, limit));
  } else {
    return bad("the row has neither text nor ids (\"messages\" are read under --chat)");
  }
  LAYERSCOPE_TRY(check_types(state, ready.main.type_ids));
  if (ready.main.ids.empty()) return bad("the row has no tokens");
  if (limit && static_cast<std::int64_t>(ready.main.ids.size()) > *limit) {
    return bad("the row is too long: " + std::to_string(ready.main.ids.size()) + " tokens, at most " +
               std::to_string(*limit) + (row.ids ? " (ids are never cut)" : "; --on-long truncate cuts it"));
  }
  if (!state.spec.two_stacks()) return ready;
  const std::optional<std::int64_t> decoder_limit = smaller(position_limit(*state.spec.decoder), options.max_length);
  LAYERSCOPE_ASSIGN(ready.decoder, decoder_tokens(state, row, ready.main, options, decoder_limit));
  if (ready.decoder->ids.empty()) return bad("the row has no decoder tokens");
  if (decoder_limit && static_cast<std::int64_t>(ready.decoder->ids.size()) > *decoder_limit) {
    return bad("the decoder's input is too long: " + std::to_string(ready.decoder->ids.size()) + " tokens, at most " +
               std::to_string(*decoder_limit));
  }
  return ready;
}

Status check_batch(const ModelState& state, const Batch& batch) {
  const std::size_t sequences = batch.sequences();
  if (batch.tags.size() != sequences) return bad("a batch needs a row number and a tag for every sequence");
  for (const auto& [place, stack] : {std::pair{0, &state.spec.encoder}, std::pair{1, &state.spec.decoder}}) {
    const Batch::Input& input = batch.inputs[static_cast<std::size_t>(place)];
    if (!*stack || (input.ids.empty() && input.offsets.size() == 1)) continue;
    const auto tokens = static_cast<std::int64_t>(input.ids.size());
    const bool ordered = std::is_sorted(input.offsets.begin(), input.offsets.end());
    if (input.offsets.size() != sequences + 1 || input.offsets.front() != 0 || input.offsets.back() != tokens ||
        !ordered)
      return bad("the offsets of a batch do not describe its tokens");
    if (!input.type_ids.empty() && input.type_ids.size() != input.ids.size())
      return bad("a batch has as many type ids as ids, or none");
    for (const std::int32_t id : input.ids) {
      if (id < 0 || id >= (*stack)->embedding.vocabulary_size)
        return bad("a batch holds id " + std::to_string(id) + " beyond the vocabulary");
    }
    LAYERSCOPE_TRY(check_types(state, input.type_ids));
    if (!input.unattended.empty()) {
      if (input.unattended.size() != sequences) return bad("a batch says for some sequences only what is unattended");
      LAYERSCOPE_TRY(check_unattended(**stack, input));
    }
    const std::optional<std::int64_t> limit = position_limit(**stack);
    for (std::size_t s = 0; limit && s < sequences; ++s) {
      if (input.offsets[s + 1] - input.offsets[s] > *limit)
        return bad("a sequence is longer than the table of positions");
    }
  }
  return {};
}

}  // namespace layerscope
