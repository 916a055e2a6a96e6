// Any bytes as a row of JSON lines: what is read is what the general reader reads.
// Covers: src/job/row_parser.cpp
#include "job/row_parser.h"

#include "base/json.h"
#include "base/utf8.h"
#include "fuzz/check.h"

using namespace layerscope;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  if (!is_valid_utf8(text)) return 0;
  InputRow row;
  const Status status = parse_json_row(text, "r", row);
  const auto json = parse_json(text, "r", ErrorCode::kInput, {.max_bytes = 1 << 20, .max_depth = 128});
  if (!status.ok()) {
    fuzz::check_error(status.error(), ErrorCode::kInput, "r");
    if (json.ok() && json->object() != nullptr)
      fuzz::check(status.error().message.find("is not valid JSON") == std::string::npos);
    return 0;
  }
  // The general reader refuses more: keys that stand twice in a value that is skipped, and numbers out of range.
  if (!json.ok()) return 0;
  fuzz::check(json->object() != nullptr);
  const auto same_text = [&](const char* key, const std::optional<std::string>& value) {
    const Json* other = json->find(key);
    fuzz::check(value.has_value() == (other != nullptr));
    if (value) fuzz::check(other->string() != nullptr && *other->string() == *value);
  };
  same_text("text", row.row.text);
  same_text("pair", row.row.pair);
  same_text("target", row.row.target);
  if (row.row.ids) {
    const Json::Array* ids = json->find("ids")->array();
    fuzz::check(ids != nullptr && ids->size() == row.row.ids->size());
    for (std::size_t index = 0; index < ids->size(); ++index)
      fuzz::check(*(*ids)[index].integer() == (*row.row.ids)[index]);
  }
  if (const Json* id = json->find("id"); id != nullptr && id->string() != nullptr) fuzz::check(row.id == id->dump());
  return 0;
}
