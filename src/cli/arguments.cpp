#include "cli/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/try.h"
#include "cli/suggest.h"

namespace layerscope::cli {
namespace {

Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

/// Words and flags of one command line, before they mean anything.
struct Words {
  Command command = Command::kInspect;
  std::array<std::optional<std::string>, kFlagCount> values;
  std::array<std::vector<std::string>, kFlagCount> lists;  // of flags that may be repeated
  std::array<bool, kFlagCount> switches{};
  std::vector<std::string> positionals;

  [[nodiscard]] bool given(Flag flag) const {
    return on(flag) || values[static_cast<std::size_t>(flag)].has_value() || !list(flag).empty();
  }
  [[nodiscard]] const std::vector<std::string>& list(Flag flag) const { return lists[static_cast<std::size_t>(flag)]; }
  [[nodiscard]] bool on(Flag flag) const { return switches[static_cast<std::size_t>(flag)]; }
  [[nodiscard]] std::string text(Flag flag, std::string_view fallback) const {
    return values[static_cast<std::size_t>(flag)].value_or(std::string(fallback));
  }
};

std::vector<std::string_view> flag_names(Command command) {
  std::vector<std::string_view> names;
  for (const FlagRow& row : flag_table()) {
    if (row.takes(command)) names.push_back(row.long_name);
  }
  return names;
}

Error unknown_flag(std::string_view word, Command command) {
  const std::string_view name = word.substr(0, word.find('='));
  const std::string_view command_name = command_row(command).name;
  const std::string hint = suggestion(name, flag_names(command));
  for (const FlagRow& row : flag_table()) {
    if (!row.takes(command) && (name == row.long_name || name == row.short_name)) {
      return usage(fmt::format("{}: not a flag of {}{}", name, command_name, hint));
    }
  }
  if (!hint.empty()) return usage(fmt::format("{}: unknown flag{}", name, hint));
  return usage(fmt::format("{}: unknown flag (see layerscope {} --help; a text that begins with - goes after --)", name,
                           command_name));
}

/// Positional words are what CLI11 leaves over: its own positionals would split a text such as "[a,b]".
Result<Words> split_words(Command command, std::span<const std::string> arguments) {
  Words words;
  words.command = command;
  const auto separator = std::ranges::find(arguments, "--");
  const std::size_t before = static_cast<std::size_t>(separator - arguments.begin());

  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const FlagRow& row : flag_table()) {
    if (!row.takes(command)) continue;
    const std::size_t index = static_cast<std::size_t>(row.flag);
    const std::string names =
        row.short_name.empty() ? std::string(row.long_name) : fmt::format("{},{}", row.short_name, row.long_name);
    if (row.argument.empty()) {
      app.add_flag(names, words.switches[index]);
    } else if (row.repeats) {
      app.add_option(names, words.lists[index])->type_name(std::string(row.argument))->allow_extra_args(false);
    } else {
      app.add_option(names, words.values[index])->type_name(std::string(row.argument));
    }
  }
  try {
    std::vector<std::string> reversed(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(before));
    std::ranges::reverse(reversed);
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch&) {
    for (const FlagRow& row : flag_table()) {
      if (!row.takes(command) || row.argument.empty()) continue;
      const std::size_t times = app.get_option(std::string(row.long_name))->count();
      if (times > 1) return usage(fmt::format("{}: given {} times", row.long_name, times));
    }
    return usage(fmt::format("{}: {} is missing", arguments[before - 1], "its value"));
  } catch (const CLI::ParseError& error) {
    return usage(error.what());
  }
  for (std::string& word : words.positionals = app.remaining()) {
    if (word.size() > 1 && word.front() == '-') return unknown_flag(word, command);
  }
  if (before < arguments.size()) {
    words.positionals.insert(words.positionals.end(), arguments.begin() + static_cast<std::ptrdiff_t>(before) + 1,
                             arguments.end());
  }
  return words;
}

Status check_choices(const Words& words) {
  for (const FlagRow& row : flag_table()) {
    const std::optional<std::string>& value = words.values[static_cast<std::size_t>(row.flag)];
    if (!value || row.choices.empty()) continue;
    const std::vector<std::string_view> choices = split_choices(row.choices);
    if (std::ranges::find(choices, std::string_view(*value)) == choices.end()) {
      return usage(fmt::format("{} {}: not one of {}{}", row.long_name, *value, fmt::join(choices, ", "),
                               suggestion(*value, choices)));
    }
  }
  return {};
}

template <class Integer>
Result<Integer> integer(Flag flag, std::string_view text, Integer least, Integer most) {
  Integer value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return usage(
        fmt::format("{} {}: expected a whole number from {} to {}", flag_row(flag).long_name, text, least, most));
  }
  return value;
}

