#include "cli/label_rows.h"

#include <algorithm>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/rows.h"
#include "view/display_text.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

constexpr std::size_t kShown = 10;  // labels of a row
constexpr std::size_t kLabelColumns = 40;

// Labels of one row of scores; `p` is empty for regression.
struct Scores {
  std::span<const float> logits, p;
};

Scores scores_at(const LabelScores& scores, std::size_t row, std::size_t labels) {
  Scores own{.logits = std::span(scores.logits).subspan(row * labels, labels)};
  if (!scores.probabilities.empty()) own.p = std::span(scores.probabilities).subspan(row * labels, labels);
  return own;
}

void append_scores_json(std::string& out, const Labels& labels, const Scores& scores) {
  out += '[';
  for (std::size_t k = 0; k < labels.names.size(); ++k) {
    out += k > 0 ? ",{\"label\":" : "{\"label\":";
    append_json_string(out, labels.names[k]);
    out += ",\"logit\":";
    append_json_number(out, scores.logits[k]);
    out += ",\"p\":";
    if (scores.p.empty())
      out += "null";
    else
      append_json_number(out, scores.p[k]);
    out += '}';
  }
  out += ']';
}

std::string row_json(const Labels& labels, const InputRow& row, const ModelRow& tokens, const LabelScores& scores) {
  std::string out = fmt::format("{{\"row\":{},\"id\":{},", row.number, row.id.value_or("null"));
  if (labels.each_token) {
    out += "\"input_ids\":";
    append_numbers_json(out, tokens.main.ids);
    out += ',';
  }
  out += labels.each_token ? "\"labels\":[" : "\"labels\":";
  for (std::size_t k = 0; k < static_cast<std::size_t>(scores.rows); ++k) {
    if (k > 0) out += ',';
    append_scores_json(out, labels, scores_at(scores, k, labels.names.size()));
  }
  return out + (labels.each_token ? "]}\n" : "}\n");
}

std::string label_text(const Labels& labels, const Scores& scores, std::size_t label, std::size_t columns) {
  const std::string name = left_aligned(visible(labels.names[label]), columns);
  if (scores.p.empty()) return fmt::format("{}  {:.4f}", name, static_cast<double>(scores.logits[label]));
  return fmt::format("{}  {:5.1f} %  {:8.3f}", name, 100 * static_cast<double>(scores.p[label]),
                     static_cast<double>(scores.logits[label]));
}

// Numbers of the labels, the highest score first and equal ones by number.
std::vector<std::size_t> ranked(std::span<const float> logits) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  return order;
}

std::string row_text(const Model& model, const InputRow& row, const ModelRow& tokens, const LabelScores& scores) {
  const Labels& labels = *model.info().labels;
  std::size_t columns = 0, token_columns = 0;
  for (const std::string& name : labels.names) columns = std::max(columns, display_width(visible(name)));
  columns = std::min(columns, kLabelColumns);
  std::string out = row.row.text ? "“" + clipped_middle(visible(*row.row.text), 76) + "”\n" : row.where + "\n";
  if (!labels.each_token) {
    const Scores own = scores_at(scores, 0, labels.names.size());
    const std::vector<std::size_t> order = ranked(own.logits);
    for (std::size_t k = 0; k < std::min(kShown, order.size()); ++k)
      out += "  " + label_text(labels, own, order[k], columns) + "\n";
    if (order.size() > kShown) out += fmt::format("  … {} more\n", order.size() - kShown);
    return out;
  }
  for (const std::int32_t id : tokens.main.ids)
    token_columns = std::max(token_columns, std::min(kLabelColumns, display_width(token_label(model, id))));
  for (std::size_t k = 0; k < static_cast<std::size_t>(scores.rows); ++k) {
    const Scores own = scores_at(scores, k, labels.names.size());
    out += "  " + left_aligned(token_label(model, tokens.main.ids[k]), token_columns) + "  " +
           label_text(labels, own, ranked(own.logits).front(), columns) + "\n";
  }
  return out;
}

}  // namespace

Result<int> run_labels(const Model& model, const InputArguments& input, Context& context) {
  bool first = true;
  const auto take = [&](const InputRow& row) -> Result<bool> {
    LAYERSCOPE_ASSIGN(const ModelRow tokens, model.tokenize(row.row, input.tokenize));
    LAYERSCOPE_ASSIGN(const std::vector<LabelScores> scores,
                      model.classify({row.row}, {.tokenize = input.tokenize, .threads = 1}));
    if (context.common.json) {
      context.out.write(row_json(*model.info().labels, row, tokens, scores.front()));
    } else {
      context.out.write((first ? "" : "\n") + row_text(model, row, tokens, scores.front()));
    }
    first = false;
    return !context.out.closed();
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, each_row(input, context, take));
  return counts.status();
}

}  // namespace layerscope::cli
