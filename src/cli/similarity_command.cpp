#include <fmt/format.h>

#include "base/parallel.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "store/run_reader.h"
#include "view/similarity_view.h"

namespace layerscope::cli {
namespace {

/// One side, with the model that it runs if it is one.
struct Side {
  std::unique_ptr<Model> model;
  std::unique_ptr<LayerSource> layers;
};

class Sides {
 public:
  Sides(const SimilarityArguments& arguments, Context& context) : arguments_(arguments), context_(context) {}

  Status open() {
    const bool run_a = run_parts(arguments_.a).ok(), run_b = arguments_.b.empty() || run_parts(arguments_.b).ok();
    if (run_a && run_b && !arguments_.input.path.empty())
      return Error{ErrorCode::kUsage, "--input: runs hold their rows already"};
    if (!run_a && !run_b && !arguments_.b.empty() && arguments_.input.path == "-")
      return Error{ErrorCode::kUsage, "-i -: two models cannot both read stdin; give a file"};
    LAYERSCOPE_TRY(open_side(arguments_.a, run_a, a_));
    return arguments_.b.empty() ? Status() : open_side(arguments_.b, run_b, b_);
  }
  [[nodiscard]] LayerSource& a() { return *a_.layers; }
  [[nodiscard]] LayerSource* b() { return b_.layers.get(); }
  [[nodiscard]] std::int64_t skipped() const { return skipped_; }

 private:
  Status open_side(const std::string& path, bool run, Side& side) {
    if (run) {
      LAYERSCOPE_ASSIGN(side.layers, open_run_layers(path, arguments_.request.layers, arguments_.allow_incomplete));
      return {};
    }
    LAYERSCOPE_ASSIGN(side.model, open_model(path, context_, true));
    if (arguments_.input.path.empty()) {
      return Error{ErrorCode::kUsage, path + ": a model needs rows to read: -i FILE"};
    }
    LAYERSCOPE_ASSIGN(std::unique_ptr<RowReader> rows, open_input(arguments_.input));
    const auto told = [this](const Error& error) {
      ++skipped_;
      context_.messages.skipped(error);
    };
    LAYERSCOPE_ASSIGN(side.layers, model_layers(*side.model, std::move(rows),
                                                {arguments_.request, arguments_.input.tokenize,
                                                 arguments_.input.skip_bad, told, all_cores(context_.common.threads)}));
    return {};
  }

  const SimilarityArguments& arguments_;
  Context& context_;
  Side a_, b_;
  std::int64_t skipped_ = 0;
};

}  // namespace

Result<int> run_similarity(const SimilarityArguments& arguments, Context& context) {
  LAYERSCOPE_TRY(check_page(arguments.html, arguments.overwrite));
  Sides sides(arguments, context);
  LAYERSCOPE_TRY(sides.open());
  LAYERSCOPE_ASSIGN(const SimilarityReport report, measure_similarity(sides.a(), sides.b(),
                                                                      {.vectors = arguments.vectors,
                                                                       .seed = arguments.request.seed,
                                                                       .threads = all_cores(context.common.threads)}));
  const SimilarityView view{arguments.a, arguments.b, arguments.request.seed, report};
  if (arguments.html.empty()) {
    context.out.write(context.common.json ? similarity_json(view) : similarity_picture(view, context.terminal));
  } else {
    LAYERSCOPE_TRY(write_page(arguments.html, similarity_page(view)));
    context.messages.note(
        fmt::format("{}: {} layers, {} vectors", arguments.html, report.layers.size(), count_text(report.vectors)));
  }
  if (report.unmatched > 0)
    context.messages.note(
        fmt::format("{} rows stand on one side only and were left out", count_text(report.unmatched)));
  return sides.skipped() > 0 ? 3 : 0;
}

}  // namespace layerscope::cli
