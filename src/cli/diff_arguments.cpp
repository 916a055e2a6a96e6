#include "base/try.h"
#include "cli/argument_groups.h"
#include "cli/command_arguments.h"

namespace layerscope::cli {
namespace {

struct SideFlags {
  Flag dtype, isa, device, edit;
};

Result<DiffSideArguments> side_arguments(const Words& words, const CommonArguments& common, const std::string& path,
                                         const SideFlags& flags) {
  LAYERSCOPE_TRY(expect_values(words, {flags.isa}));
  DiffSideArguments side{.path = path, .open = common.open_options(true), .edits = {words.list(flags.edit), ""}};
  side.open.dtype = words.text(flags.dtype, side.open.dtype);
  side.open.isa = words.text(flags.isa, side.open.isa);
  side.open.device = words.text(flags.device, side.open.device);
  if (side.open.device != "cpu")
    return usage(fmt::format("{} {}: not built into this program (built: cpu)", flag_row(flags.device).long_name,
                             side.open.device));
  return side;
}

}  // namespace

Result<DiffArguments> diff_arguments(const Words& words, const CommonArguments& common) {
  if (words.positionals.size() < 2) return usage("diff: two sides are needed (usage: layerscope diff A B [TEXT...])");
  DiffArguments diff;
  LAYERSCOPE_ASSIGN(diff.a, side_arguments(words, common, words.positionals[0],
                                           {Flag::kDtypeA, Flag::kIsaA, Flag::kDeviceA, Flag::kEditA}));
  LAYERSCOPE_ASSIGN(diff.b, side_arguments(words, common, words.positionals[1],
                                           {Flag::kDtypeB, Flag::kIsaB, Flag::kDeviceB, Flag::kEditB}));
  if (words.positionals.size() > 2 || words.given(Flag::kInput)) {
    Words rest = words;
    rest.positionals.erase(rest.positionals.begin());
    LAYERSCOPE_ASSIGN(diff.input, input_arguments(rest));
  } else {
    for (const Flag flag : {Flag::kInputFormat, Flag::kOnLong, Flag::kMaxLength, Flag::kNoSpecialTokens}) {
      if (words.given(flag))
        return usage(fmt::format("{}: only together with a TEXT or -i FILE", flag_row(flag).long_name));
    }
  }
  LAYERSCOPE_TRY(expect_values(words, {Flag::kLayers, Flag::kSites, Flag::kHtml}));
  diff.html = words.text(Flag::kHtml, "");
  diff.overwrite = words.on(Flag::kOverwrite);
  LAYERSCOPE_TRY(expect_page(words, common));
  diff.layers = words.text(Flag::kLayers, "");
  diff.sites = words.text(Flag::kSites, "");
  diff.allow_incomplete = words.on(Flag::kAllowIncomplete);
  if (words.given(Flag::kTolerance)) {
    LAYERSCOPE_ASSIGN(diff.tolerance, real(Flag::kTolerance, words.text(Flag::kTolerance, "")));
    if (*diff.tolerance < 0) return usage("--tol: expected a number that is not negative");
  }
  return diff;
}

}  // namespace layerscope::cli
