#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "session/workers.h"
#include "store/file_io.h"
#include "store/whole_file.h"
#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/lens_view.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

constexpr std::int64_t kMostTexts = 24;  // a picture each

Result<LensOptions> lens_options(const Model& model, const LensArguments& arguments, const CommonArguments& common) {
  LAYERSCOPE_ASSIGN(std::vector<Edit> edits, read_edits(arguments.edits, model.sites()));
  return LensOptions{.layers = arguments.layers,
                     .positions = arguments.positions,
                     .seed = arguments.seed,
                     .edits = std::move(edits),
                     .top = arguments.top_k,
                     .threads = all_cores(common.threads)};
}

void write_header(const Model& model, const LensArguments& arguments, Context& context) {
  const std::size_t columns = context.terminal.columns;
  const std::string kind = arguments.lens.empty() ? "" : ", through " + arguments.lens;
  context.out.write(bold(clipped_middle(model_title(model), columns), context.terminal.color) + "\n");
  context.out.write(clipped("what each layer would predict" + kind, columns) + "\n");
}

Result<int> look(const Model& model, const LensArguments& arguments, Context& context) {
  std::unique_ptr<TunedLens> tuned;
  if (!arguments.lens.empty()) {
    LAYERSCOPE_ASSIGN(tuned, TunedLens::open(arguments.lens, model));
  }
  LAYERSCOPE_ASSIGN(const LensOptions options, lens_options(model, arguments, context.common));
  LAYERSCOPE_ASSIGN(const Lens lens, Lens::open(model, options, tuned.get()));
  const bool picture = !context.common.json && arguments.html.empty();
  WholeFile page(arguments.html);
  if (!arguments.html.empty()) {
    LAYERSCOPE_TRY(page.open());
    LAYERSCOPE_TRY(page.append(lens_page_begin(model)));
  }
  if (picture) write_header(model, arguments, context);
  std::int64_t drawn = 0;
  const auto handle = [&](const InputRow& input) -> Result<bool> {
    if (picture && drawn == kMostTexts) return false;
    LAYERSCOPE_ASSIGN(const ModelRow row, model.tokenize(input.row, arguments.input.tokenize));
    LAYERSCOPE_ASSIGN(const LensRow seen, lens.look(row, input.number));
    const LensView view{model, input, row, lens.stack(), seen, arguments.positions != "all"};
    ++drawn;
    if (!arguments.html.empty()) {
      LAYERSCOPE_TRY(page.append(lens_page_row(view)));
    } else if (picture) {
      context.out.write("\n" + quoted(input, context.terminal.columns - 2) + "\n" +
                        lens_picture(view, context.terminal, arguments.all));
    } else {
      context.out.write(lens_json(view));
    }
    context.out.flush();
    return true;
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, each_row(arguments.input, context, handle));
  if (!arguments.html.empty()) {
    LAYERSCOPE_TRY(page.append(lens_page_end()));
    LAYERSCOPE_TRY(page.finish());
    context.messages.note(fmt::format("{}: {} {}", arguments.html, drawn, drawn == 1 ? "row" : "rows"));
  }
  if (counts.cut) context.messages.note(fmt::format("drawn: the first {} rows; --json or --html take all", drawn));
  return counts.status();
}

}  // namespace

Result<int> run_lens(const LensArguments& arguments, Context& context) {
  for (const std::string& path : {arguments.html, arguments.output}) {
    if (!path.empty() && path_exists(path) && !arguments.overwrite)
      return Error{ErrorCode::kUsage, path + ": exists already; --overwrite replaces it"};
  }
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments.model, context, true));
  return arguments.train ? run_lens_training(*model, arguments, context) : look(*model, arguments, context);
}

}  // namespace layerscope::cli
