// Chat templates: a conversation as the text that a model was trained on.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"

namespace layerscope {

struct ChatOptions {
  bool add_generation_prompt = true;  ///< end with what opens the model's answer
  std::string name;                   ///< of a template among several; empty: "default", or the only one
  /// Year, month and day for templates that write today's date; results do not depend on the clock.
  std::optional<std::array<std::int32_t, 3>> date;
};

/// The templates of a model folder, rendered as transformers' apply_chat_template renders them (docs/chat.md). A
/// rendering is bounded in steps, memory and depth. `render` may be called from several threads at once.
class ChatTemplate {
 public:
  /// Reads `chat_template.jinja`, `additional_chat_templates/*.jinja` and tokenizer_config.json's `chat_template`,
  /// where the files go before the field; null for a folder without any. Errors: kModel naming the file.
  [[nodiscard]] static Result<std::unique_ptr<ChatTemplate>> open_folder(const std::string& folder);

  /// `messages`: a JSON list of objects with "role" and "content". Special tokens are part of the text, so that it is
  /// tokenised without adding any. Errors: kUsage for an unknown name, kInput for a conversation that the template
  /// refuses in its own words or that is no list of objects, kModel for a template that is at fault, with its file.
  [[nodiscard]] Result<std::string> render(const Json& messages, const ChatOptions& options = {}) const;

  /// Everything that a rendering depends on beside its messages and options.
  [[nodiscard]] std::string identity() const;
  /// The names of the templates, each once.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Named {
    std::string name, file, text;
  };
  void add(Named named);
  [[nodiscard]] Status read_settings(const std::string& folder);
  [[nodiscard]] Status read_files(const std::string& folder);

  std::vector<Named> templates_;
  Json::Object special_tokens_;  ///< bos_token, eos_token, ... as text
};

/// The messages of a prompt: an optional system message and the user's.
[[nodiscard]] Json chat_messages(const std::optional<std::string>& system, const std::string& user);

}  // namespace layerscope
