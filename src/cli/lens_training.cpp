#include "job/lens_training.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "session/workers.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

std::string training_json(const std::string& path, const LensTraining& trained) {
  std::string out = "{\"lens\":";
  append_json_string(out, path);
  out += fmt::format(",\"rows\":{},\"tokens\":{},\"layers\":[", trained.rows, trained.tokens);
  for (const LensLayerFit& layer : trained.layers) {
    if (out.back() != '[') out += ',';
    out += "{\"site\":";
    append_json_string(out, layer.site);
    out += ",\"before\":";
    append_json_number(out, layer.before);
    out += ",\"after\":";
    append_json_number(out, layer.after);
    out += '}';
  }
  return out + "]}\n";
}

std::string training_text(const LensTraining& trained, std::size_t columns) {
  std::string out = clipped("squared distance to the last block's stream, as a share of its length", columns) + "\n";
  out += fmt::format("  {:<24}{:>10}{:>10}\n", "layer", "as it is", "mapped");
  for (const LensLayerFit& layer : trained.layers)
    out += fmt::format("  {:<24}{:>10.4f}{:>10.4f}\n", layer.site, layer.before, layer.after);
  return out;
}

}  // namespace

Result<int> run_lens_training(const Model& model, const LensArguments& arguments, Context& context) {
  const int threads = all_cores(context.common.threads);
  std::int64_t skipped = 0;
  std::unique_ptr<StreamSource> source;
  if (arguments.run.empty()) {
    const auto open = [&] { return open_input(arguments.input); };
    const auto told = [&](const Error& error) {
      ++skipped;
      context.messages.skipped(error);
    };
    source = text_streams(model, open, {arguments.input.tokenize, arguments.input.skip_bad, told, threads});
  } else {
    LAYERSCOPE_ASSIGN(source, run_streams(model, arguments.run));
  }
  LAYERSCOPE_ASSIGN(const LensTraining trained, train_lens(model, *source, arguments.output, threads));
  context.out.write(context.common.json ? training_json(arguments.output, trained)
                                        : training_text(trained, context.terminal.columns));
  context.messages.note(fmt::format("{}: {} layers from {} tokens of {} rows", arguments.output, trained.layers.size(),
                                    count_text(trained.tokens), count_text(trained.rows)));
  return skipped > 0 ? 3 : 0;
}

}  // namespace layerscope::cli
