#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/grid_sink.h"
#include "cli/rows.h"
#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/model_view.h"
#include "view/picture.h"

namespace layerscope::cli {
namespace {

constexpr std::int64_t kMostTexts = 24;         // a picture each
constexpr std::int64_t kMostPooledTexts = 200;  // a line each
constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

/// Columns for the stored sites of one stack: layer numbers where the sites are layers, else numbers that `key`
/// explains.
struct Columns {
  std::vector<std::size_t> sites;  ///< indices into TapPlan::stored()
  std::vector<ColumnLabel> labels;
  std::vector<std::string> key;  ///< "1 block.0.attn.out", ...; empty for layers
};

Columns columns_of(const TapPlan& plan, StackId stack) {
  Columns columns;
  const std::vector<StoredSite>& stored = plan.stored();
  for (std::size_t site = 0; site < stored.size(); ++site) {
    if (stored[site].stack == stack) columns.sites.push_back(site);
  }
  const bool layers =
      std::ranges::all_of(columns.sites, [&](std::size_t site) { return stored[site].hf_index.has_value(); });
  for (const std::size_t site : columns.sites) {
    const std::string& name = stored[site].name;
    if (layers) {
      const std::string number = std::to_string(*stored[site].hf_index);
      const bool named = name.ends_with("embed") || name.ends_with("final");
      columns.labels.push_back({named ? name.substr(name.size() - 5) : number, number});
    } else {
      const std::string number = std::to_string(columns.labels.size() + 1);
      columns.labels.push_back({number, number});
      columns.key.push_back(number + " " + name);
    }
  }
  return columns;
}

/// Lines of "1 name   2 name   ...", as many to a line as fit.
std::string key_text(const Columns& columns, std::size_t width) {
  std::string out;
  std::string line;
  for (const std::string& entry : columns.key) {
    if (!line.empty() && line.size() + 3 + entry.size() > width) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : "   ") + entry;
  }
  return line.empty() ? out : out + line + "\n";
}

class Picture {
 public:
  Picture(const Model& model, const TapPlan& plan, const EditPlan& edits, const StatesArguments& arguments,
          Context& context)
      : model_(model), plan_(plan), edits_(edits), arguments_(arguments), context_(context) {
    style_.columns = context.terminal.columns;
    style_.color = context.terminal.color;
    style_.measure = arguments.measure;
    if (arguments.all) style_.most_rows.reset();
    for (std::size_t stack = 0; stack < 2; ++stack) columns_[stack] = columns_of(plan, static_cast<StackId>(stack));
  }

  void header() {
    const std::string subject = plan_.pool() == Pooling::kNone
                                    ? "each token's state"
                                    : fmt::format("the {} of each text's states", pooling_name(plan_.pool()));
    context_.out.write(bold(clipped_middle(model_title(model_), style_.columns), style_.color) + "\n");
    context_.out.write(clipped(measure_title(arguments_.measure, subject), style_.columns) + "\n");
  }

  /// Runs one row; draws it, or keeps its line for later where rows are pooled.
  Result<bool> row(const InputRow& input) {
    const bool pooled = plan_.pool() != Pooling::kNone;
    if (drawn_ == (pooled ? kMostPooledTexts : kMostTexts)) return false;
    LAYERSCOPE_ASSIGN(const ModelRow row, model_.tokenize(input.row, arguments_.input.tokenize));
    Batch batch;
    model_.append(batch, row, input.number, 0);
    GridSink sink(plan_, arguments_.measure);
    LAYERSCOPE_TRY(model_.run(batch, plan_, sink, &edits_));
    ++drawn_;
    if (pooled) {
      keep(input, sink);
    } else {
      draw_row(input, row, sink);
    }
    return true;
  }

  void finish(const RowCounts& counts) {
    for (std::size_t stack = 0; stack < 2 && plan_.pool() != Pooling::kNone; ++stack) draw_grid(pooled_[stack], stack);
    if (counts.cut) context_.messages.note(fmt::format("drawn: the first {} rows; --json or -o RUN take all", drawn_));
  }

 private:
  void keep(const InputRow& input, const GridSink& sink) {
    for (std::size_t stack = 0; stack < 2; ++stack) {
      Grid& grid = pooled_[stack];
      grid.row_noun = "text";
      grid.columns = columns_[stack].labels;
      grid.rows.push_back(quoted(input, style_.columns / 2));
      grid.numbers.push_back(input.number);
      for (const std::size_t site : columns_[stack].sites) {
        grid.values.push_back(sink.values(site).empty() ? kNothing : sink.values(site).front());
      }
    }
  }

  void draw_row(const InputRow& input, const ModelRow& row, const GridSink& sink) {
    context_.out.write("\n" + quoted(input, style_.columns - 2) + "\n");
    for (std::size_t stack = 0; stack < 2; ++stack) {
      if (columns_[stack].sites.empty()) continue;
      const Tokens& tokens = tokens_of(model_, row, static_cast<StackId>(stack));
      Grid grid;
      grid.columns = columns_[stack].labels;
      for (const std::int32_t position : kept_positions(plan_, input.number, tokens)) grid.numbers.push_back(position);
      for (std::size_t k = 0; k < grid.numbers.size(); ++k) {
        grid.rows.push_back(token_label(model_, tokens.ids[static_cast<std::size_t>(grid.numbers[k])]));
        for (const std::size_t site : columns_[stack].sites) {
          grid.values.push_back(k < sink.values(site).size() ? sink.values(site)[k] : kNothing);
        }
      }
      draw_grid(grid, stack);
    }
  }

  void draw_grid(const Grid& grid, std::size_t stack) {
    if (grid.columns.empty() || grid.rows.empty()) return;
    if (model_.info().two_stacks) context_.out.write(dim(stack == 0 ? "encoder" : "decoder", style_.color) + "\n");
    context_.out.write(draw(grid, style_));
    context_.out.write(dim(key_text(columns_[stack], style_.columns), style_.color));
    context_.out.flush();
  }

  const Model& model_;
  const TapPlan& plan_;
  const EditPlan& edits_;
  const StatesArguments& arguments_;
  Context& context_;
  PictureStyle style_;
  Columns columns_[2];
  Grid pooled_[2];
  std::int64_t drawn_ = 0;
};

Status check_drawable(const TapPlan& plan) {
  for (const StoredSite& site : plan.stored()) {
    if (site.unit == StoredUnit::kProbs || site.cross) {
      return Error{ErrorCode::kUsage,
                   fmt::format("{}: has no row for each token and cannot be drawn; use --json or -o RUN", site.name)};
    }
  }
  return {};
}

}  // namespace

Result<int> run_states_picture(const Model& model, const StatesArguments& arguments, const EditPlan& edits,
                               Context& context) {
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(model.sites(), arguments.request));
  LAYERSCOPE_TRY(check_drawable(plan));
  model.enter_worker();
  Picture picture(model, plan, edits, arguments, context);
  picture.header();
  LAYERSCOPE_ASSIGN(const RowCounts counts,
                    each_row(arguments.input, context, [&](const InputRow& row) { return picture.row(row); }));
  picture.finish(counts);
  return counts.status();
}

}  // namespace layerscope::cli
