// What commands show of an opened model beyond its public face.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/scores.h"
#include "job/input.h"
#include "layerscope/model.h"

namespace layerscope {

/// The vocabulary entry of an id, made visible; "#ID" for an id without one, or in a folder without a tokenizer.
[[nodiscard]] std::string token_label(const Model& model, std::int32_t id);

/// Appends the vocabulary entries of ids as a JSON array; null for an id without one.
void append_tokens_json(std::string& out, const Model& model, const std::vector<std::int32_t>& ids);

/// Appends ids, or any other small numbers, as a JSON array.
template <class Numbers>
void append_numbers_json(std::string& out, const Numbers& numbers) {
  out += '[';
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (k > 0) out += ',';
    out += std::to_string(numbers[k]);
  }
  out += ']';
}

/// The tokens of one stack of a row.
[[nodiscard]] const Tokens& tokens_of(const Model& model, const ModelRow& row, StackId stack);

/// Appends "input_ids": the ids of a row, {enc, dec} with two stacks.
void append_input_ids_json(std::string& out, const Model& model, const ModelRow& row);

/// Appends predictions as a JSON array of {id, token, p}, with the logit between if `logits`.
void append_top_json(std::string& out, const Model& model, const std::vector<ScoredId>& top, const Distribution& of,
                     bool logits);

/// Positions of a row that a plan keeps: all of them where none were picked.
[[nodiscard]] std::vector<std::int32_t> kept_positions(const TapPlan& plan, std::int64_t row, const Tokens& tokens);

/// The id that stands for a masked token, if the tokenizer has one by its usual name.
[[nodiscard]] std::optional<std::int32_t> mask_id(const Model& model);

/// The text of a row as a headline, cut in the middle: “text”, “text | pair”, or "row 3" for ids.
[[nodiscard]] std::string quoted(const InputRow& row, std::size_t columns);

/// How many tokens each stack of the row has, by StackId.
[[nodiscard]] std::array<std::int64_t, 2> token_counts(const Model& model, const ModelRow& row);

/// "my-model · its type, 6 blocks of 384".
[[nodiscard]] std::string model_title(const Model& model);

}  // namespace layerscope
