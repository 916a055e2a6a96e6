// What the readers of the label files' formats share: names kept once, and one row added after the other.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.h"
#include "job/line_file.h"
#include "probe/label_file.h"

namespace layerscope {

class LabelReader {
 public:
  LabelReader(LabelFile& file, const std::string& key) : file_(file), key_(key) {}

  /// One JSON object a line.
  [[nodiscard]] Status read_json(LineFile& lines);
  /// Columns that the first line names; `header` false: one label a line and nothing else.
  [[nodiscard]] Status read_table(LineFile& lines, bool header);

 private:
  // Which row of the input a line names.
  struct Row {
    std::optional<std::int64_t> number;
    std::optional<std::string> id;
  };
  struct Columns;

  [[nodiscard]] Result<bool> next_line(LineFile& lines);
  [[nodiscard]] Error bad(std::string what) const;
  [[nodiscard]] Status add(const Row& row, LabelLevel level, RowLabels labels);
  [[nodiscard]] Result<LabelValue> value(const Json& json);
  [[nodiscard]] Result<LabelValue> value(std::string_view cell);
  [[nodiscard]] LabelValue text(std::string_view text);
  [[nodiscard]] Status read_object(const Json& object);
  [[nodiscard]] Result<const Json*> labels_of(const Json& object, bool& spans);
  [[nodiscard]] Result<Row> row_of(const Json& object) const;
  [[nodiscard]] Status read_spans(const Json& spans, RowLabels& into);
  [[nodiscard]] Status read_labels(const Json& labels, const Json* words, RowLabels& into, LabelLevel& level);
  [[nodiscard]] Result<Columns> read_header(LineFile& lines);
  [[nodiscard]] Status read_cells(std::string_view line, const Columns& columns);
  void make_numbers();

  LabelFile& file_;
  const std::string& key_;
  std::string where_;        // of the line at hand
  std::int64_t line_ = 0;    // of the line at hand, from 1
  std::int64_t number_ = 0;  // of the row that it stands for unless it names one
  bool found_ = false;       // some line has the key
  bool labelled_ = false;    // some label is there
  std::unordered_map<std::string, std::int32_t> names_;
};

}  // namespace layerscope
