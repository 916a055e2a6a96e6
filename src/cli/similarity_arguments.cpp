#include <limits>

#include "base/try.h"
#include "cli/argument_groups.h"
#include "cli/command_arguments.h"

namespace layerscope::cli {

Result<SimilarityArguments> similarity_arguments(const Words& words, const CommonArguments& common) {
  LAYERSCOPE_TRY(expect_positionals(words, 1, 2));
  LAYERSCOPE_TRY(expect_values(words, {Flag::kHtml}));
  SimilarityArguments similarity;
  similarity.a = words.positionals.front();
  if (words.positionals.size() == 2) similarity.b = words.positionals.back();
  if (words.given(Flag::kInput)) {
    Words rows = words;
    rows.positionals.resize(1);
    LAYERSCOPE_ASSIGN(similarity.input, input_arguments(rows));
  } else {
    for (const Flag flag : {Flag::kInputFormat, Flag::kOnBad, Flag::kOnLong, Flag::kMaxLength, Flag::kNoSpecialTokens,
                            Flag::kPositions, Flag::kPool}) {
      if (words.given(flag))
        return usage(fmt::format("{}: only together with -i FILE, which models read", flag_row(flag).long_name));
    }
  }
  LAYERSCOPE_ASSIGN(similarity.request, tap_request(words));
  if (words.given(Flag::kRows)) {
    LAYERSCOPE_ASSIGN(similarity.vectors, integer<std::int64_t>(Flag::kRows, words.text(Flag::kRows, ""), 2,
                                                                std::numeric_limits<std::int32_t>::max()));
  }
  similarity.html = words.text(Flag::kHtml, "");
  similarity.overwrite = words.on(Flag::kOverwrite);
  similarity.allow_incomplete = words.on(Flag::kAllowIncomplete);
  LAYERSCOPE_TRY(expect_page(words, common));
  return similarity;
}

}  // namespace layerscope::cli
