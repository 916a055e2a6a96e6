// The one table of commands and flags. Parsing, --help, shell completion and the manual page are made from it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace layerscope::cli {

enum class Command : std::uint8_t {
  kInspect,
  kTokenize,
  kStates,
  kEmbed,
  kSearch,
  kCluster,
  kLogits,
  kLens,
  kGenerate,
  kDiff,
  kSimilarity,
  kProbe,
  kVerify,
  kExport,
  kCompletion,
  kMan
};

enum class Flag : std::uint8_t {
  kInput,
  kInputFormat,
  kOnBad,
  kOnLong,
  kMaxLength,
  kNoSpecialTokens,
  kChat,
  kSystem,
  kChatTemplate,
  kChatDate,
  kLayers,
  kSites,
  kPositions,
  kPool,
  kMix,
  kSeed,
  kEdit,
  kEdits,
  kLens,
  kTrain,
  kLastState,
  kMaxNewTokens,
  kTemperature,
  kTopP,
  kMinP,
  kRepetitionPenalty,
  kIgnoreEos,
  kStop,
  kLayer,
  kPrompt,
  kPromptName,
  kVectors,
  kTask,
  kTruncateDim,
  kNormalize,
  kNoNormalize,
  kPrecision,
  kMetric,
  kClusters,
  kMaxIterations,
  kNearest,
  kSite,
  kRows,
  kModel,
  kTexts,
  kRescore,
  kOversample,
  kLabels,
  kLabelKey,
  kAlign,
  kProbeTask,
  kProbeMetric,
  kFolds,
  kNoControl,
  kNoMdl,
  kScalarMix,
  kTopK,
  kOutput,
  kSaveDtype,
  kShardSize,
  kShard,
  kOverwrite,
  kDryRun,
  kTo,
  kAllowIncomplete,
  kMeasure,
  kAll,
  kHtml,
  kTolerance,
  kDtypeA,
  kDtypeB,
  kIsaA,
  kIsaB,
  kDeviceA,
  kDeviceB,
  kEditA,
  kEditB,
  kThreads,
  kDtype,
  kDevice,
  kIsa,
  kJson,
  kQuiet,
  kProgress,
  kColor,
  kNoColor,
  kHelp,
};
inline constexpr std::size_t kFlagCount = static_cast<std::size_t>(Flag::kHelp) + 1;

/// Headings under which --help and the manual page list flags.
enum class FlagGroup : std::uint8_t {
  kInput,
  kObserve,
  kChoice,
  kVector,
  kCorpus,
  kLearning,
  kOutput,
  kPicture,
  kSides,
  kMachine,
  kMessages
};

struct CommandRow {
  Command command;
  std::string_view name;
  std::string_view positionals;  ///< "MODEL [TEXT...]"
  std::string_view summary;      ///< one line
  std::string_view description;  ///< a paragraph, lines broken
  std::string_view examples;     ///< one command a line
};

struct FlagRow {
  Flag flag;
  FlagGroup group;
  std::uint32_t commands;       ///< bit k: Command k takes it
  std::string_view short_name;  ///< "-i" or empty
  std::string_view long_name;   ///< "--input"
  std::string_view argument;    ///< "FILE", "N"; empty for a switch
  std::string_view choices;     ///< "stop|skip"; empty if anything goes
  std::string_view fallback;    ///< what holds without the flag, for help texts
  std::string_view help;        ///< one sentence without a full stop
  bool repeats = false;         ///< may be given several times
  [[nodiscard]] bool takes(Command command) const noexcept {
    return (commands >> static_cast<unsigned>(command) & 1U) != 0;
  }
};

[[nodiscard]] std::span<const CommandRow> command_table() noexcept;
[[nodiscard]] std::span<const FlagRow> flag_table() noexcept;
[[nodiscard]] const CommandRow& command_row(Command command) noexcept;
[[nodiscard]] const CommandRow* find_command(std::string_view name) noexcept;
[[nodiscard]] const FlagRow& flag_row(Flag flag) noexcept;
[[nodiscard]] std::string_view group_title(FlagGroup group) noexcept;
/// The words of "a|b|c".
[[nodiscard]] std::vector<std::string_view> split_choices(std::string_view choices);

}  // namespace layerscope::cli
