#include "job/row_texts.h"

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/try.h"
#include "job/input.h"

namespace layerscope {

Result<std::map<std::int64_t, std::string>> row_texts(const std::string& path, std::span<const std::int64_t> numbers) {
  std::map<std::int64_t, std::string> texts;
  const std::set<std::int64_t> wanted(numbers.begin(), numbers.end());
  if (wanted.empty()) return texts;
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_rows(path, false));
  while (texts.size() < wanted.size()) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, reader->next());
    if (!row || row->number > *wanted.rbegin()) break;
    if (row->bad || !row->row.text || !wanted.contains(row->number)) continue;
    texts[row->number] = row->row.pair ? *row->row.text + " | " + *row->row.pair : *row->row.text;
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