Result<CommonArguments> common_arguments(const Words& words, const Environment& environment) {
  CommonArguments common;
  common.json = words.on(Flag::kJson);
  common.quiet = words.on(Flag::kQuiet);
  common.color = words.on(Flag::kColor);
  common.no_color = words.on(Flag::kNoColor);
  common.dtype = words.text(Flag::kDtype, "f32");
  common.device = words.text(Flag::kDevice, "cpu");
  if (common.color && common.no_color) return usage("--color and --no-color: only one of them can hold");
  if (common.device != "cpu")
    return usage(fmt::format("--device {}: not built into this program (built: cpu)", common.device));
  if (words.given(Flag::kThreads)) {
    LAYERSCOPE_ASSIGN(common.threads, integer<int>(Flag::kThreads, words.text(Flag::kThreads, ""), 1, 4096));
  }
  const char* const isa = environment("LAYERSCOPE_ISA");
  common.isa = words.text(Flag::kIsa, isa == nullptr ? "" : isa);
  return common;
}

Status expect_positionals(const Words& words, std::size_t least, std::size_t most) {
  const CommandRow& row = command_row(words.command);
  if (words.positionals.size() < least) {
    return usage(fmt::format("{}: {} is missing (usage: layerscope {} {})", row.name,
                             row.positionals.substr(0, row.positionals.find(' ')), row.name, row.positionals));
  }
  if (words.positionals.size() > most) {
    return usage(fmt::format("{}: one argument too many, '{}' (usage: layerscope {} {})", row.name,
                             words.positionals[most], row.name, row.positionals));
  }
  return {};
}

Result<std::array<std::int32_t, 3>> chat_date(std::string_view text) {
  std::array<std::int32_t, 3> date{};
  std::array<std::size_t, 4> cuts = {0, 5, 8, 11};
  bool good = text.size() == 10 && text[4] == '-' && text[7] == '-';
  for (std::size_t i = 0; good && i < 3; ++i) {
    const char* const end = text.data() + cuts[i + 1] - 1;
    const auto [at, code] = std::from_chars(text.data() + cuts[i], end, date[i]);
    good = code == std::errc() && at == end && date[i] > 0;
  }
  if (!good || date[1] > 12 || date[2] > 31)
    return usage(fmt::format("--chat-date {}: expected a date such as 2024-07-26", text));
  return date;
}

Status chat_arguments(const Words& words, InputArguments& input) {
  if (!words.on(Flag::kChat)) {
    for (const Flag flag : {Flag::kSystem, Flag::kChatTemplate, Flag::kChatDate}) {
      if (words.given(flag)) return usage(fmt::format("{}: only together with --chat", flag_row(flag).long_name));
    }
    return {};
  }
  ChatSettings& chat = input.chat.emplace();
  if (words.given(Flag::kSystem)) chat.system = words.text(Flag::kSystem, "");
  chat.options.name = words.text(Flag::kChatTemplate, "");
  if (words.given(Flag::kChatDate)) {
    LAYERSCOPE_ASSIGN(chat.options.date, chat_date(words.text(Flag::kChatDate, "")));
  }
  input.model = words.positionals.front();
  input.tokenize.add_special_tokens = false;  // the template has written them
  return {};
}

