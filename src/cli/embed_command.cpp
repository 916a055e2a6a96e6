#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/color_ramp.h"
#include "cli/commands.h"
#include "cli/display_text.h"
#include "cli/embed_rows.h"
#include "job/embed_job.h"
#include "layerscope/hub.h"

namespace layerscope::cli {
namespace {

constexpr std::size_t kMostTexts = 24;
constexpr std::size_t kLabel = 16, kNumber = 4;        // columns of a text beside its row, and of its number
constexpr std::size_t kNarrowCell = 5, kWideCell = 7;  // with two decimals and with three

/// Texts that can be compared side by side.
std::size_t most_texts(const Terminal& terminal) {
  const std::size_t room = terminal.columns > kLabel + kNumber ? terminal.columns - kLabel - kNumber : 0;
  return std::clamp<std::size_t>(room / kNarrowCell, 2, kMostTexts);
}

Result<int> run_json(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  const auto take = [&](const InputRow& row, std::span<const float> vector) -> Result<bool> {
    std::string line = fmt::format("{{\"row\":{},\"id\":{},\"embedding\":[", row.number, row.id.value_or("null"));
    for (std::size_t i = 0; i < vector.size(); ++i) {
      if (i > 0) line += ',';
      append_json_number(line, vector[i]);
    }
    context.out.write(line + "]}\n");
    return !context.out.closed();
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, embed_rows(embedder, arguments.input, context, take));
  return counts.status();
}

Result<int> run_folder(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  StatesJobOptions options;
  options.run_folder = arguments.output;
  options.skip_bad = arguments.input.skip_bad;
  options.shard_bytes = arguments.shard_bytes;
  options.threads = context.common.threads;
  options.overwrite = arguments.overwrite;
  options.dry_run = arguments.dry_run;
  options.part = arguments.part;
  const auto run = [&](RowReader& rows, const StatesJobOptions& asked, const JobHooks& hooks) {
    return run_embed_job(embedder, rows, asked, hooks);
  };
  return run_folder_job({arguments.input, options, arguments.progress, run}, context);
}

/// How alike two vectors are, as the folder compares them: distances count as negative (sentence_transformers,
/// util/similarity.py).
double similarity(const std::string& how, const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, squares_a = 0, squares_b = 0, squared = 0, absolute = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    dot += x * y;
    squares_a += x * x;
    squares_b += y * y;
    squared += (x - y) * (x - y);
    absolute += std::abs(x - y);
  }
  if (how == "dot") return dot;
  if (how == "euclidean") return -std::sqrt(squared);
  if (how == "manhattan") return -absolute;
  return dot / std::max(std::sqrt(squares_a) * std::sqrt(squares_b), 1e-12);
}

struct Compared {
  std::string label;
  std::vector<float> vector;
};

std::string matrix_text(const Embedder& embedder, const std::vector<Compared>& texts, const Terminal& terminal) {
  const std::string& how = embedder.similarity();
  std::vector<double> values;
  for (const Compared& row : texts) {
    for (const Compared& column : texts) values.push_back(similarity(how, row.vector, column.vector));
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double low = *least, range = std::max(*most - *least, 1e-12);
  const bool wide = kLabel + kNumber + kWideCell * texts.size() <= terminal.columns;
  const std::size_t cell = wide ? kWideCell : kNarrowCell, cells = cell * texts.size() + kNumber;
  const std::size_t label = std::max(kLabel, terminal.columns > cells ? terminal.columns - cells : 0);
  std::size_t longest = 0;
  for (const Compared& text : texts) longest = std::max(longest, display_width(text.label));
  const std::size_t column = std::min(label, longest + 1);
  std::string out =
      fmt::format("{}: {} similarity, vectors of {} elements\n\n", embedder.folder(), how, embedder.width());
  out.append(kNumber + column, ' ');
  for (std::size_t k = 0; k < texts.size(); ++k) out += right_aligned(std::to_string(k + 1), cell);
  out += '\n';
  for (std::size_t row = 0; row < texts.size(); ++row) {
    out += right_aligned(std::to_string(row + 1), kNumber - 1) + " ";
    out += left_aligned(clipped_middle(texts[row].label, column - 1), column);
    for (std::size_t k = 0; k < texts.size(); ++k) {
      const double value = values[row * texts.size() + k];
      const std::string shown = wide ? fmt::format("{:.3f}", value) : fmt::format("{:.2f}", value);
      out += on_ramp(right_aligned(shown, cell), (value - low) / range, terminal.color);
    }
    out += '\n';
  }
  return out;
}

Result<int> run_matrix(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  std::vector<Compared> texts;
  const std::size_t most = most_texts(context.terminal);
  bool cut = false;
  const auto take = [&](const InputRow& row, std::span<const float> vector) -> Result<bool> {
    cut = texts.size() == most;
    if (cut) return false;
    std::string label = row.row.text ? visible(*row.row.text) : fmt::format("row {}", row.number);
    if (row.row.pair) label += " | " + visible(*row.row.pair);
    texts.push_back({std::move(label), {vector.begin(), vector.end()}});
    return true;
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, embed_rows(embedder, arguments.input, context, take));
  if (!texts.empty()) context.out.write(matrix_text(embedder, texts, context.terminal));
  if (cut) {
    context.messages.note(fmt::format(
        "the first {} texts are shown; -o FILE.npy or -o RUN stores all vectors, --json prints them", most));
  }
  return counts.status();
}

}  // namespace

Result<int> run_embed(const EmbedArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(arguments.model));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Embedder> embedder,
                    Embedder::open(folder, context.common.open_options(true), arguments.options));
  if (arguments.npy()) return run_embed_npy(*embedder, arguments, context);
  if (!arguments.output.empty()) return run_folder(*embedder, arguments, context);
  return context.common.json ? run_json(*embedder, arguments, context) : run_matrix(*embedder, arguments, context);
}

}  // namespace layerscope::cli
