// Rows as conversations: every row becomes the text that the model's chat template makes of it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "job/input.h"
#include "tokenizer/chat_template.h"

namespace layerscope {

struct ChatSettings {
  std::optional<std::string> system;  ///< a system message put before a row that is a text
  ChatOptions options;
};

/// Reads `rows`: a text becomes the user's message, "messages" are a conversation; rows of ids stay as they are. The
/// texts hold their special tokens, so that nothing is to be added to them. A row that the template refuses is a bad
/// row. kind() names the template by its hash, and the settings. Errors: kModel for a folder without a template, or for
/// one that is at fault; kUsage for a template's name that is not there.
[[nodiscard]] Result<std::unique_ptr<RowReader>> chat_rows(std::unique_ptr<RowReader> rows, const std::string& folder,
                                                           ChatSettings settings);

}  // namespace layerscope
