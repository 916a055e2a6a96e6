#include "base/parallel.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/rows.h"
#include "diff/compare.h"
#include "diff/open_sides.h"
#include "layerscope/hub.h"
#include "view/diff_view.h"

namespace layerscope::cli {
namespace {

constexpr int kDifferent = 6;

/// A side of the command line; its model is opened, and its edits are read, once it is known to be one.
NamedSide named_side(const DiffSideArguments& side) {
  return {.path = side.path, .edited = !side.edits.edits.empty(), .model = [&side]() -> Result<EditedModel> {
            LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(side.path));
            LAYERSCOPE_ASSIGN(std::unique_ptr<Model> opened, Model::open(folder, side.open));
            EditedModel edited{.model = std::move(opened), .edits = {}};
            LAYERSCOPE_ASSIGN(edited.edits, read_edits(side.edits, edited.model->sites()));
            return edited;
          }};
}

Result<std::vector<DiffInput>> read_texts(const InputArguments& input, Context& context) {
  std::vector<DiffInput> texts;
  if (input.path.empty() && input.texts.empty()) return texts;
  const auto take = [&](const InputRow& row) -> Result<bool> {
    texts.push_back({row.number, row.row});
    return true;
  };
  LAYERSCOPE_TRY(each_row(input, context, take));
  if (texts.empty()) return Error{ErrorCode::kInput, input.path + ": holds no row"};
  return texts;
}

}  // namespace

Result<int> run_diff(const DiffArguments& arguments, Context& context) {
  LAYERSCOPE_TRY(check_page(arguments.html, arguments.overwrite));
  DiffOptions options{.tokenize = arguments.input.tokenize,
                      .layers = arguments.layers,
                      .sites = arguments.sites,
                      .tolerance = arguments.tolerance};
  LAYERSCOPE_ASSIGN(options.texts, read_texts(arguments.input, context));
  options.threads = all_cores(context.common.threads);
  LAYERSCOPE_ASSIGN(const OpenedSides sides, open_sides(named_side(arguments.a), named_side(arguments.b),
                                                        arguments.allow_incomplete, options.threads));
  for (const std::string& note : sides.notes) context.messages.note(note);
  LAYERSCOPE_ASSIGN(const DiffReport report, compare(*sides.a, *sides.b, options));
  if (arguments.html.empty()) {
    context.out.write(context.common.json ? diff_json(report) : diff_picture(report, context.terminal));
  } else {
    LAYERSCOPE_TRY(write_page(arguments.html, diff_page(report)));
    context.messages.note(arguments.html + ": " + report.sentence);
  }
  return report.verdict == Verdict::kSame ? 0 : kDifferent;
}

}  // namespace layerscope::cli
