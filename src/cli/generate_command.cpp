#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "cli/signals.h"
#include "job/generate_job.h"
#include "session/workers.h"
#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

/// Text of a model as it is in a file; on a terminal without power over it, lines and tabs kept.
std::string shown_text(std::string_view text, const Terminal& terminal) {
  if (!terminal.stdout_is_terminal) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    out += visible(text.substr(0, end));
    if (end < text.size()) out += text[end];
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string row_json(const WrittenRow& row, bool has_text) {
  const GeneratedRow& made = row.made;
  std::string out = fmt::format("{{\"row\":{},\"id\":{},\"prompt_ids\":", made.number, row.id.value_or("null"));
  append_numbers_json(out, made.prompt.main.ids);
  if (made.prompt.decoder) {
    out += ",\"decoder_ids\":";
    append_numbers_json(out, made.prompt.decoder->ids);
  }
  out += ",\"output_ids\":";
  append_numbers_json(out, made.output_ids);
  out += ",\"text\":";
  has_text ? append_json_string(out, made.text) : void(out += "null");
  return out + fmt::format(",\"finish\":\"{}\"}}\n", made.stopped ? "stop" : "length");
}

/// What stands for a row's text in a folder without a tokenizer.
std::string ids_text(const GeneratedRow& made) { return fmt::format("{}", fmt::join(made.output_ids, " ")); }

std::string plan_json(const GenerateRows::Plan& plan) {
  return fmt::format(
      "{{\"dry_run\":true,\"rows\":{},\"whole_input\":{},\"tokens\":{},\"cache\":{{\"token_bytes\":{},"
      "\"source_token_bytes\":{},\"rows_at_once\":{},\"bytes\":{}}}}}\n",
      plan.rows, plan.whole_input, plan.tokens, plan.cache_token, plan.cache_source_token, plan.rows_at_once,
      plan.cache_bytes);
}

class Generate {
 public:
  Generate(const GenerateArguments& arguments, Context& context) : arguments_(arguments), context_(context) {}

  Result<int> run() {
    LAYERSCOPE_ASSIGN(model_, open_model(arguments_.model, context_, true));
    LAYERSCOPE_ASSIGN(GenerationConfig config,
                      read_generation_config(model_->info().path, model_->info().vocabulary_size));
    LAYERSCOPE_ASSIGN(options_.config, with_flags(std::move(config), arguments_.flags));
    options_.max_new_tokens = arguments_.max_new_tokens;
    options_.max_length = arguments_.input.tokenize.max_length;
    options_.seed = arguments_.request.seed;
    options_.last_state = arguments_.last_state;
    const GenerationFlags& flags = arguments_.flags;
    if (options_.config.temperature == 0 && (flags.top_k || flags.top_p || flags.min_p))
      context_.messages.note(
          "at temperature 0 the most likely token is taken: --top-k, --top-p and --min-p do nothing");
    LAYERSCOPE_ASSIGN(edits_, read_edits(arguments_.edits, model_->sites()));
    return arguments_.output.empty() ? print() : store();
  }

 private:
  Result<int> store() {
    GenerateJobOptions options{.job = {}, .generation = options_, .planned = {}};
    options.job.run_folder = arguments_.output;
    options.job.request = arguments_.request;
    options.job.edits = edits_;
    options.job.tokenize = arguments_.input.tokenize;
    options.job.skip_bad = arguments_.input.skip_bad;
    options.job.shard_bytes = arguments_.shard_bytes;
    options.job.threads = context_.common.threads;
    options.job.overwrite = arguments_.overwrite;
    options.job.dry_run = arguments_.dry_run;
    options.job.part = arguments_.part;
    options.planned = [&](const GenerateRows::Plan& plan) { context_.messages.note(GenerateRows::plan_text(plan)); };
    const auto run = [&](RowReader& rows, const StatesJobOptions&, const JobHooks& hooks) {
      return run_generate_job(*model_, rows, options, hooks);
    };
    return run_folder_job({arguments_.input, options.job, arguments_.progress, run}, context_);
  }

  Result<int> print() {
    LAYERSCOPE_ASSIGN(const EditPlan edits, EditPlan::compile(model_->sites(), edits_));
    options_.edits = edits.empty() ? nullptr : &edits;
    options_.threads = all_cores(context_.common.threads);
    LAYERSCOPE_ASSIGN(const std::unique_ptr<Generator> generator, Generator::create(*model_, options_));
    LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_input(arguments_.input));
    JobHooks hooks;
    hooks.skipped = [&](const Error& error) { context_.messages.skipped(error); };
    hooks.note = [&](const std::string& text) { context_.messages.note(text); };
    GenerateRows rows(
        *generator, *reader,
        {.tokenize = arguments_.input.tokenize, .skip_bad = arguments_.input.skip_bad, .part = {}, .cache_bytes = {}},
        hooks);
    if (arguments_.dry_run) {
      LAYERSCOPE_TRY(rows.read_ahead());
      const GenerateRows::Plan plan = rows.plan();
      context_.out.write(context_.common.json ? plan_json(plan) : GenerateRows::plan_text(plan) + "\n");
      return 0;
    }
    // One prompt is shown as it is written; of several, each when it and those before it are done.
    streams_ = !context_.common.json && arguments_.input.texts.size() == 1 && model_->info().has_tokenizer;
    Generator::Told told;
    if (streams_) {
      told = [&](std::uint64_t, std::string_view piece) {
        context_.out.write(shown_text(piece, context_.terminal));
        context_.out.flush();
      };
    }
    LAYERSCOPE_TRY(rows.run([&](const WrittenRow& row) -> Result<bool> { return show(row); }, told));
    return rows.skipped() > 0 ? 3 : 0;
  }

  bool show(const WrittenRow& row) {
    const bool has_text = model_->info().has_tokenizer;
    if (context_.common.json) {
      context_.out.write(row_json(row, has_text));
    } else if (streams_) {
      context_.out.write("\n");
    } else {
      const std::string head = fmt::format("row {}{}", row.made.number, row.id ? " " + visible(*row.id) : "");
      const std::string text = has_text ? shown_text(row.made.text, context_.terminal) : ids_text(row.made);
      context_.out.write(fmt::format("{}\n{}\n\n", dim(head, context_.terminal.color), text));
    }
    context_.out.flush();
    return !context_.out.closed();
  }

  const GenerateArguments& arguments_;
  Context& context_;
  std::unique_ptr<Model> model_;
  GenerationOptions options_;
  std::vector<Edit> edits_;
  bool streams_ = false;
};

}  // namespace

Result<int> run_generate(const GenerateArguments& arguments, Context& context) {
  return Generate(arguments, context).run();
}

}  // namespace layerscope::cli
