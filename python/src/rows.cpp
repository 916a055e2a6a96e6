#include "rows.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "bindings.h"
#include "errors.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

const Tokens& tokens_of(const Rows& rows, std::size_t index, bool decoder) {
  if (index >= rows.rows.size()) throw nb::index_error("there is no such row");
  const ModelRow& row = rows.rows[index];
  if (decoder && !row.decoder) throw nb::index_error("the rows have no decoder's tokens");
  return decoder ? *row.decoder : row.main;
}

std::vector<std::int64_t> lengths(const Rows& rows, bool decoder) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < rows.rows.size(); ++i)
    lengths.push_back(static_cast<std::int64_t>(tokens_of(rows, i, decoder).ids.size()));
  return lengths;
}

// The cells begin ... end of row `row`, within the matrix.
std::span<const std::int64_t> cells(const ArrayIn<std::int64_t, 2>& matrix, std::size_t row, std::int64_t begin,
                                    std::int64_t end) {
  if (row >= matrix.shape(0) || begin < 0 || begin > end || end > static_cast<std::int64_t>(matrix.shape(1)))
    throw nb::index_error("cells outside of the matrix");
  return {matrix.data() + row * matrix.shape(1) + begin, static_cast<std::size_t>(end - begin)};
}

Result<std::vector<std::int32_t>> narrow(std::span<const std::int64_t> ids) {
  std::vector<std::int32_t> narrow;
  for (const std::int64_t id : ids) {
    if (id < 0 || id > INT32_MAX) return Error{ErrorCode::kInput, "there is no token " + std::to_string(id)};
    narrow.push_back(static_cast<std::int32_t>(id));
  }
  return narrow;
}

struct Columns {
  const ArrayIn<std::int64_t, 2>& ids;
  const ArrayIn<std::int64_t, 1>&begins, &ends;
};

Result<std::vector<std::int32_t>> row_ids(const Columns& columns, std::size_t row) {
  return narrow(cells(columns.ids, row, columns.begins(row), columns.ends(row)));
}

Result<TextRow> text_row(const Columns& main, const std::optional<ArrayIn<std::int64_t, 2>>& types,
                         const std::optional<Columns>& decoder, std::size_t row) {
  TextRow text;
  auto ids = row_ids(main, row);
  if (!ids) return ids.error();
  text.ids = std::move(ids).value();
  if (types) {
    std::vector<std::uint8_t> own;
    bool any = false;
    for (const std::int64_t type : cells(*types, row, main.begins(row), main.ends(row))) {
      if (type < 0 || type > UINT8_MAX)
        return Error{ErrorCode::kInput, "there is no token type " + std::to_string(type)};
      own.push_back(static_cast<std::uint8_t>(type));
      any = any || type != 0;
    }
    if (any) text.type_ids = std::move(own);
  }
  if (decoder) {
    auto own = row_ids(*decoder, row);
    if (!own) return own.error();
    text.decoder_ids = std::move(own).value();
  }
  return text;
}

Rows rows_of_ids(const Model& model, const ArrayIn<std::int64_t, 2>& ids, const ArrayIn<std::int64_t, 1>& begins,
                 const ArrayIn<std::int64_t, 1>& ends, const std::optional<ArrayIn<std::int64_t, 2>>& type_ids,
                 const std::optional<ArrayIn<std::int64_t, 2>>& decoder_ids,
                 const std::optional<ArrayIn<std::int64_t, 1>>& decoder_begins,
                 const std::optional<ArrayIn<std::int64_t, 1>>& decoder_ends) {
  const std::size_t count = ids.shape(0);
  const auto fits = [&](const ArrayIn<std::int64_t, 1>& array) { return array.shape(0) == count; };
  const bool decoder = decoder_ids && decoder_begins && decoder_ends;
  if (!fits(begins) || !fits(ends) || (decoder && !(fits(*decoder_begins) && fits(*decoder_ends))))
    throw nb::value_error("as many begins and ends as rows expected");
  const Columns main{ids, begins, ends};
  std::optional<Columns> second;
  if (decoder) second.emplace(Columns{*decoder_ids, *decoder_begins, *decoder_ends});
  Rows rows;
  for (std::size_t row = 0; row < count; ++row) {
    auto text = text_row(main, type_ids, second, row);
    Result<ModelRow> ready = text ? model.tokenize(*text) : Result<ModelRow>(text.error());
    if (!ready) raise(in_row(ready.error(), row, count));
    rows.rows.push_back(std::move(ready).value());
  }
  return rows;
}

