#include "cli/edit_vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/floats.h"
#include "base/mapped_file.h"
#include "base/try.h"
#include "session/tensor_file.h"
#include "store/npy.h"
#include "store/run_row.h"
#include "tap/layer_list.h"

namespace layerscope::cli {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";

Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

std::optional<float> whole_number(std::string_view text) {
  float value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<FloatTable> read_npy(const std::string& path) {
  LAYERSCOPE_ASSIGN(const MappedFile file, MappedFile::open(path, ErrorCode::kRuntime));
  LAYERSCOPE_ASSIGN(const NpyHeader header, parse_npy_header(file.bytes(), path));
  const Shape& shape = header.shape;
  if (shape.rank() < 1 || shape.rank() > 2 || shape.elements() == 0) {
    return Error{ErrorCode::kRuntime,
                 fmt::format("{}: has shape {}, expected [width] or [n, width]", path, shape.text())};
  }
  FloatTable table{.rows = shape.rank() == 1 ? 1 : shape[0], .width = shape[shape.rank() - 1], .values = {}};
  if (append_floats(header.dtype, file.bytes().data() + header.begin, static_cast<std::size_t>(shape.elements()),
                    table.values))
    return table;
  return Error{ErrorCode::kRuntime, fmt::format("{}: holds {}, expected floats", path, dtype_name(header.dtype))};
}

/// RUN:ROW[:SITE][@POSITIONS], read from its end, as a path may hold colons.
struct RunSource {
  std::string run, site, positions;
  std::int64_t row = 0;
};

std::optional<std::int64_t> row_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<RunSource> run_source(std::string_view text, const Edit& edit) {
  RunSource source{.run = {}, .site = edit.site, .positions = edit.positions};
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  if (const std::size_t at = text.find('@', colon); at != std::string_view::npos) {
    source.positions = text.substr(at + 1);
    text = text.substr(0, at);
  }
  std::optional<std::int64_t> row = row_number(text.substr(colon + 1));
  if (!row) {
    source.site = text.substr(colon + 1);
    text = text.substr(0, colon);
    colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    row = row_number(text.substr(colon + 1));
  }
  if (!row || colon == 0 || source.site.empty()) return std::nullopt;
  source.row = *row;
  source.run = text.substr(0, colon);
  return source;
}

/// Where in the stored vectors the one of a position is.
Result<std::int64_t> place_of(const RunSource& source, const RunRow& row, std::int32_t position) {
  const std::int64_t wanted = position < 0 ? position + row.tokens : position;
  if (!row.picked) {
    if (wanted >= 0 && wanted < row.values.rows) return wanted;
  } else {
    const auto found = std::find(row.positions.begin(), row.positions.end(), wanted);
    if (found != row.positions.end()) return found - row.positions.begin();
  }
  return usage(fmt::format("{}: row {} has no vector of \"{}\" at position {} (it has {} tokens{})", source.run,
                           source.row, source.site, position, row.tokens,
                           row.picked ? ", of which positions were picked" : ""));
}

Result<FloatTable> read_from_run(const RunSource& source) {
  LAYERSCOPE_ASSIGN(RunRow row, read_run_row(source.run, source.row, source.site));
  LAYERSCOPE_ASSIGN(const PositionList positions, parse_positions(source.positions));
  if (row.pooled) return std::move(row.values);
  if (!positions.picked) {
    if (!row.picked) return std::move(row.values);
    return usage(fmt::format("{}: holds picked positions of \"{}\" only; name those that are meant (RUN:ROW@0,-1)",
                             source.run, source.site));
  }
  FloatTable table{.rows = 0, .width = row.values.width, .values = {}};
  for (const std::int32_t position : positions.list) {
    LAYERSCOPE_ASSIGN(const std::int64_t place, place_of(source, row, position));
    const auto from = row.values.values.begin() + place * table.width;
    table.values.insert(table.values.end(), from, from + table.width);
    ++table.rows;
  }
  return table;
}

Result<FloatTable> read_table(std::string_view text, const Edit& edit) {
  if (text.ends_with(".npy")) return read_npy(std::string(text));
  const std::size_t ending = text.rfind(kSafetensors);
  if (ending != std::string_view::npos) {
    const std::string_view rest = text.substr(ending + kSafetensors.size());
    const std::string path(text.substr(0, ending + kSafetensors.size()));
    if (rest.empty()) return read_tensor_file(path, "");
    if (rest.front() == ':' && rest.size() > 1) return read_tensor_file(path, std::string(rest.substr(1)));
  }
  if (const std::optional<RunSource> source = run_source(text, edit)) return read_from_run(*source);
  return usage(
      fmt::format("edit of \"{}\": cannot tell what \"{}\" is; expected a number, FILE.npy, "
                  "FILE.safetensors[:NAME] or RUN:ROW[:SITE][@POSITIONS], after NUMBER* if it is to be scaled",
                  edit.site, text));
}

}  // namespace

Status read_edit_vectors(std::string_view source, Edit& edit) {
  if (const std::optional<float> number = whole_number(source)) {
    edit.values = {*number};
    edit.vectors = 1;
    return {};
  }
  float factor = 1;
  if (const std::size_t star = source.find('*'); star != std::string_view::npos) {
    if (const std::optional<float> number = whole_number(source.substr(0, star))) {
      factor = *number;
      source = source.substr(star + 1);
    }
  }
  LAYERSCOPE_ASSIGN(FloatTable table, read_table(source, edit));
  edit.vectors = table.rows;
  edit.values = std::move(table.values);
  if (factor != 1) {
    for (float& value : edit.values) value *= factor;
  }
  return {};
}

}  // namespace layerscope::cli
