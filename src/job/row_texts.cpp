#include "job/row_texts.h"

#include <set>

#include "base/hash.h"
#include "base/try.h"

namespace layerscope {

Result<TextReader> TextReader::open(const std::string& path) {
  LAYERSCOPE_ASSIGN(std::unique_ptr<RowReader> reader, open_rows(path, false));
  return TextReader(std::move(reader));
}

Result<std::optional<std::string>> TextReader::next(std::int64_t number) {
  while (!row_ || row_->number < number) {
    LAYERSCOPE_ASSIGN(row_, reader_->next());
    if (!row_) return std::optional<std::string>();
  }
  if (row_->number > number || row_->bad || !row_->row.text) return std::optional<std::string>();
  return std::optional(row_->row.pair ? *row_->row.text + " | " + *row_->row.pair : *row_->row.text);
}

Result<std::map<std::int64_t, std::string>> row_texts(const std::string& path, std::span<const std::int64_t> numbers) {
  std::map<std::int64_t, std::string> texts;
  const std::set<std::int64_t> wanted(numbers.begin(), numbers.end());
  if (wanted.empty()) return texts;
  LAYERSCOPE_ASSIGN(TextReader reader, TextReader::open(path));
  for (const std::int64_t number : wanted) {
    LAYERSCOPE_ASSIGN(const std::optional<std::string> text, reader.next(number));
    if (text) texts[number] = *text;
  }
  return texts;
}

Status check_texts(const std::string& path, const Manifest& manifest, const std::string& run) {
  const Json config(manifest.config);
  const Json* const kind = config.find("input");
  const bool from_file = kind != nullptr && kind->string() != nullptr && *kind->string() != "arguments";
  if (!from_file || !manifest.complete) return {};
  LAYERSCOPE_ASSIGN(const std::string hash, hash_file(path, ErrorCode::kRuntime));
  if (hash == manifest.input_xxh128) return {};
  return Error{ErrorCode::kUsage, path + ": is not the input that " + run + " was made from (its xxh128 is " + hash +
                                      ", the manifest has " + manifest.input_xxh128 + ")"};
}

}  // namespace layerscope
