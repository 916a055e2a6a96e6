#include "cli/command_arguments.h"

#include <limits>

#include "base/try.h"
#include "cli/argument_groups.h"

namespace layerscope::cli {
namespace {

Result<std::size_t> top_k_of(const Words& words) {
  return integer<std::size_t>(Flag::kTopK, words.text(Flag::kTopK, "5"), 1, 1'000'000);
}

/// `lens MODEL --train RUN` reads no rows.
Result<InputArguments> lens_input(const Words& words, bool train, std::string& run) {
  if (!train || words.given(Flag::kInput)) return input_arguments(words);
  LAYERSCOPE_TRY(expect_positionals(words, 1, 2));
  if (words.positionals.size() < 2)
    return usage("--train: nothing to train on: give a run folder (lens MODEL --train RUN -o LENS), or -i FILE");
  run = words.positionals[1];
  return InputArguments();
}

Result<GenerationFlags> generation_flags(const Words& words) {
  GenerationFlags flags;
  for (const auto& [flag, into] : {std::pair{Flag::kTemperature, &flags.temperature},
                                   {Flag::kTopP, &flags.top_p},
                                   {Flag::kMinP, &flags.min_p},
                                   {Flag::kRepetitionPenalty, &flags.repetition_penalty}}) {
    if (!words.given(flag)) continue;
    LAYERSCOPE_ASSIGN(*into, real(flag, words.text(flag, "")));
  }
  if (words.given(Flag::kTopK)) {
    LAYERSCOPE_ASSIGN(flags.top_k, integer<std::int64_t>(Flag::kTopK, words.text(Flag::kTopK, ""), 0,
                                                         std::numeric_limits<std::int32_t>::max()));
  }
  flags.ignore_eos = words.on(Flag::kIgnoreEos);
  flags.stop_strings = words.list(Flag::kStop);
  for (const std::string& stop : flags.stop_strings) {
    if (stop.empty()) return usage("--stop: an empty text");
  }
  return flags;
}

}  // namespace

Result<LogitsArguments> logits_arguments(const Words& words, const CommonArguments& common,
                                         const Environment& environment) {
  LogitsArguments logits;
  LAYERSCOPE_ASSIGN(logits.input, input_arguments(words));
  LAYERSCOPE_TRY(expect_values(words, {Flag::kPositions, Flag::kOutput}));
  logits.model = words.positionals.front();
  logits.output = words.text(Flag::kOutput, "");
  logits.positions = words.text(Flag::kPositions, "all");
  LAYERSCOPE_ASSIGN(logits.seed, seed_argument(words));
  LAYERSCOPE_ASSIGN(logits.edits, edit_arguments(words));
  if (words.given(Flag::kTopK)) {
    LAYERSCOPE_ASSIGN(logits.top_k, top_k_of(words));
  }
  LAYERSCOPE_TRY(expect_folder(words, !logits.output.empty()));
  if (words.given(Flag::kSaveDtype) && logits.output.empty()) return usage("--save-dtype: only together with -o RUN");
  if (words.given(Flag::kSaveDtype) && logits.top_k)
    return usage("--save-dtype and --top-k: the best scores are stored as float32");
  if (words.given(Flag::kAll) && (common.json || !logits.output.empty()))
    return usage("--all: only for the picture, without -o and --json");
  logits.save_dtype = save_dtype(words);
  LAYERSCOPE_TRY(folder_arguments(words, environment, logits));
  logits.all = words.on(Flag::kAll);
  return logits;
}

Result<LensArguments> lens_arguments(const Words& words, const CommonArguments& common) {
  LensArguments lens;
  lens.train = words.on(Flag::kTrain);
  LAYERSCOPE_ASSIGN(lens.input, lens_input(words, lens.train, lens.run));
  LAYERSCOPE_TRY(expect_values(words, {Flag::kLayers, Flag::kPositions, Flag::kLens, Flag::kHtml, Flag::kOutput}));
  lens.model = words.positionals.front();
  if (lens.train != words.given(Flag::kOutput)) {
    return usage(lens.train ? "--train: -o LENS is missing (the file to write)"
                            : "--output: only together with --train (--html FILE writes a page)");
  }
  if (lens.train) {
    for (const Flag flag :
         {Flag::kLens, Flag::kHtml, Flag::kTopK, Flag::kPositions, Flag::kLayers, Flag::kAll, Flag::kEdits}) {
      if (words.given(flag)) return usage(fmt::format("{}: not together with --train", flag_row(flag).long_name));
    }
  } else if (words.on(Flag::kOverwrite) && !words.given(Flag::kHtml)) {
    return usage("--overwrite: only together with --train or --html");
  }
  if (common.json && words.given(Flag::kHtml)) return usage("--json and --html: only one of them can hold");
  if (words.on(Flag::kAll) && common.json) return usage("--all: only for the picture, without --json");
  lens.layers = words.text(Flag::kLayers, "all");
  lens.positions = words.text(Flag::kPositions, "all");
  LAYERSCOPE_ASSIGN(lens.seed, seed_argument(words));
  LAYERSCOPE_ASSIGN(lens.edits, edit_arguments(words));
  LAYERSCOPE_ASSIGN(lens.top_k, top_k_of(words));
  lens.lens = words.text(Flag::kLens, "");
  lens.html = words.text(Flag::kHtml, "");
  lens.all = words.on(Flag::kAll);
  lens.output = words.text(Flag::kOutput, "");
  lens.overwrite = words.on(Flag::kOverwrite);
  return lens;
}

Result<GenerateArguments> generate_arguments(const Words& words, const Environment& environment) {
  GenerateArguments generate;
  LAYERSCOPE_ASSIGN(generate.input, input_arguments(words));
  generate.model = words.positionals.front();
  generate.output = words.text(Flag::kOutput, "");
  if (words.given(Flag::kOutput) && generate.output.empty()) return usage("--output: an empty folder name");
  for (const Flag flag : {Flag::kLayers, Flag::kSites, Flag::kPositions, Flag::kPool, Flag::kMix, Flag::kSaveDtype,
                          Flag::kLastState, Flag::kShardSize, Flag::kShard, Flag::kOverwrite, Flag::kProgress}) {
    if (words.given(flag) && generate.output.empty())
      return usage(fmt::format("{}: only together with -o RUN", flag_row(flag).long_name));
  }
  LAYERSCOPE_ASSIGN(generate.request, tap_request(words));
  LAYERSCOPE_ASSIGN(generate.edits, edit_arguments(words));
  LAYERSCOPE_ASSIGN(generate.flags, generation_flags(words));
  if (words.given(Flag::kMaxNewTokens)) {
    LAYERSCOPE_ASSIGN(generate.max_new_tokens,
                      integer<std::int64_t>(Flag::kMaxNewTokens, words.text(Flag::kMaxNewTokens, ""), 1,
                                            std::numeric_limits<std::int32_t>::max()));
  }
  generate.last_state = words.on(Flag::kLastState);
  LAYERSCOPE_TRY(folder_arguments(words, environment, generate));
  return generate;
}

}  // namespace layerscope::cli
