#include "cli/command_arguments.h"

#include <limits>

#include "base/try.h"
#include "cli/argument_groups.h"

namespace layerscope::cli {
namespace {

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

}  // namespace

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

}  // namespace layerscope::cli