Result<InputArguments> input_arguments(const Words& words) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, std::numeric_limits<std::size_t>::max()));
  InputArguments input;
  input.path = words.text(Flag::kInput, "");
  input.texts.assign(words.positionals.begin() + 1, words.positionals.end());
  input.json_lines = words.text(Flag::kInputFormat, "text") == "jsonl";
  input.skip_bad = words.text(Flag::kOnBad, "stop") == "skip";
  input.tokenize.add_special_tokens = !words.on(Flag::kNoSpecialTokens);
  input.tokenize.truncate =
      words.text(Flag::kOnLong, words.command == Command::kEmbed ? "truncate" : "error") == "truncate";
  if (words.given(Flag::kMaxLength)) {
    LAYERSCOPE_ASSIGN(input.tokenize.max_length,
                      integer<std::int64_t>(Flag::kMaxLength, words.text(Flag::kMaxLength, ""), 1,
                                            std::numeric_limits<std::int32_t>::max()));
  }
  LAYERSCOPE_TRY(chat_arguments(words, input));
  if (words.given(Flag::kInput) && input.path.empty()) return usage("--input: an empty file name");
  if (!input.path.empty() && !input.texts.empty())
    return usage("--input and TEXT arguments: only one of them can hold");
  if (input.path.empty() && input.texts.empty()) return usage("nothing to read: give a TEXT, or -i FILE (- for stdin)");
  if (words.given(Flag::kInputFormat) && input.path != "-")
    return usage("--input-format: only for -i - (a file says it by its name)");
  return input;
}

ProgressMode progress_mode(const Words& words) {
  const std::string progress = words.text(Flag::kProgress, "auto");
  return progress == "bar"    ? ProgressMode::kBar
         : progress == "json" ? ProgressMode::kJson
         : progress == "none" ? ProgressMode::kNone
                              : ProgressMode::kAuto;
}

// What a run folder can be asked for, by either command that makes one.
template <class Arguments>
Status folder_arguments(const Words& words, const Environment& environment, Arguments& arguments) {
  if (words.given(Flag::kShardSize)) {
    const std::string text = words.text(Flag::kShardSize, "");
    const std::optional<std::uint64_t> size = parse_size(text);
    if (!size) return usage(fmt::format("--shard-size {}: expected a size such as 256MiB, 8MB or 1000000", text));
    arguments.shard_bytes = *size;
  }
  if (words.given(Flag::kShard)) {
    LAYERSCOPE_ASSIGN(arguments.part, parse_shard(words.text(Flag::kShard, ""), environment));
  }
  arguments.overwrite = words.on(Flag::kOverwrite);
  arguments.dry_run = words.on(Flag::kDryRun);
  arguments.progress = progress_mode(words);
  return {};
}

// The edits of every command that takes them.
Result<EditArguments> edit_arguments(const Words& words) {
  if (words.given(Flag::kEdits) && words.text(Flag::kEdits, "").empty()) return usage("--edits: an empty file name");
  return EditArguments{words.list(Flag::kEdit), words.text(Flag::kEdits, "")};
}

/// Flags that only mean something together with a run folder.
Status expect_folder(const Words& words, bool folder) {
  for (const Flag flag : {Flag::kShardSize, Flag::kShard, Flag::kOverwrite, Flag::kDryRun, Flag::kProgress}) {
    if (words.given(flag) && !folder)
      return usage(fmt::format("{}: only together with -o RUN", flag_row(flag).long_name));
  }
  return {};
}

Status expect_values(const Words& words, std::initializer_list<Flag> flags) {
  for (const Flag flag : flags) {
    if (words.given(flag) && words.text(flag, "").empty())
      return usage(fmt::format("{}: an empty value", flag_row(flag).long_name));
  }
  return {};
}

DType save_dtype(const Words& words) {
  const std::string name = words.text(Flag::kSaveDtype, "f32");
  return name == "f16" ? DType::kF16 : name == "bf16" ? DType::kBF16 : DType::kF32;
}

Result<std::uint64_t> seed_argument(const Words& words) {
  return integer<std::uint64_t>(Flag::kSeed, words.text(Flag::kSeed, "0"), 0,
                                std::numeric_limits<std::uint64_t>::max());
}

