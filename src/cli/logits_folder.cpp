#include "base/try.h"
#include "cli/commands.h"
#include "job/logits_job.h"

namespace layerscope::cli {

Result<int> run_logits_folder(const Model& model, const LogitsArguments& arguments, Context& context) {
  StatesJobOptions options;
  options.run_folder = arguments.output;
  options.request.positions = arguments.positions;
  options.request.seed = arguments.seed;
  options.request.save_dtype = arguments.save_dtype;
  options.tokenize = arguments.input.tokenize;
  options.skip_bad = arguments.input.skip_bad;
  options.shard_bytes = arguments.shard_bytes;
  options.threads = context.common.threads;
  options.overwrite = arguments.overwrite;
  options.dry_run = arguments.dry_run;
  options.part = arguments.part;
  LAYERSCOPE_ASSIGN(options.edits, read_edits(arguments.edits, model.sites()));
  const auto run = [&](RowReader& rows, const StatesJobOptions& own, const JobHooks& hooks) {
    return run_logits_job(model, rows, own, arguments.top_k, hooks);
  };
  return run_folder_job({arguments.input, options, arguments.progress, run}, context);
}

}  // namespace layerscope::cli
