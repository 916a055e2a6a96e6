#include "cli/embed_picture.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/embed_rows.h"
#include "cli/progress.h"
#include "session/model_state.h"
#include "view/color_ramp.h"
#include "view/display_text.h"

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
  TextVectors made;
};

/// Late interaction (sentence_transformers, util/similarity.py, maxsim): the sum over a query's vectors of the largest
/// product with a vector of the document.
double late_similarity(const std::string& how, const TextVectors& query, const TextVectors& document,
                       std::size_t width) {
  double sum = 0;
  for (std::size_t i = 0; i < query.places.size(); ++i) {
    double largest = 0;
    for (std::size_t j = 0; j < document.places.size(); ++j) {
      double dot = 0;
      for (std::size_t k = 0; k < width; ++k)
        dot += static_cast<double>(query.values[i * width + k]) * static_cast<double>(document.values[j * width + k]);
      largest = j == 0 ? dot : std::max(largest, dot);
    }
    sum += largest;
  }
  return how == "meanmaxsim" && !query.places.empty() ? sum / static_cast<double>(query.places.size()) : sum;
}

/// Both vectors at the places where one of them is not 0.
double sparse_similarity(const std::string& how, const TextVectors& a, const TextVectors& b) {
  std::map<std::int32_t, std::pair<float, float>> places;
  for (std::size_t i = 0; i < a.places.size(); ++i) places[a.places[i]].first = a.values[i];
  for (std::size_t i = 0; i < b.places.size(); ++i) places[b.places[i]].second = b.values[i];
  std::vector<float> x, y;
  for (const auto& [place, values] : places) {
    x.push_back(values.first);
    y.push_back(values.second);
  }
  return similarity(how, x, y);
}

double compare(const Embedder& embedder, const TextVectors& row, const TextVectors& column) {
  const std::string& how = embedder.similarity();
  switch (embedder.kind()) {
    case VectorKind::kTokens: return late_similarity(how, row, column, static_cast<std::size_t>(embedder.width()));
    case VectorKind::kSparse: return sparse_similarity(how, row, column);
    case VectorKind::kDense: break;
  }
  return similarity(how, row.values, column.values);
}

std::string what_vectors(const Embedder& embedder) {
  switch (embedder.kind()) {
    case VectorKind::kTokens: return fmt::format("a vector of {} elements a token", embedder.width());
    case VectorKind::kSparse: return fmt::format("weights of {} vocabulary entries", count_text(embedder.width()));
    case VectorKind::kDense: break;
  }
  return fmt::format("vectors of {} elements", embedder.width());
}

/// What each text expands to: its largest weights, as many as a line holds.
std::string terms_text(const Embedder& embedder, const std::vector<Compared>& texts, const Terminal& terminal) {
  std::string out;
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const TextVectors& made = texts[row].made;
    std::vector<std::size_t> order(made.places.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return made.values[a] > made.values[b]; });
    out += right_aligned(std::to_string(row + 1), kNumber - 1) + " ";
    std::size_t room = terminal.columns > kNumber ? terminal.columns - kNumber : 0;
    for (const std::size_t k : order) {
      const std::string term =
          fmt::format("{} {:.2f}", visible(token_of(embedder, made.places[k])), static_cast<double>(made.values[k]));
      const std::size_t columns = display_width(term) + 2;
      if (columns > room) break;
      room -= columns;
      const auto share = static_cast<double>(made.values[k]) / static_cast<double>(made.values[order.front()]);
      out += on_ramp(term, share, terminal.color) + "  ";
    }
    out += '\n';
  }
  return out + '\n';
}

std::string matrix_text(const Embedder& embedder, const std::vector<Compared>& texts, const Terminal& terminal) {
  std::vector<double> values;
  for (const Compared& row : texts) {
    for (const Compared& column : texts) values.push_back(compare(embedder, row.made, column.made));
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
      fmt::format("{}: {} similarity, {}\n\n", embedder.folder(), embedder.similarity(), what_vectors(embedder));
  if (embedder.kind() == VectorKind::kSparse) out += terms_text(embedder, texts, terminal);
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

}  // namespace

/// The entry of the vocabulary, or its number where there is no tokenizer.
std::string token_of(const Embedder& embedder, std::int32_t id) {
  const auto& tokenizer = embedder.model().state().tokenizer;
  const std::optional<std::string> token = tokenizer ? tokenizer->token(id) : std::nullopt;
  return token ? *token : std::to_string(id);
}

Result<int> run_embed_picture(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  std::vector<Compared> texts;
  const std::size_t most = most_texts(context.terminal);
  bool cut = false;
  const auto take = [&](const InputRow& row, const ModelRow&, const TextVectors& made) -> Result<bool> {
    cut = texts.size() == most;
    if (cut) return false;
    std::string label = row.row.text ? visible(*row.row.text) : fmt::format("row {}", row.number);
    if (row.row.pair) label += " | " + visible(*row.row.pair);
    texts.push_back({std::move(label), made});
    return true;
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, embed_texts(embedder, arguments.input, context, take));
  if (!texts.empty()) context.out.write(matrix_text(embedder, texts, context.terminal));
  if (cut) {
    context.messages.note(fmt::format(
        "the first {} texts are shown; -o FILE.npy or -o RUN stores all vectors, --json prints them", most));
  }
  return counts.status();
}

}  // namespace layerscope::cli
