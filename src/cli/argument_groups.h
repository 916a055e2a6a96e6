// Groups of flags that several commands share. Errors are kUsage.
#pragma once

#include "cli/arguments.h"
#include "cli/words.h"

namespace layerscope::cli {

[[nodiscard]] Result<CommonArguments> common_arguments(const Words& words, const Environment& environment);
[[nodiscard]] Result<InputArguments> input_arguments(const Words& words);
/// Sets `bytes` where --shard-size is given.
[[nodiscard]] Status shard_size(const Words& words, std::uint64_t& bytes);
[[nodiscard]] Status folder_arguments(const Words& words, const Environment& environment, FolderArguments& arguments);
/// The edits of every command that takes them.
[[nodiscard]] Result<EditArguments> edit_arguments(const Words& words);
/// Flags that only mean something together with a run folder.
[[nodiscard]] Status expect_folder(const Words& words, bool folder);
/// --html and --overwrite of a command whose only file is its page.
[[nodiscard]] Status expect_page(const Words& words, const CommonArguments& common);
[[nodiscard]] DType save_dtype(const Words& words);
[[nodiscard]] Result<std::uint64_t> seed_argument(const Words& words);
/// --normalize, --no-normalize, or neither.
[[nodiscard]] Result<std::optional<bool>> normalize_argument(const Words& words);
/// What to observe, of every command that can.
[[nodiscard]] Result<TapRequest> tap_request(const Words& words);

}  // namespace layerscope::cli
