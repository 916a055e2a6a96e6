#include "tokenizer/chat_template.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/try.h"
#include "base/utf8.h"
#include "layerscope_tokenizer.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;
constexpr std::size_t kMostTemplates = 64;
constexpr std::size_t kMaxMessagesBytes = std::size_t{16} << 20;
constexpr std::array kSpecialTokens = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};
/// What a message's reasoning is called; transformers gives templates the first two names for any of them.
constexpr std::array kReasoning = {"reasoning_content", "thinking", "reasoning"};

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

Error refused(const std::string& file, const std::string& what) { return Error{ErrorCode::kModel, file + ": " + what}; }

// A token as text or as an added token's object.
const std::string* token_text(const Json& value) {
  if (value.string() != nullptr) return value.string();
  const Json* content = value.find("content");
  return content == nullptr ? nullptr : content->string();
}

Json with_reasoning(const Json& message) {
  const Json* reasoning = nullptr;
  for (const char* name : kReasoning) {
    const Json* found = message.find(name);
    if (reasoning == nullptr && found != nullptr && !found->is_null()) reasoning = found;
  }
  if (reasoning == nullptr) return message;
  const Json text = *reasoning;
  Json::Object object = *message.object();
  const auto set = [&](const std::string& name, bool replace) {
    const auto found =
        std::find_if(object.begin(), object.end(), [&](const auto& member) { return member.first == name; });
    if (found == object.end()) object.emplace_back(name, text);
    if (found != object.end() && replace) found->second = text;
  };
  set("thinking", false);
  set("reasoning_content", true);
  return Json(std::move(object));
}

}  // namespace

void ChatTemplate::add(Named named) {
  const bool known =
      std::any_of(templates_.begin(), templates_.end(), [&](const Named& other) { return other.name == named.name; });
  if (!known) templates_.push_back(std::move(named));
}

Status ChatTemplate::read_files(const std::string& folder) {
  const auto take = [&](const std::string& name, const std::string& path) -> Status {
    LAYERSCOPE_ASSIGN(std::string text, read_file(path, ErrorCode::kModel, kMaxTemplateBytes));
    if (!is_valid_utf8(text)) return refused(path, "is not valid UTF-8");
    add({name, path, std::move(text)});
    return {};
  };
  if (exists(folder + "/chat_template.jinja")) LAYERSCOPE_TRY(take("default", folder + "/chat_template.jinja"));
  const std::string more = folder + "/additional_chat_templates";
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator it(more, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".jinja") files.push_back(it->path().filename().string());
    if (files.size() > kMostTemplates) return refused(more, "holds more than 64 templates");
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) LAYERSCOPE_TRY(take(fs::path(file).stem().string(), more + "/" + file));
  return {};
}

Status ChatTemplate::read_settings(const std::string& folder) {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const std::string path = folder + "/" + name;
    if (!exists(path)) continue;
    LAYERSCOPE_ASSIGN(const Json settings, read_json_file(path, ErrorCode::kModel));
    for (const char* token : kSpecialTokens) {
      const Json* value = settings.find(token);
      const std::string* text = value == nullptr ? nullptr : token_text(*value);
      const bool known = std::any_of(special_tokens_.begin(), special_tokens_.end(),
                                     [&](const auto& member) { return member.first == token; });
      if (text != nullptr && !known) special_tokens_.emplace_back(token, Json(*text));
    }
    const Json* field = settings.find("chat_template");
    if (field == nullptr || field->is_null()) continue;
    if (field->string() != nullptr) {
      add({"default", path, *field->string()});
      continue;
    }
    const std::string expected = "field \"chat_template\" is neither text nor a list of {\"name\", \"template\"}";
    if (field->array() == nullptr || field->array()->size() > kMostTemplates) return refused(path, expected);
    for (const Json& item : *field->array()) {
      const Json* title = item.find("name");
      const Json* text = item.find("template");
      if (title == nullptr || title->string() == nullptr || text == nullptr || text->string() == nullptr)
        return refused(path, expected);
      add({*title->string(), path, *text->string()});
    }
  }
  return {};
}

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::open_folder(const std::string& folder) {
  auto chat = std::make_unique<ChatTemplate>();
  LAYERSCOPE_TRY(chat->read_files(folder));
  LAYERSCOPE_TRY(chat->read_settings(folder));
  if (chat->templates_.empty()) chat.reset();
  return chat;
}

