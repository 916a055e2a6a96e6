#include "report.h"

#include <nanobind/stl/string.h>

#include "base/try.h"
#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

class StoppableRows final : public RowReader {
 public:
  StoppableRows(std::unique_ptr<RowReader> rows, const std::atomic<bool>& stop) : rows_(std::move(rows)), stop_(stop) {}
  Result<std::optional<InputRow>> next() override {
    if (stop_) return Error{ErrorCode::kCancelled, "stopped"};
    return rows_->next();
  }
  std::uint64_t bytes() const override { return rows_->bytes(); }
  std::string prefix_hash() const override { return rows_->prefix_hash(); }
  std::optional<std::uint64_t> total_bytes() const override { return rows_->total_bytes(); }
  std::string_view kind() const override { return rows_->kind(); }

 private:
  std::unique_ptr<RowReader> rows_;
  const std::atomic<bool>& stop_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> open_rows(const RowsSource& source, const std::atomic<bool>& stop) {
  std::unique_ptr<RowReader> rows;
  if (source.path.empty()) {
    rows = rows_of_json(source.lines, "texts");
  } else {
    LAYERSCOPE_ASSIGN(rows, layerscope::open_rows(source.path, false));
  }
  return std::unique_ptr<RowReader>(std::make_unique<StoppableRows>(std::move(rows), stop));
}

Result<std::optional<InputRow>> next_good(RowReader& rows) {
  LAYERSCOPE_ASSIGN(std::optional<InputRow> row, rows.next());
  if (row && row->bad) return *row->bad;
  return row;
}

void bind_report(nb::module_& module) {
  nb::class_<Report>(module, "Report", "What a command found, as it would print it.")
      .def_ro("json", &Report::json)
      .def(
          "picture", [](const Report& report, std::size_t columns) { return report.picture({.columns = columns}); },
          "columns"_a, "Text, as wide as a terminal.")
      .def(
          "page", [](const Report& report) { return report.page(); }, "A page that needs nothing else.");
  nb::class_<RowsSource>(module, "RowsSource", "Rows of a file, or lines of JSON.")
      .def(
          "__init__",
          [](RowsSource* source, std::string path, std::string lines) {
            new (source) RowsSource{std::move(path), std::move(lines)};
          },
          "path"_a = "", "lines"_a = "");
}

}  // namespace layerscope::python
