// Texts made from the option table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/option_table.h"

namespace layerscope::cli {

/// `layerscope --help`, or the help of one command.
[[nodiscard]] std::string help_text(std::optional<Command> command);

/// The completion script of "bash", "zsh" or "fish".
[[nodiscard]] std::string completion_script(std::string_view shell);

/// The manual page as troff (man macros).
[[nodiscard]] std::string manual_page();

/// "layerscope 0.1.0".
[[nodiscard]] std::string version_text();

}  // namespace layerscope::cli
