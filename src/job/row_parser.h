// One line of JSON to a row, without building a document: a line of ids costs what its ids cost.
#pragma once

#include <string>
#include <string_view>

#include "job/input.h"
#include "layerscope/error.h"

namespace layerscope {

/// Fills `row` and `id` from a line. Keys: "text", "pair", "ids", "type_ids", "decoder_ids", "target", "messages",
/// "id"; others are skipped over (their values must be JSON). Errors (kInput) start with `where`.
[[nodiscard]] Status parse_json_row(std::string_view line, const std::string& where, InputRow& into);

}  // namespace layerscope
