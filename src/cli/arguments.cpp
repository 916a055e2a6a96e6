#include "cli/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/try.h"
#include "cli/argument_groups.h"
#include "cli/command_arguments.h"
#include "cli/suggest.h"
#include "cli/words.h"

namespace layerscope::cli {
namespace {

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

Result<ExportArguments> export_arguments(const Words& words) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, 1));
  ExportArguments arguments;
  arguments.run = words.positionals.front();
  arguments.target = words.text(Flag::kOutput, "");
  const std::string format = words.text(Flag::kTo, "");
  if (format.empty()) return usage("export: --to is missing (npy, npz, safetensors, fvecs or hf-dataset)");
  if (arguments.target.empty()) return usage("export: -o is missing (the file or folder to write)");
  arguments.format = format == "npy"          ? ExportFormat::kNpy
                     : format == "npz"        ? ExportFormat::kNpz
                     : format == "fvecs"      ? ExportFormat::kFvecs
                     : format == "hf-dataset" ? ExportFormat::kHfDataset
                                              : ExportFormat::kSafetensors;
  arguments.options.site = words.text(Flag::kSite, "");
  if (words.given(Flag::kSite) && format != "fvecs") return usage("--site: only with --to fvecs");
  if (words.given(Flag::kShardSize) && format != "hf-dataset") return usage("--shard-size: only with --to hf-dataset");
  LAYERSCOPE_TRY(shard_size(words, arguments.options.shard_bytes));
  LAYERSCOPE_TRY(expect_values(words, {Flag::kTexts}));
  arguments.texts = words.text(Flag::kTexts, "");
  if (!arguments.texts.empty() && format != "hf-dataset") return usage("--texts: only with --to hf-dataset");
  arguments.options.overwrite = words.on(Flag::kOverwrite);
  arguments.options.allow_incomplete = words.on(Flag::kAllowIncomplete);
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
    case Command::kDiff: {
      LAYERSCOPE_ASSIGN(invocation.request, diff_arguments(words, invocation.common));
      break;
    }
    case Command::kSimilarity: {
      LAYERSCOPE_ASSIGN(invocation.request, similarity_arguments(words, invocation.common));
      break;
    }
    case Command::kProbe: {
      LAYERSCOPE_ASSIGN(invocation.request, probe_arguments(words, invocation.common));
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