/// --normalize, --no-normalize, or neither.
Result<std::optional<bool>> normalize_argument(const Words& words) {
  if (words.on(Flag::kNormalize) && words.on(Flag::kNoNormalize))
    return usage("--normalize and --no-normalize: only one of them can hold");
  if (words.on(Flag::kNormalize)) return std::optional(true);
  return words.on(Flag::kNoNormalize) ? std::optional(false) : std::nullopt;
}

// What to observe, of every command that can.
Result<TapRequest> tap_request(const Words& words) {
  TapRequest request;
  request.layers = words.text(Flag::kLayers, "");
  request.sites = words.text(Flag::kSites, "");
  request.positions = words.text(Flag::kPositions, "all");
  request.mix = words.text(Flag::kMix, "");
  LAYERSCOPE_TRY(expect_values(words, {Flag::kLayers, Flag::kSites, Flag::kPositions, Flag::kMix}));
  request.pool = pooling_from_name(words.text(Flag::kPool, "none")).value_or(Pooling::kNone);
  request.save_dtype = save_dtype(words);
  LAYERSCOPE_ASSIGN(request.seed, seed_argument(words));
  return request;
}

Result<StatesArguments> states_arguments(const Words& words, const CommonArguments& common,
                                         const Environment& environment) {
  StatesArguments states;
  LAYERSCOPE_ASSIGN(states.input, input_arguments(words));
  states.model = words.positionals.front();
  states.output = words.text(Flag::kOutput, "");
  if (words.given(Flag::kOutput) && states.output.empty()) return usage("--output: an empty folder name");
  LAYERSCOPE_TRY(expect_folder(words, !states.output.empty()));
  for (const Flag flag : {Flag::kMeasure, Flag::kAll}) {
    if (words.given(flag) && (common.json || !states.output.empty())) {
      return usage(fmt::format("{}: only for the picture, without -o and --json", flag_row(flag).long_name));
    }
  }
  LAYERSCOPE_ASSIGN(states.request, tap_request(words));
  LAYERSCOPE_ASSIGN(states.edits, edit_arguments(words));
  LAYERSCOPE_TRY(folder_arguments(words, environment, states));
  states.all = words.on(Flag::kAll);
  const std::string measure = words.text(Flag::kMeasure, "norm");
  states.measure = measure == "step" ? Measure::kStep : measure == "drift" ? Measure::kDrift : Measure::kNorm;
  return states;
}

Status vector_arguments(const Words& words, EmbedOptions& options) {
  const auto given = [&](Flag flag) -> std::optional<std::string> {
    return words.given(flag) ? std::optional(words.text(flag, "")) : std::nullopt;
  };
  options.prompt = given(Flag::kPrompt);
  options.prompt_name = given(Flag::kPromptName);
  if (words.given(Flag::kVectors)) options.kind = vector_kind_from_name(words.text(Flag::kVectors, ""));
  if (words.given(Flag::kTask))
    options.task = words.text(Flag::kTask, "") == "query" ? TextTask::kQuery : TextTask::kDocument;
  options.layers = words.text(Flag::kLayer, "");
  options.mix = words.text(Flag::kMix, "");
  for (const Flag flag : {Flag::kLayer, Flag::kMix}) {
    if (words.given(flag) && words.text(flag, "").empty())
      return usage(fmt::format("{}: an empty value", flag_row(flag).long_name));
  }
  if (words.given(Flag::kPool)) options.pool = pooling_from_name(words.text(Flag::kPool, ""));
  if (words.given(Flag::kTruncateDim)) {
    LAYERSCOPE_ASSIGN(options.truncate_dim,
                      integer<std::int64_t>(Flag::kTruncateDim, words.text(Flag::kTruncateDim, ""), 1,
                                            std::numeric_limits<std::int32_t>::max()));
  }
  LAYERSCOPE_ASSIGN(options.normalize, normalize_argument(words));
  return {};
}

