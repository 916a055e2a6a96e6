// Any bytes as JSON: accepted documents survive being written and read again, and any text survives as a string.
// Covers: src/base/json.cpp src/base/utf8.cpp
#include "base/json.h"

#include "base/utf8.h"
#include "fuzz/check.h"

using namespace layerscope;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto json = parse_json(text, "f", ErrorCode::kInput, {.max_bytes = 2048, .max_depth = 8});
  if (json.ok()) {
    fuzz::check(is_valid_utf8(text));
    const auto again = parse_json(json->dump(), "f", ErrorCode::kInput);
    fuzz::check(again.ok() && *again == *json);
  } else {
    fuzz::check_error(json.error(), ErrorCode::kInput, "f");
  }

  std::string quoted;
  append_json_string(quoted, text);
  const auto string = parse_json(quoted, "f", ErrorCode::kInput);
  fuzz::check(string.ok() && string->string() != nullptr);
  if (is_valid_utf8(text)) {
    fuzz::check(*string->string() == text);
  } else {
    fuzz::check(find_invalid_utf8(text) < size);
  }
  fuzz::check(count_code_points(*string->string()) == count_code_points(text));
  fuzz::check(is_valid_utf8(printable(text)) && printable(text).find('\n') == std::string::npos);
  return 0;
}
