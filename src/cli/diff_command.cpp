#include <filesystem>

#include "base/parallel.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/diff_view.h"
#include "cli/page_file.h"
#include "cli/rows.h"
#include "diff/compare.h"
#include "diff/dump_file.h"
#include "diff/run_model.h"
#include "layerscope/hub.h"
#include "store/run_reader.h"

namespace layerscope::cli {
namespace {

constexpr int kDifferent = 6;

bool is_run(const std::string& path) {
  const auto parts = run_parts(path);
  return parts.ok();
}

/// The sides, models first: a dump is read by the names of the model that it is held against.
class Sides {
 public:
  Sides(const DiffArguments& arguments, Context& context)
      : arguments_(arguments), context_(context), threads_(all_cores(context.common.threads)) {}

  Status open() {
    for (const DiffSideArguments* side : {&arguments_.a, &arguments_.b}) {
      if (is_dump(side->path) || is_run(side->path)) {
        if (!side->edits.edits.empty())
          return Error{ErrorCode::kUsage, side->path + ": only the stream of a model can be edited"};
        continue;
      }
      LAYERSCOPE_TRY(open_model_side(*side, side == &arguments_.a ? a_ : b_));
    }
    const bool any_model = a_ != nullptr || b_ != nullptr;
    for (const DiffSideArguments* side : {&arguments_.a, &arguments_.b}) {
      if (is_dump(side->path) || !is_run(side->path)) continue;
      std::shared_ptr<const Model> model;
      if (!any_model && like_ == nullptr) {
        std::string why;
        model = model_of_run(side->path, why);
        if (model == nullptr)
          context_.messages.note(side->path + ": its model cannot be run: " + why);
        else
          like_ = model;
      }
      std::unique_ptr<Side>& place = side == &arguments_.a ? a_ : b_;
      LAYERSCOPE_ASSIGN(place, open_run_side(side->path, std::move(model), arguments_.allow_incomplete));
    }
    for (const DiffSideArguments* side : {&arguments_.a, &arguments_.b}) {
      if (!is_dump(side->path)) continue;
      std::unique_ptr<Side>& place = side == &arguments_.a ? a_ : b_;
      LAYERSCOPE_ASSIGN(place, open_dump_side(side->path, like_ == nullptr ? nullptr : &like_->sites()));
    }
    return {};
  }

  [[nodiscard]] const Side& a() const { return *a_; }
  [[nodiscard]] const Side& b() const { return *b_; }
  [[nodiscard]] int threads() const { return threads_; }

 private:
  Status open_model_side(const DiffSideArguments& side, std::unique_ptr<Side>& into) {
    LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(side.path));
    LAYERSCOPE_ASSIGN(std::unique_ptr<Model> opened, Model::open(folder, side.open));
    const std::shared_ptr<const Model> model(std::move(opened));
    LAYERSCOPE_ASSIGN(const std::vector<Edit> edits, read_edits(side.edits, model->sites()));
    if (like_ == nullptr) like_ = model;
    LAYERSCOPE_ASSIGN(into, make_model_side(model, edits, threads_));
    return {};
  }

  const DiffArguments& arguments_;
  Context& context_;
  int threads_;
  std::shared_ptr<const Model> like_;
  std::unique_ptr<Side> a_, b_;
};

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
  Sides sides(arguments, context);
  LAYERSCOPE_TRY(sides.open());
  options.threads = sides.threads();
  LAYERSCOPE_ASSIGN(const DiffReport report, compare(sides.a(), sides.b(), options));
  if (arguments.html.empty()) {
    context.out.write(context.common.json ? diff_json(report) : diff_picture(report, context.terminal));
  } else {
    LAYERSCOPE_TRY(write_page(arguments.html, diff_page(report)));
    context.messages.note(arguments.html + ": " + report.sentence);
  }
  return report.verdict == Verdict::kSame ? 0 : kDifferent;
}

}  // namespace layerscope::cli
