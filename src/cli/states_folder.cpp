#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/signals.h"
#include "job/states_job.h"

namespace layerscope::cli {
namespace {

void append_sites(std::string& out, const std::vector<StoredSite>& sites) {
  out += ",\"sites\":[";
  for (const StoredSite& site : sites) {
    if (out.back() != '[') out += ',';
    append_json_string(out, site.name);
  }
  out += "]";
}

std::string summary_json(const std::string& run, const JobResult& result) {
  std::string out = "{\"run\":";
  append_json_string(out, run);
  const JobProgress& done = result.done;
  out += fmt::format(
      ",\"rows\":{},\"skipped\":{},\"tokens\":{},\"shards\":{},\"bytes_written\":{},\"seconds\":{:.3f},\"already_"
      "complete\":{}",
      done.rows, done.skipped, done.tokens, done.shards, done.bytes_written, done.seconds, result.already_complete);
  append_sites(out, result.sites);
  return out + "}\n";
}

std::string summary_text(const std::string& run, const JobResult& result) {
  const JobProgress& done = result.done;
  std::string text = fmt::format("{}: ", run);
  text += fmt::format("{} rows, {} tokens, {} in {} {}, {}", count_text(done.rows), count_text(done.tokens),
                      byte_text(done.bytes_written), count_text(done.shards), done.shards == 1 ? "shard" : "shards",
                      duration_text(done.seconds));
  if (done.skipped > 0) text += fmt::format("; {} rows skipped", count_text(done.skipped));
  return text;
}

std::string plan_json(const std::string& run, const JobResult& result) {
  std::string out = "{\"run\":";
  append_json_string(out, run);
  out += fmt::format(",\"dry_run\":true,\"rows\":{},\"tokens\":{},\"bytes\":{},\"free_bytes\":{},\"seconds\":{:.3f}",
                     result.estimated_rows, result.estimated_tokens, result.estimated_bytes, result.free_bytes,
                     result.estimated_seconds);
  append_sites(out, result.sites);
  return out + "}\n";
}

std::string_view unit_text(StoredUnit unit) {
  switch (unit) {
    case StoredUnit::kTokens: return "a token";
    case StoredUnit::kPooled: return "a row";
    case StoredUnit::kPicks: return "a picked token";
    case StoredUnit::kProbs: return "a query and head";
  }
  return "";
}

std::string plan_text(const std::string& run, const JobResult& result) {
  std::string out =
      fmt::format("{}: {} {} would be stored\n", run, result.sites.size(), result.sites.size() == 1 ? "site" : "sites");
  for (const StoredSite& site : result.sites) {
    const std::string width = site.unit == StoredUnit::kProbs ? "keys" : std::to_string(site.width);
    out += fmt::format("  {:<28} {} × {} {}\n", site.name, width, dtype_name(site.dtype), unit_text(site.unit));
  }
  return out + fmt::format("about {} rows, {} tokens, {} ({} free), {}\n", count_text(result.estimated_rows),
                           count_text(result.estimated_tokens), byte_text(result.estimated_bytes),
                           byte_text(result.free_bytes), duration_text(result.estimated_seconds));
}

StatesJobOptions job_options(const StatesArguments& arguments, const CommonArguments& common) {
  StatesJobOptions options;
  options.run_folder = arguments.output;
  options.request = arguments.request;
  options.tokenize = arguments.input.tokenize;
  options.skip_bad = arguments.input.skip_bad;
  options.shard_bytes = arguments.shard_bytes;
  options.threads = common.threads;
  options.overwrite = arguments.overwrite;
  options.dry_run = arguments.dry_run;
  options.part = arguments.part;
  return options;
}

}  // namespace

Result<int> run_states_folder(const Model& model, const StatesArguments& arguments, std::vector<Edit> edits,
                              Context& context) {
  const auto run = [&](RowReader& rows, const StatesJobOptions& options, const JobHooks& hooks) {
    return run_states_job(model, rows, options, hooks);
  };
  StatesJobOptions options = job_options(arguments, context.common);
  options.edits = std::move(edits);
  return run_folder_job({arguments.input, std::move(options), arguments.progress, run}, context);
}

Result<int> run_folder_job(const FolderJob& job, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> rows, open_input(job.input));
  ProgressReporter progress(job.progress, context.terminal.stderr_is_terminal, context.terminal.columns,
                            context.messages);
  JobHooks hooks;
  hooks.progress = [&](const JobProgress& now) { progress.report(now); };
  hooks.skipped = [&](const Error& error) { context.messages.skipped(error); };
  hooks.note = [&](const std::string& text) { context.messages.note(text); };
  hooks.stop = &stop_requested();
  Result<JobResult> result = job.run(*rows, job.options, hooks);
  progress.finish();
  if (!result) return std::move(result).error();
  const bool json = context.common.json;
  const std::string& folder = job.options.run_folder;
  if (job.options.dry_run) {
    context.out.write(json ? plan_json(folder, *result) : plan_text(folder, *result));
    return 0;
  }
  if (json) {
    context.out.write(summary_json(folder, *result));
  } else if (!result->already_complete) {
    context.messages.note(summary_text(folder, *result));
  }
  return result->done.skipped > 0 ? 3 : 0;
}

}  // namespace layerscope::cli