Result<EmbedArguments> embed_arguments(const Words& words, const Environment& environment) {
  EmbedArguments embed;
  LAYERSCOPE_ASSIGN(embed.input, input_arguments(words));
  embed.model = words.positionals.front();
  embed.output = words.text(Flag::kOutput, "");
  if (words.given(Flag::kOutput) && embed.output.empty()) return usage("--output: an empty name");
  LAYERSCOPE_TRY(vector_arguments(words, embed.options));
  embed.options.tokenize = embed.input.tokenize;
  const bool folder = !embed.output.empty() && !embed.npy();
  for (const Flag flag : {Flag::kShardSize, Flag::kShard, Flag::kDryRun}) {
    if (words.given(flag) && !folder)
      return usage(fmt::format("{}: only together with -o RUN", flag_row(flag).long_name));
  }
  for (const Flag flag : {Flag::kOverwrite, Flag::kProgress}) {
    if (words.given(flag) && embed.output.empty())
      return usage(fmt::format("{}: only together with -o", flag_row(flag).long_name));
  }
  LAYERSCOPE_TRY(folder_arguments(words, environment, embed));
  const std::vector<std::string_view> precisions = split_choices(flag_row(Flag::kPrecision).choices);
  const std::string precision = words.text(Flag::kPrecision, "float32");
  embed.precision =
      static_cast<VectorPrecision>(std::ranges::find(precisions, std::string_view(precision)) - precisions.begin());
  if (embed.precision != VectorPrecision::kFloat32 && !embed.npy())
    return usage(fmt::format("--precision {}: only together with -o FILE.npy", precision));
  return embed;
}

Result<SearchArguments> search_arguments(const Words& words, const CommonArguments& common) {
  SearchArguments search;
  LAYERSCOPE_ASSIGN(search.queries, input_arguments(words));
  search.corpus = words.positionals.front();
  const auto given = [&](Flag flag) -> std::optional<std::string> {
    return words.given(flag) ? std::optional(words.text(flag, "")) : std::nullopt;
  };
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  LAYERSCOPE_ASSIGN(search.top_k, integer<std::int64_t>(Flag::kTopK, words.text(Flag::kTopK, "10"), 1, kMost));
  LAYERSCOPE_ASSIGN(search.oversample,
                    integer<std::int64_t>(Flag::kOversample, words.text(Flag::kOversample, "2"), 1, 1'000'000));
  if (const auto metric = given(Flag::kMetric)) search.metric = metric_from_name(*metric);
  for (const auto& [flag, into] :
       {std::pair(Flag::kSite, &search.site), std::pair(Flag::kModel, &search.model),
        std::pair(Flag::kTexts, &search.texts), std::pair(Flag::kRescore, &search.rescore)}) {
    *into = words.text(flag, "");
    if (words.given(flag) && into->empty()) return usage(fmt::format("{}: an empty value", flag_row(flag).long_name));
  }
  search.prompt = given(Flag::kPrompt);
  search.prompt_name = given(Flag::kPromptName);
  if (words.given(Flag::kDtype)) search.dtype = common.dtype;
  search.allow_incomplete = words.on(Flag::kAllowIncomplete);
  return search;
}

Result<ClusterArguments> cluster_arguments(const Words& words) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  ClusterArguments arguments;
  arguments.run = words.positionals.front();
  if (!words.given(Flag::kClusters)) return usage("cluster: -k is missing (how many clusters)");
  for (const auto& [flag, value, least] : {std::tuple(Flag::kClusters, &arguments.k, std::size_t{1}),
                                           std::tuple(Flag::kMaxIterations, &arguments.max_iterations, std::size_t{1}),
                                           std::tuple(Flag::kNearest, &arguments.nearest, std::size_t{0})}) {
    if (!words.given(flag)) continue;
    LAYERSCOPE_ASSIGN(*value, integer<std::size_t>(flag, words.text(flag, ""), least, kMost));
  }
  LAYERSCOPE_ASSIGN(arguments.seed, seed_argument(words));
  LAYERSCOPE_ASSIGN(arguments.normalize, normalize_argument(words));
  for (const auto& [flag, value] : {std::pair(Flag::kSite, &arguments.site), std::pair(Flag::kTexts, &arguments.texts),
                                    std::pair(Flag::kOutput, &arguments.output)}) {
    *value = words.text(flag, "");
    if (words.given(flag) && value->empty()) return usage(fmt::format("{}: an empty name", flag_row(flag).long_name));
  }
  if (!arguments.output.empty() && !arguments.output.ends_with(".npy") && !arguments.output.ends_with(".jsonl"))
    return usage(fmt::format("-o {}: labels go to FILE.npy or FILE.jsonl", arguments.output));
  arguments.overwrite = words.on(Flag::kOverwrite);
  if (arguments.overwrite && arguments.output.empty()) return usage("--overwrite: only together with -o");
  arguments.allow_incomplete = words.on(Flag::kAllowIncomplete);
  return arguments;
}