std::string ChatTemplate::identity() const {
  Json::Array parts = {Json(special_tokens_)};
  for (const Named& named : templates_) {
    parts.emplace_back(named.name);
    parts.emplace_back(named.text);
  }
  return Json(std::move(parts)).dump();
}

std::vector<std::string> ChatTemplate::names() const {
  std::vector<std::string> names;
  for (const Named& named : templates_) names.push_back(named.name);
  return names;
}

Result<std::string> ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  const bool alone = options.name.empty() && templates_.size() == 1;
  const std::string wanted = options.name.empty() ? "default" : options.name;
  const auto found = alone ? templates_.begin()
                           : std::find_if(templates_.begin(), templates_.end(),
                                          [&](const Named& named) { return named.name == wanted; });
  if (found == templates_.end()) {
    std::string known;
    for (const Named& named : templates_) known += (known.empty() ? "" : ", ") + printable(named.name);
    return Error{ErrorCode::kUsage, "no chat template \"" + wanted + "\", the folder has " + known};
  }
  const auto no_list = Error{ErrorCode::kInput, "\"messages\" is no list of objects with \"role\" and \"content\""};
  if (messages.array() == nullptr || messages.array()->empty()) return no_list;
  Json::Array conversation;
  for (const Json& message : *messages.array()) {
    if (message.object() == nullptr || message.find("role") == nullptr) return no_list;
    conversation.push_back(with_reasoning(message));
  }
  Json::Object context = special_tokens_;
  context.emplace_back("messages", Json(std::move(conversation)));
  context.emplace_back("tools", Json());
  context.emplace_back("documents", Json());
  context.emplace_back("add_generation_prompt", Json(options.add_generation_prompt));
  const std::string text = Json(std::move(context)).dump();
  if (text.size() > kMaxMessagesBytes)
    return Error{ErrorCode::kInput, "a conversation of " + std::to_string(text.size()) + " bytes, at most " +
                                        std::to_string(kMaxMessagesBytes) + " are read"};

  char* rendered = nullptr;
  std::size_t size = 0;
  char* message = nullptr;
  const int kind = layerscope_chat_render(found->text.data(), found->text.size(), text.data(), text.size(),
                                          options.date ? options.date->data() : nullptr, &rendered, &size, &message);
  const auto free_text = [](char* owned) { layerscope_tokenizer_free_text(owned); };
  const std::unique_ptr<char, decltype(free_text)> owned_text(rendered, free_text), owned_message(message, free_text);
  if (kind == LAYERSCOPE_TOKENIZER_OK) return std::string(owned_text.get(), size);
  const std::string why = found->file + ": chat template \"" + printable(found->name) +
                          "\": " + (message == nullptr ? "out of memory" : message);
  const bool row = kind == LAYERSCOPE_TOKENIZER_INPUT;
  return Error{row                                  ? ErrorCode::kInput
               : kind == LAYERSCOPE_TOKENIZER_USAGE ? ErrorCode::kUsage
                                                    : ErrorCode::kModel,
               why};
}

Json chat_messages(const std::optional<std::string>& system, const std::string& user) {
  const auto message = [](const char* role, const std::string& content) {
    return Json(Json::Object{{"role", Json(std::string(role))}, {"content", Json(content)}});
  };
  Json::Array messages;
  if (system) messages.push_back(message("system", *system));
  messages.push_back(message("user", user));
  return Json(std::move(messages));
}

}  // namespace layerscope
