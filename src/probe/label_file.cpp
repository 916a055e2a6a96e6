#include "probe/label_file.h"

#include <new>

#include "base/try.h"
#include "probe/label_reader.h"

namespace layerscope {

Result<LabelFile> LabelFile::read(const std::string& path, const std::string& key) try {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<LineFile> lines, LineFile::open(path));
  LabelFile file;
  file.path_ = path;
  LabelReader reader(file, key);
  if (path.ends_with(".jsonl")) {
    LAYERSCOPE_TRY(reader.read_json(*lines));
  } else {
    LAYERSCOPE_TRY(reader.read_table(*lines, path.ends_with(".tsv")));
  }
  return file;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, path + ": its labels do not fit into memory"};
}

Result<LabelFile> LabelFile::of_json(std::string_view lines, const std::string& name, const std::string& key) try {
  LabelFile file;
  file.path_ = name;
  const std::unique_ptr<LineFile> text = LineFile::of(lines, name);
  LAYERSCOPE_TRY(LabelReader(file, key).read_json(*text));
  return file;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, name + ": the labels do not fit into memory"};
}

Result<const RowLabels*> LabelFile::find(std::int64_t number, const std::optional<std::string>& id) const {
  const auto numbered = by_number_.find(number);
  const auto named = id ? by_id_.find(*id) : by_id_.end();
  if (numbered != by_number_.end() && named != by_id_.end()) {
    return Error{ErrorCode::kInput, where(rows_[named->second]) + ": row " + std::to_string(number) +
                                        " is named by its id here and by its number in line " +
                                        std::to_string(rows_[numbered->second].line)};
  }
  if (named != by_id_.end()) return &rows_[named->second];
  return numbered != by_number_.end() ? &rows_[numbered->second] : nullptr;
}

std::string LabelFile::where(const RowLabels& row) const { return path_ + ":" + std::to_string(row.line); }

}  // namespace layerscope