Result<std::size_t> top_k_of(const Words& words) {
  return integer<std::size_t>(Flag::kTopK, words.text(Flag::kTopK, "5"), 1, 1'000'000);
}

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

/// `lens MODEL --train RUN` reads no rows.
Result<InputArguments> lens_input(const Words& words, bool train, std::string& run) {
  if (!train || words.given(Flag::kInput)) return input_arguments(words);
  LAYERSCOPE_TRY(expect_positionals(words, 1, 2));
  if (words.positionals.size() < 2)
    return usage("--train: nothing to train on: give a run folder (lens MODEL --train RUN -o LENS), or -i FILE");
  run = words.positionals[1];
  return InputArguments();
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

Result<double> real(Flag flag, const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return usage(fmt::format("{} {}: expected a number", flag_row(flag).long_name, text));
  return value;
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

Result<ExportArguments> export_arguments(const Words& words) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
  ExportArguments arguments;
  arguments.run = words.positionals.front();
  arguments.target = words.text(Flag::kOutput, "");
  const std::string format = words.text(Flag::kTo, "");
  if (format.empty()) return usage("export: --to is missing (npy, npz, safetensors or fvecs)");
  if (arguments.target.empty()) return usage("export: -o is missing (the file or folder to write)");
  arguments.format = format == "npy"     ? ExportFormat::kNpy
                     : format == "npz"   ? ExportFormat::kNpz
                     : format == "fvecs" ? ExportFormat::kFvecs
                                         : ExportFormat::kSafetensors;
  arguments.site = words.text(Flag::kSite, "");
  if (words.given(Flag::kSite) && format != "fvecs") return usage("--site: only with --to fvecs");
  arguments.overwrite = words.on(Flag::kOverwrite);
  arguments.allow_incomplete = words.on(Flag::kAllowIncomplete);
  return arguments;
}

Result<CompletionArguments> completion_arguments(const Words& words) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
  const std::vector<std::string_view> shells = split_choices(command_row(Command::kCompletion).positionals);
  const std::string& shell = words.positionals.front();
  if (std::ranges::find(shells, std::string_view(shell)) == shells.end()) {
    return usage(
        fmt::format("completion {}: not one of {}{}", shell, fmt::join(shells, ", "), suggestion(shell, shells)));
  }
  return CompletionArguments{shell};
}

Result<Invocation> interpret(const Words& words, const Environment& environment) {
  Invocation invocation;
  if (words.on(Flag::kHelp)) {
    invocation.request = HelpArguments{words.command};
    return invocation;
  }
  LAYERSCOPE_TRY(check_choices(words));
  LAYERSCOPE_ASSIGN(invocation.common, common_arguments(words, environment));
  switch (words.command) {
    case Command::kInspect:
      LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
      invocation.request = InspectArguments{words.positionals.front(), words.on(Flag::kAll)};
      break;
    case Command::kTokenize: {
      LAYERSCOPE_ASSIGN(InputArguments input, input_arguments(words));
      invocation.request = TokenizeArguments{words.positionals.front(), std::move(input)};
      break;
    }
    case Command::kStates: {
      LAYERSCOPE_ASSIGN(invocation.request, states_arguments(words, invocation.common, environment));
      break;
    }
    case Command::kEmbed: {
      LAYERSCOPE_ASSIGN(invocation.request, embed_arguments(words, environment));
      break;
    }
    case Command::kSearch: {
      LAYERSCOPE_ASSIGN(invocation.request, search_arguments(words, invocation.common));
      break;
    }
    case Command::kCluster: {
      LAYERSCOPE_ASSIGN(invocation.request, cluster_arguments(words));
      break;
    }
    case Command::kLogits: {
      LAYERSCOPE_ASSIGN(invocation.request, logits_arguments(words, invocation.common, environment));
      break;
    }
    case Command::kLens: {
      LAYERSCOPE_ASSIGN(invocation.request, lens_arguments(words, invocation.common));
      break;
    }
    case Command::kGenerate: {
      LAYERSCOPE_ASSIGN(invocation.request, generate_arguments(words, environment));
      break;
    }
    case Command::kVerify:
      LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
      invocation.request = VerifyArguments{words.positionals.front()};
      break;
    case Command::kExport: {
      LAYERSCOPE_ASSIGN(invocation.request, export_arguments(words));
      break;
    }
    case Command::kCompletion: {
      LAYERSCOPE_ASSIGN(invocation.request, completion_arguments(words));
      break;
    }
    case Command::kMan:
      LAYERSCOPE_TRY(expect_positionals(words, 0, 0));
      invocation.request = ManArguments{};
      break;
  }
  return invocation;
}

