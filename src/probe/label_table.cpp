// Labels as lines or as tab-separated columns.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/try.h"
#include "base/utf8.h"
#include "probe/label_reader.h"

namespace layerscope {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::size_t kMostColumns = 4096;

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  while (cells.size() < kMostColumns) {
    const std::size_t tab = line.find('\t');
    cells.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  return cells;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// An id as compact JSON: whole numbers are numbers, everything else is a string.
std::string id_of(std::string_view cell) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  std::string id;
  if (code == std::errc() && end == cell.data() + cell.size() && std::to_string(number) == cell) {
    id = cell;
  } else {
    append_json_string(id, cell);
  }
  return id;
}

}  // namespace

struct LabelReader::Columns {
  std::size_t count = 1, label = 0, row = kNone, id = kNone, group = kNone;
};

Result<LabelReader::Columns> LabelReader::read_header(LineFile& lines) {
  LAYERSCOPE_ASSIGN(const bool found, next_line(lines));
  const std::vector<std::string_view> names = found ? cells_of(lines.line()) : std::vector<std::string_view>();
  const auto column = [&](std::string_view name) {
    const auto at = std::find(names.begin(), names.end(), name);
    return at == names.end() ? kNone : static_cast<std::size_t>(at - names.begin());
  };
  const std::string wanted = key_.empty() ? "label" : key_;
  const Columns columns{names.size(), column(wanted), column("row"), column("id"), column("group")};
  if (columns.label != kNone) return columns;
  return Error{ErrorCode::kUsage,
               file_.path_ + ": its first line names no column \"" + printable(wanted, 40) +
                   "\" (a .tsv begins with the names of its columns; --label-key names the labels')"};
}

Status LabelReader::read_table(LineFile& lines, bool header) {
  Columns columns;
  if (header) {
    LAYERSCOPE_ASSIGN(columns, read_header(lines));
  } else if (!key_.empty()) {
    return Error{ErrorCode::kUsage,
                 file_.path_ + ": one label a line has no keys (--label-key is for .jsonl and .tsv)"};
  }
  while (true) {
    LAYERSCOPE_ASSIGN(const bool found, next_line(lines));
    if (!found) break;
    if (header) --number_;  // rows count from the first line behind the header
    if (lines.blank()) continue;
    LAYERSCOPE_TRY(read_cells(lines.line(), columns));
  }
  make_numbers();
  return {};
}

Status LabelReader::read_cells(std::string_view line, const Columns& columns) {
  const std::vector<std::string_view> cells = columns.count == 1 ? std::vector<std::string_view>{line} : cells_of(line);
  if (cells.size() != columns.count) {
    return bad("has " + std::to_string(cells.size()) + " columns, the first line names " +
               std::to_string(columns.count));
  }
  Row row;
  if (columns.row != kNone) {
    const std::string_view cell = trimmed(cells[columns.row]);
    std::int64_t number = -1;
    const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
    if (code != std::errc() || end != cell.data() + cell.size() || number < 0)
      return bad("the row is \"" + printable(cell, 40) + "\", expected a row's number from 0");
    row.number = number;
  } else if (columns.id != kNone) {
    row.id = id_of(trimmed(cells[columns.id]));
  } else {
    row.number = number_;
  }
  RowLabels labels;
  if (columns.group != kNone && !cells[columns.group].empty()) labels.group = std::string(cells[columns.group]);
  const std::string_view label = trimmed(cells[columns.label]);
  if (!label.empty()) labels.labels.push_back(text(label));
  return add(row, LabelLevel::kRow, std::move(labels));
}

/// A column of nothing but numbers holds numbers.
void LabelReader::make_numbers() {
  std::vector<double> numbers;
  for (const std::string& text : file_.texts_) {
    const std::optional<double> number = number_of(text);
    if (!number) return;
    numbers.push_back(*number);
  }
  if (numbers.empty()) return;
  for (RowLabels& row : file_.rows_) {
    for (LabelValue& label : row.labels) label = {.number = numbers[static_cast<std::size_t>(label.text)]};
  }
  file_.kind_ = LabelFile::Kind::kNumbers;
  file_.texts_.clear();
}

}  // namespace layerscope
