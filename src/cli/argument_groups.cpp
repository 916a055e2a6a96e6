#include "cli/argument_groups.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/try.h"

namespace layerscope::cli {
namespace {

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

ProgressMode progress_mode(const Words& words) {
  const std::string progress = words.text(Flag::kProgress, "auto");
  return progress == "bar"    ? ProgressMode::kBar
         : progress == "json" ? ProgressMode::kJson
         : progress == "none" ? ProgressMode::kNone
                              : ProgressMode::kAuto;
}

}  // namespace

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
  if (common.dtype == "f64" && words.command != Command::kDiff)
    return usage("--dtype f64: a yardstick for diff; other commands take f32 or bf16");
  if (words.given(Flag::kThreads)) {
    LAYERSCOPE_ASSIGN(common.threads, integer<int>(Flag::kThreads, words.text(Flag::kThreads, ""), 1, 4096));
  }
  const char* const isa = environment("LAYERSCOPE_ISA");
  common.isa = words.text(Flag::kIsa, isa == nullptr ? "" : isa);
  return common;
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

Status shard_size(const Words& words, std::uint64_t& bytes) {
  if (!words.given(Flag::kShardSize)) return {};
  const std::string text = words.text(Flag::kShardSize, "");
  const std::optional<std::uint64_t> size = parse_size(text);
  if (!size) return usage(fmt::format("--shard-size {}: expected a size such as 256MiB, 8MB or 1000000", text));
  bytes = *size;
  return {};
}

Status folder_arguments(const Words& words, const Environment& environment, FolderArguments& arguments) {
  LAYERSCOPE_TRY(shard_size(words, arguments.shard_bytes));
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

Status expect_page(const Words& words, const CommonArguments& common) {
  if (common.json && words.given(Flag::kHtml)) return usage("--json and --html: only one of them can hold");
  if (words.on(Flag::kOverwrite) && !words.given(Flag::kHtml)) return usage("--overwrite: only together with --html");
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

}  // namespace layerscope::cli