Result<const CommandRow*> command_named(const std::string& word) {
  if (const CommandRow* const row = find_command(word)) return row;
  std::vector<std::string_view> names;
  for (const CommandRow& row : command_table()) names.push_back(row.name);
  const std::string hint = suggestion(word, names);
  return usage(fmt::format("{}: no such command{}", word, hint.empty() ? " (layerscope --help lists them)" : hint));
}

}  // namespace

Result<Invocation> parse_arguments(std::span<const std::string> arguments, const Environment& environment) {
  if (arguments.empty()) return usage("no command (layerscope --help lists them)");
  const std::string& first = arguments.front();
  if (first == "--version" || first == "-V") return Invocation{{}, VersionArguments{}};
  if (first == "--help" || first == "-h") return Invocation{{}, HelpArguments{}};
  if (first == "help") {
    if (arguments.size() == 1) return Invocation{{}, HelpArguments{}};
    LAYERSCOPE_ASSIGN(const CommandRow* row, command_named(arguments[1]));
    return Invocation{{}, HelpArguments{row->command}};
  }
  if (first.size() > 1 && first.front() == '-') {
    return usage(fmt::format("{}: flags go after the command (layerscope COMMAND {})", first, first));
  }
  LAYERSCOPE_ASSIGN(const CommandRow* row, command_named(first));
  LAYERSCOPE_ASSIGN(const Words words, split_words(row->command, arguments.subspan(1)));
  return interpret(words, environment);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || number == 0) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  for (char& letter : unit) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  constexpr std::string_view kPrefixes = "kmgt";
  std::uint64_t factor = 1;
  if (!unit.empty() && unit != "b") {
    const std::size_t prefix = kPrefixes.find(unit.front());
    const std::string_view rest = std::string_view(unit).substr(1);
    if (prefix == std::string_view::npos || (rest != "b" && rest != "ib")) return std::nullopt;
    for (std::size_t power = 0; power <= prefix; ++power) factor *= rest == "ib" ? 1024 : 1000;
  }
  if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()} / factor) return std::nullopt;
  return number * factor;
}

Result<std::pair<int, int>> parse_shard(std::string_view text, const Environment& environment) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return usage(fmt::format("--shard {}: expected I/N or auto/N", text));
  std::string index(text.substr(0, slash));
  if (index == "auto") {
    const char* found = environment("SLURM_ARRAY_TASK_ID");
    if (found == nullptr) found = environment("JOB_COMPLETION_INDEX");
    if (found == nullptr) {
      return usage(fmt::format("--shard {}: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set", text));
    }
    index = found;
  }
  LAYERSCOPE_ASSIGN(const int parts, integer<int>(Flag::kShard, text.substr(slash + 1), 1, 1'000'000));
  LAYERSCOPE_ASSIGN(const int part, integer<int>(Flag::kShard, index, 0, parts - 1));
  return std::pair(part, parts);
}

}  // namespace layerscope::cli
