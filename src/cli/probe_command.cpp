#include <filesystem>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "job/row_texts.h"
#include "layerscope/hub.h"
#include "probe/probe.h"
#include "session/workers.h"
#include "store/file_io.h"
#include "store/run_reader.h"
#include "view/probe_view.h"

namespace layerscope::cli {
namespace {

bool is_run(const std::string& path) { return is_folder(path) && run_parts(path).ok(); }

class Probe {
 public:
  Probe(const ProbeArguments& arguments, Context& context) : arguments_(arguments), context_(context) {
    std::error_code ignored;
    options_.folder = std::filesystem::temp_directory_path(ignored).string();
    if (options_.folder.empty()) options_.folder = ".";
    options_.layers = arguments.layers;
    options_.sites = arguments.sites;
    options_.pool = arguments.pool;
    options_.word = arguments.word;
    options_.kind = arguments.kind;
    options_.threads = all_cores(context.common.threads);
  }

  Result<int> run() {
    LAYERSCOPE_TRY(check_page(arguments_.html, arguments_.overwrite));
    LAYERSCOPE_ASSIGN(const LabelFile labels, LabelFile::read(arguments_.labels, arguments_.label_key));
    LAYERSCOPE_TRY(check_pool(options_, labels));
    LAYERSCOPE_ASSIGN(const Gathered gathered,
                      is_run(arguments_.source) ? stored_states(labels) : states_of_model(labels));
    LAYERSCOPE_ASSIGN(const ProbeReport report, probe_layers(gathered, arguments_.labels, settings()));
    const ProbeView view{report, arguments_.source, arguments_.folds, arguments_.seed};
    if (arguments_.html.empty()) {
      context_.out.write(context_.common.json ? probe_json(view) : probe_picture(view, context_.terminal));
    } else {
      LAYERSCOPE_TRY(write_page(arguments_.html, probe_page(view)));
      context_.messages.note(
          fmt::format("{}: {} layers, {}", arguments_.html, report.layers.size(), probe_summary(view)));
    }
    tell(report);
    return skipped_ > 0 ? 3 : 0;
  }

 private:
  ProbeSettings settings() {
    ProbeSettings settings;
    settings.metric = arguments_.metric;
    settings.mix = arguments_.mix;
    settings.options.folds = arguments_.folds;
    settings.options.seed = arguments_.seed;
    settings.options.control = arguments_.control;
    settings.options.description_length = arguments_.description_length;
    settings.options.threads = options_.threads;
    settings.options.isa = context_.common.isa;
    return settings;
  }

  Result<Gathered> states_of_model(const LabelFile& labels) {
    for (const auto& [name, given] : {std::pair{"--texts", !arguments_.texts.empty()},
                                      {"--model", !arguments_.model.empty()},
                                      {"--allow-incomplete", arguments_.allow_incomplete}}) {
      if (given)
        return Error{ErrorCode::kUsage,
                     fmt::format("{}: only for a run folder, which {} is not", name, arguments_.source)};
    }
    LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments_.source, context_, true));
    InputArguments input = arguments_.input;
    if (input.path.empty() && input.texts.empty()) input.path = arguments_.labels;
    LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> rows, open_input(input));
    const auto skipped = [&](const Error& error) {
      ++skipped_;
      context_.messages.skipped(error);
    };
    return gather_from_model(*model, *rows, {input.tokenize, input.skip_bad, skipped}, labels, options_);
  }

  Result<Gathered> stored_states(const LabelFile& labels) {
    if (!arguments_.input.path.empty() || !arguments_.input.texts.empty()) {
      return Error{
          ErrorCode::kUsage,
          arguments_.source + ": is a run folder, whose states are there already (--texts FILE names its texts)"};
    }
    if (arguments_.texts.empty())
      return gather_from_run(arguments_.source, arguments_.allow_incomplete, {}, labels, options_);
    LAYERSCOPE_ASSIGN(const RunView run, open_run(arguments_.source, arguments_.allow_incomplete));
    const Manifest& manifest = run.parts.front().manifest;
    LAYERSCOPE_TRY(check_texts(arguments_.texts, manifest, arguments_.source));
    LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model,
                      open_model(arguments_.model.empty() ? manifest.model_path : arguments_.model, context_, false));
    LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> rows, open_rows(arguments_.texts, false));
    return gather_from_run(arguments_.source, arguments_.allow_incomplete, {model.get(), rows.get()}, labels, options_);
  }

  void tell(const ProbeReport& report) {
    if (report.without_token > 0) {
      context_.messages.note(fmt::format(
          "{}: {} labels left out, whose words have no token of their own (cut off, or one token with their neighbour)",
          arguments_.labels, count_text(report.without_token)));
    }
    if (report.unmatched > 0) {
      context_.messages.note(
          fmt::format("{}: {} labelled rows are not in the input", arguments_.labels, count_text(report.unmatched)));
    }
    std::int64_t unconverged = 0;
    for (const SiteProbe& layer : report.layers) unconverged += layer.probe.unconverged;
    if (unconverged > 0) {
      context_.messages.note(
          fmt::format("{}: {} fits stopped before they had converged", arguments_.labels, count_text(unconverged)));
    }
  }

  const ProbeArguments& arguments_;
  Context& context_;
  GatherOptions options_;
  std::int64_t skipped_ = 0;
};

}  // namespace

Result<int> run_probe(const ProbeArguments& arguments, Context& context) { return Probe(arguments, context).run(); }

}  // namespace layerscope::cli