Rows rows_of_texts(const Model& model, const std::vector<TextRow>& texts, bool add_special_tokens, bool truncate,
                   std::optional<std::int64_t> max_length, int threads, std::size_t first) {
  const TokenizeOptions options{
      .add_special_tokens = add_special_tokens, .truncate = truncate, .max_length = max_length};
  Rows rows{.rows = {}, .first = static_cast<std::int64_t>(first)};
  rows.rows.resize(texts.size());
  Status status;
  {
    const nb::gil_scoped_release released;
    status = for_each_parallel(texts.size(), all_cores(threads), [&](std::size_t i) -> Status {
      auto row = model.tokenize(texts[i], options);
      if (!row) return in_row(row.error(), first + i, first + texts.size());
      rows.rows[i] = std::move(row).value();
      return {};
    });
  }
  check(status);
  return rows;
}

}  // namespace

Error in_row(const Error& what, std::size_t index, std::size_t count) {
  return {what.code, count == 1 ? what.message : "row " + std::to_string(index) + ": " + what.message};
}

void bind_rows(nb::module_& module) {
  nb::class_<TextRow>(module, "TextRow", "A row as it comes in: a text, with its pair, or ids.")
      .def(
          "__init__",
          [](TextRow* row, std::optional<std::string> text, std::optional<std::string> pair,
             std::optional<std::vector<std::int32_t>> ids, std::optional<std::vector<std::uint8_t>> type_ids,
             std::optional<std::vector<std::int32_t>> decoder_ids, std::optional<std::string> target) {
            new (row) TextRow{std::move(text),     std::move(pair),        std::move(ids),
                              std::move(type_ids), std::move(decoder_ids), std::move(target)};
          },
          nb::kw_only(), "text"_a = nb::none(), "pair"_a = nb::none(), "ids"_a = nb::none(), "type_ids"_a = nb::none(),
          "decoder_ids"_a = nb::none(), "target"_a = nb::none());
  nb::class_<Rows>(module, "Rows", "Rows that are ready to run.")
      .def("__len__", [](const Rows& rows) { return rows.rows.size(); })
      .def_ro("first", &Rows::first)
      .def(
          "part",
          [](const Rows& rows, std::size_t begin, std::size_t end) {
            if (begin > end || end > rows.rows.size()) throw nb::index_error("there are no such rows");
            const auto from = rows.rows.begin() + static_cast<std::ptrdiff_t>(begin);
            return Rows{.rows = {from, from + static_cast<std::ptrdiff_t>(end - begin)},
                        .first = rows.first + static_cast<std::int64_t>(begin)};
          },
          "begin"_a, "end"_a, "Some of them, under their own numbers.")
      .def(
          "lengths", [](const Rows& rows, bool decoder) { return array_of(lengths(rows, decoder)); },
          "decoder"_a = false, "Tokens of each row.")
      .def(
          "ids",
          [](const Rows& rows, std::size_t index, bool decoder) {
            return array_of(tokens_of(rows, index, decoder).ids);
          },
          "index"_a, "decoder"_a = false)
      .def(
          "special",
          [](const Rows& rows, std::size_t index, bool decoder) {
            return array_of(tokens_of(rows, index, decoder).special);
          },
          "index"_a, "decoder"_a = false);
  module.def("rows_of_ids", &rows_of_ids, "model"_a, "ids"_a, "begins"_a, "ends"_a, "type_ids"_a = nb::none(),
             "decoder_ids"_a = nb::none(), "decoder_begins"_a = nb::none(), "decoder_ends"_a = nb::none(),
             "Rows from the cells begins[i] ... ends[i] of padded matrices.");
  module.def("rows_of_texts", &rows_of_texts, "model"_a, "texts"_a, "add_special_tokens"_a = true, "truncate"_a = false,
             "max_length"_a = nb::none(), "threads"_a = 0, "first"_a = 0, "Rows whose numbers count from `first`.");
}

}  // namespace layerscope::python
