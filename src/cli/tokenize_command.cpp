#include <algorithm>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "session/token_places.h"
#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

/// Code points first..last of a text.
std::string_view part_of(std::string_view text, std::int64_t first, std::int64_t last) {
  std::size_t offset = 0;
  std::size_t begin = 0;
  for (std::int64_t point = 0; point < last && offset < text.size(); ++point) {
    if (point == first) begin = offset;
    static_cast<void>(next_code_point(text, offset));
  }
  return first < last ? text.substr(begin, offset - begin) : std::string_view();
}

void append_json_row(std::string& out, const Model& model, const InputRow& input, const ModelRow& row,
                     const TokenPlaces& places) {
  const Tokens& tokens = row.main;
  const std::size_t count = tokens.ids.size();
  out += fmt::format("{{\"row\":{},\"id\":{},\"ids\":", input.number, input.id.value_or("null"));
  append_numbers_json(out, tokens.ids);
  out += ",\"type_ids\":";
  append_numbers_json(out, tokens.type_ids.empty() ? std::vector<std::uint8_t>(count) : tokens.type_ids);
  out += ",\"tokens\":";
  append_tokens_json(out, model, tokens.ids);
  out += ",\"special\":";
  append_numbers_json(out, tokens.special);
  out += ",\"offsets\":[";
  for (std::size_t k = 0; k < count; ++k) {
    const bool placed = k < places.offsets.size() && places.offsets[k].first >= 0;
    out += k > 0 ? "," : "";
    out += placed ? fmt::format("[{},{}]", places.offsets[k].first, places.offsets[k].second) : "null";
  }
  out += "],\"sequence\":[";
  for (std::size_t k = 0; k < count; ++k) {
    const bool placed = k < places.sequence.size() && places.sequence[k] >= 0;
    out += k > 0 ? "," : "";
    out += placed ? std::to_string(places.sequence[k]) : "null";
  }
  out += ']';
  if (row.decoder) {
    out += ",\"decoder_ids\":";
    append_numbers_json(out, row.decoder->ids);
    out += ",\"decoder_tokens\":";
    append_tokens_json(out, model, row.decoder->ids);
  }
  out += "}\n";
}

class Table {
 public:
  Table(const Model& model, Context& context) : model_(model), context_(context) {}

  void print(const InputRow& input, const ModelRow& row, const TokenPlaces& places) {
    const ColorDepth color = context_.terminal.color;
    const std::size_t columns = context_.terminal.columns;
    const std::string count = fmt::format("row {}, {} tokens", input.number, row.main.ids.size());
    std::string title = count;
    if (input.row.text)
      title += ": “" + clipped_middle(visible(*input.row.text), columns - std::min(columns, count.size() + 4)) + "”";
    context_.out.write(bold(title, color) + "\n");
    tokens(input, row.main, places);
    if (row.decoder) {
      context_.out.write(bold("decoder", color) + "\n");
      tokens(input, *row.decoder, {});
    }
    context_.out.write("\n");
  }

 private:
  void tokens(const InputRow& input, const Tokens& tokens, const TokenPlaces& places) {
    const ColorDepth color = context_.terminal.color;
    std::vector<std::string> labels;
    std::size_t widest = 5;
    for (const std::int32_t id : tokens.ids) {
      labels.push_back(token_label(model_, id));
      widest = std::max(widest, display_width(labels.back()));
    }
    widest = std::min<std::size_t>(widest, 28);
    context_.out.write(
        dim(fmt::format("     #  {}      id  type  offsets    text", left_aligned("token", widest)), color) + "\n");
    for (std::size_t k = 0; k < labels.size(); ++k) {
      const int type = k < tokens.type_ids.size() ? tokens.type_ids[k] : 0;
      std::string line =
          fmt::format("{:>6}  {}  {:>6}  {:>4}  ", k, left_aligned(labels[k], widest), tokens.ids[k], type);
      if (k < places.offsets.size() && places.offsets[k].first >= 0) {
        const auto [first, last] = places.offsets[k];
        const bool second = places.sequence[k] == 1;
        const std::string& source = second ? *input.row.pair : *input.row.text;
        const std::string_view part = part_of(source, first, last);
        line += fmt::format("{:<9}  {}{}", fmt::format("{}..{}", first, last), second ? "pair: " : "",
                            clipped_middle(visible(part), 24));
      } else if (tokens.special[k] != 0) {
        line += "special";
      }
      while (line.ends_with(' ')) line.pop_back();
      context_.out.write((tokens.special[k] != 0 ? dim(line, color) : line) + "\n");
    }
  }

  const Model& model_;
  Context& context_;
};

}  // namespace

Result<int> run_tokenize(const TokenizeArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments.model, context, false));
  Table table(*model, context);
  const TokenizeOptions& options = arguments.input.tokenize;
  LAYERSCOPE_ASSIGN(const RowCounts counts,
                    each_row(arguments.input, context, [&](const InputRow& input) -> Result<bool> {
                      LAYERSCOPE_ASSIGN(const ModelRow row, model->tokenize(input.row, options));
                      LAYERSCOPE_ASSIGN(const TokenPlaces places,
                                        token_places(*model, input.row, row.main.ids, options.add_special_tokens));
                      if (context.common.json) {
                        std::string line;
                        append_json_row(line, *model, input, row, places);
                        context.out.write(line);
                      } else {
                        table.print(input, row, places);
                      }
                      return true;
                    }));
  return counts.status();
}

}  // namespace layerscope::cli
