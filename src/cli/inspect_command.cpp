#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/fold.h"
#include "cli/progress.h"
#include "session/inspect.h"
#include "session/model_state.h"
#include "spec/print.h"
#include "view/color_ramp.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

struct NamedStack {
  std::string_view name;
  const Stack* stack;
};

std::vector<NamedStack> stacks_of(const ModelSpec& spec) {
  std::vector<NamedStack> stacks;
  if (spec.encoder) stacks.push_back({"encoder", &*spec.encoder});
  if (spec.decoder) stacks.push_back({"decoder", &*spec.decoder});
  return stacks;
}

/// Lines of columns that are as wide as their widest field.
std::string table(const std::vector<FoldedLine>& lines) {
  std::vector<std::size_t> widths;
  for (const FoldedLine& line : lines) {
    widths.resize(std::max(widths.size(), line.fields.size()));
    for (std::size_t k = 0; k < line.fields.size(); ++k) widths[k] = std::max(widths[k], display_width(line.fields[k]));
  }
  std::string out;
  for (const FoldedLine& line : lines) {
    std::string text = " ";
    for (std::size_t k = 0; k < line.fields.size(); ++k) text += " " + left_aligned(line.fields[k], widths[k]) + " ";
    if (!line.blocks.empty()) text += fmt::format(" i = {}", range_text(line.blocks));
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  }
  return out;
}

std::vector<FoldedLine> shown(const std::vector<BlockLine>& lines, bool all) {
  if (!all) return fold(lines);
  std::vector<FoldedLine> plain;
  for (const BlockLine& line : lines) plain.push_back({line.fields, {}});
  return plain;
}

std::vector<BlockLine> site_lines(const SiteTable& sites) {
  std::vector<BlockLine> lines;
  for (const Site& site : sites.sites) {
    std::string width =
        site.kind == SiteKind::kProbs ? fmt::format("{} heads × keys", site.heads) : std::to_string(site.width);
    if (site.heads > 0 && site.kind != SiteKind::kProbs)
      width = fmt::format("{} heads × {}", site.heads, site.width / site.heads);
    lines.push_back({{site.name, std::move(width)}});
  }
  return lines;
}

std::vector<BlockLine> tensor_lines(const Bindings& bindings) {
  std::vector<BlockLine> lines;
  for (const Binding& binding : bindings.bound) {
    lines.push_back({{binding.slot.name, "← " + visible(binding.tensor->name), binding.cut.text(),
                      binding.slot.shape.text(), std::string(dtype_name(binding.tensor->view.dtype))}});
  }
  return lines;
}

std::string inspect_text(const ModelState& state, bool all, ColorDepth color) {
  const ModelInfo& info = state.info;
  std::string out = bold(fmt::format("{} · {} · {} parameters", visible(info.path), info.model_type,
                                     count_text(static_cast<std::int64_t>(info.parameters))),
                         color) +
                    "\n";
  out += fmt::format(
      "vocabulary of {}, {}, {}\n", count_text(info.vocabulary_size),
      info.max_tokens ? fmt::format("at most {} tokens a row", count_text(*info.max_tokens)) : "rows of any length",
      info.has_tokenizer ? "with tokenizer" : "no tokenizer: rows of ids only");
  for (const NamedStack& named : stacks_of(state.spec)) {
    out += "\n" +
           bold(fmt::format("{}: {} blocks of {}", named.name, named.stack->blocks.size(), state.spec.width), color) +
           "\n";
    for (const std::string& line : block_program(*named.stack)) out += "  " + line + "\n";
  }
  if (state.spec.head) out += "\n" + bold("head", color) + "\n  " + head_text(*state.spec.head) + "\n";
  if (state.spec.labels) out += "\n" + bold("head", color) + "\n  " + labels_text(*state.spec.labels) + "\n";
  out += "\n" + bold(fmt::format("{} sites", state.sites.sites.size()), color) + "\n" +
         table(shown(site_lines(state.sites), all));
  out += "\n" + bold(fmt::format("{} slots ← tensors", state.bindings.bound.size()), color) + "\n" +
         table(shown(tensor_lines(state.bindings), all));
  if (!state.bindings.ignored.empty()) {
    out += "\n" + bold(fmt::format("{} tensors that hidden states do not need", state.bindings.ignored.size()), color) +
           "\n";
    for (const std::string& name : state.bindings.ignored) out += "  " + visible(name) + "\n";
  }
  return out;
}

}  // namespace

Result<int> run_inspect(const InspectArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments.model, context, false));
  const ModelState& state = model->state();
  context.out.write(context.common.json ? inspect_json(state)
                                        : inspect_text(state, arguments.all, context.terminal.color));
  return 0;
}

}  // namespace layerscope::cli
