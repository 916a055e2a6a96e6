#include "job/input.h"

#include <utility>

#include "base/hash.h"
#include "base/try.h"
#include "base/utf8.h"
#include "job/line_file.h"
#include "job/row_parser.h"

namespace layerscope {
namespace {

/// Lines of a file or of stdin.
class LineRows final : public RowReader {
 public:
  LineRows(std::unique_ptr<LineFile> lines, bool json_lines) : lines_(std::move(lines)), json_lines_(json_lines) {}

  Result<std::optional<InputRow>> next() override {
    while (true) {
      LAYERSCOPE_ASSIGN(const bool found, lines_->next());
      if (!found) return std::optional<InputRow>();
      if (lines_->blank()) continue;
      InputRow row;
      row.number = lines_->count() - 1;
      row.where = lines_->where();
      if (Status parsed = parse(row); !parsed) row.bad = parsed.error();
      return std::optional<InputRow>(std::move(row));
    }
  }
  std::uint64_t bytes() const override { return lines_->bytes(); }
  std::string prefix_hash() const override { return lines_->prefix_hash(); }
  std::optional<std::uint64_t> total_bytes() const override { return lines_->total_bytes(); }
  std::string_view kind() const override { return json_lines_ ? "jsonl" : "txt"; }

 private:
  Status parse(InputRow& row) {
    LAYERSCOPE_TRY(lines_->check());
    if (json_lines_) return parse_json_row(lines_->line(), row.where, row);
    row.row.text = std::move(lines_->line());
    return {};
  }

  std::unique_ptr<LineFile> lines_;
  bool json_lines_;
};

/// TEXT arguments. Each counts with a NUL behind it, which no argument can hold.
class ArgumentRows final : public RowReader {
 public:
  explicit ArgumentRows(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& text : texts_) total_ += text.size() + 1;
  }

  Result<std::optional<InputRow>> next() override {
    if (index_ == texts_.size()) return std::optional<InputRow>();
    InputRow row;
    row.number = static_cast<std::int64_t>(index_);
    const std::string& text = texts_[index_++];
    hasher_.update(text);
    hasher_.update(std::string_view("\0", 1));
    bytes_ += text.size() + 1;
    row.where = "TEXT argument " + std::to_string(index_);
    if (is_valid_utf8(text)) {
      row.row.text = text;
    } else {
      row.bad = Error{ErrorCode::kInput, row.where + ": is not valid UTF-8"};
    }
    return std::optional<InputRow>(std::move(row));
  }
  std::uint64_t bytes() const override { return bytes_; }
  std::string prefix_hash() const override { return hasher_.hex(); }
  std::optional<std::uint64_t> total_bytes() const override { return total_; }
  std::string_view kind() const override { return "arguments"; }

 private:
  std::vector<std::string> texts_;
  std::size_t index_ = 0;
  std::uint64_t bytes_ = 0, total_ = 0;
  Hasher hasher_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> open_rows(const std::string& path, bool json_lines) {
  LAYERSCOPE_ASSIGN(std::unique_ptr<LineFile> lines, LineFile::open(path));
  const bool json = path == "-" ? json_lines : path.ends_with(".jsonl");
  return std::unique_ptr<RowReader>(std::make_unique<LineRows>(std::move(lines), json));
}

std::unique_ptr<RowReader> rows_of_json(std::string_view lines, std::string name) {
  return std::make_unique<LineRows>(LineFile::of(lines, std::move(name)), true);
}

std::unique_ptr<RowReader> rows_of(std::vector<std::string> texts) {
  return std::make_unique<ArgumentRows>(std::move(texts));
}

}  // namespace layerscope
