// What the words of one command mean. Errors are kUsage.
#pragma once

#include "cli/arguments.h"
#include "cli/words.h"

namespace layerscope::cli {

[[nodiscard]] Result<EmbedArguments> embed_arguments(const Words& words, const Environment& environment);
[[nodiscard]] Result<SearchArguments> search_arguments(const Words& words, const CommonArguments& common);
[[nodiscard]] Result<ClusterArguments> cluster_arguments(const Words& words);
[[nodiscard]] Result<LogitsArguments> logits_arguments(const Words& words, const CommonArguments& common,
                                                       const Environment& environment);
[[nodiscard]] Result<LensArguments> lens_arguments(const Words& words, const CommonArguments& common);
[[nodiscard]] Result<GenerateArguments> generate_arguments(const Words& words, const Environment& environment);
[[nodiscard]] Result<DiffArguments> diff_arguments(const Words& words, const CommonArguments& common);
[[nodiscard]] Result<SimilarityArguments> similarity_arguments(const Words& words, const CommonArguments& common);
[[nodiscard]] Result<ProbeArguments> probe_arguments(const Words& words, const CommonArguments& common);

}  // namespace layerscope::cli
