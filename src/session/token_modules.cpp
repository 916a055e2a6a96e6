#include "session/token_modules.h"

#include <algorithm>

#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/checkpoint.h"
#include "session/module_readers.h"

namespace layerscope {
namespace {

constexpr std::int64_t kQueryTokens = 32;  // where a checkpoint does not say (Khattab and Zaharia 2020)

std::vector<std::string> punctuation() {
  std::vector<std::string> words;
  for (char letter = '!'; letter <= '~'; ++letter) {
    const bool word =
        (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
    if (!word) words.emplace_back(1, letter);
  }
  return words;
}

std::vector<std::string> read_words(SettingsFile& file, std::string_view key) {
  std::vector<std::string> words;
  const Json* list = file.find(key);
  if (list != nullptr && list->array() == nullptr) file.refuse(key, "is no list of strings");
  for (const Json& word : list == nullptr || list->array() == nullptr ? Json::Array() : *list->array()) {
    if (word.string() == nullptr) file.refuse(key, "is no list of strings");
    if (word.string() != nullptr) words.push_back(*word.string());
  }
  return words;
}

Status read_mask(const std::string& folder, SentenceModules& modules) {
  const std::string path = folder + "/config.json";
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  file.expect_only({"skiplist_words", "skiplist_tasks", "keep_only_token_ids"});
  TokenVectors& tokens = modules.tokens;
  tokens.skipped_words = read_words(file, "skiplist_words");
  if (file.find("skiplist_tasks") != nullptr) {
    const std::vector<std::string> tasks = read_words(file, "skiplist_tasks");
    const auto named = [&](const char* task) { return std::find(tasks.begin(), tasks.end(), task) != tasks.end(); };
    tokens.skip_in_queries = named("query");
    tokens.skip_in_documents = named("document");
  }
  if (const Json* kept = file.find("keep_only_token_ids");
      kept != nullptr && (kept->array() == nullptr || !kept->array()->empty()))
    file.refuse("keep_only_token_ids", "is " + printable(kept->dump()) + ", which is for images");
  modules.files.push_back(path);
  return file.status();
}

QueryExpansion fixed_expansion(std::int64_t length, bool attend, const std::string& config) {
  return {.length = length, .cut = true, .attend = attend, .token = {}, .config = config};
}

// PyLate up to version 3 keeps markers, lengths and expansion beside the prompts. What the Transformer's own settings
// say goes first.
void read_pylate(SettingsFile& file, SentenceModules& modules, bool expansion_decided) {
  TokenVectors& tokens = modules.tokens;
  for (const auto& [key, prompt] : {std::pair{"query_prefix", "query"}, std::pair{"document_prefix", "document"}}) {
    if (file.json().find(key) == nullptr) continue;
    const std::string marker = file.text(key, "");
    tokens.markers.push_back(marker);
    const auto named = [&](const auto& entry) { return entry.first == prompt; };
    auto place = std::find_if(modules.prompts.begin(), modules.prompts.end(), named);
    if (place == modules.prompts.end()) place = modules.prompts.insert(modules.prompts.end(), {prompt, ""});
    if (!place->second.starts_with(marker)) place->second = marker + place->second;
  }
  const auto any = [&](std::initializer_list<std::string_view> keys) {
    return std::any_of(keys.begin(), keys.end(), [&](auto key) { return file.json().find(key) != nullptr; });
  };
  std::optional<std::int64_t> query_length = file.size("query_length");
  const bool pylate = any({"query_length", "document_length", "query_expansion", "do_query_expansion", "query_prefix",
                           "attend_to_expansion_tokens", "attend_to_mask_tokens", "document_prefix", "skiplist_words"});
  std::optional<QueryExpansion> expansion;
  if (file.json().find("query_expansion") != nullptr) {
    TokenVectors stated;
    read_token_lengths(file, stated);
    expansion = std::move(stated.expansion);
  } else if (pylate && file.boolean("do_query_expansion", true)) {
    const bool attend = file.boolean("attend_to_expansion_tokens", file.boolean("attend_to_mask_tokens", false));
    expansion = fixed_expansion(query_length.value_or(kQueryTokens), attend, file.path());
    query_length.reset();
  }
  if (!expansion_decided) tokens.expansion = std::move(expansion);
  if (!tokens.query_length) tokens.query_length = query_length;
  if (!tokens.document_length) tokens.document_length = file.size("document_length");
}

// ColBERT's own settings; a folder without them means the defaults.
Status read_artifact(SentenceModules& modules) {
  TokenVectors& tokens = modules.tokens;
  const std::string path = modules.model_folder + "/artifact.metadata";
  std::string query = "[unused0]", document = "[unused1]";
  tokens.expansion = fixed_expansion(kQueryTokens, false, path);
  tokens.skipped_words = punctuation();
  if (file_exists(path)) {
    LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
    query = file.text("query_token_id", query);
    document = file.text("doc_token_id", document);
    tokens.document_length = file.size("doc_maxlen");
    tokens.expansion = fixed_expansion(file.size("query_maxlen").value_or(kQueryTokens),
                                       file.boolean("attend_to_mask_tokens", false), path);
    if (!file.boolean("mask_punctuation", true)) tokens.skipped_words.clear();
    if (const std::string similarity = file.text("similarity", "cosine"); similarity != "cosine")
      file.refuse("similarity", "is \"" + printable(similarity) + "\", supported is cosine");
    if (const std::string how = file.text("interaction", "colbert"); how != "colbert")
      file.refuse("interaction", "is \"" + printable(how) + "\", supported is colbert");
    modules.files.push_back(path);
    LAYERSCOPE_TRY(file.status());
  }
  tokens.markers = {query + " ", document + " "};
  modules.prompts = {{"query", query + " "}, {"document", document + " "}};
  return {};
}

}  // namespace

std::string_view ListedModule::kind() const { return last_part(type); }

void read_token_lengths(SettingsFile& file, TokenVectors& tokens) {
  tokens.query_length = file.size("query_length");
  tokens.document_length = file.size("document_length");
  const Json* json = file.find("query_expansion");
  if (json == nullptr) return;
  const auto wrong = [&] {
    file.refuse("query_expansion", "is " + printable(json->dump()) + ", which is not understood");
  };
  if (json->object() == nullptr) return wrong();
  QueryExpansion expansion{.config = file.path()};
  bool sized = false, strategy = false;
  for (const auto& [key, value] : *json->object()) {
    if (key == "strategy" && value.string() != nullptr && (*value.string() == "fixed" || *value.string() == "min")) {
      expansion.cut = *value.string() == "fixed";
      strategy = true;
    } else if (key == "attend" && value.boolean() != nullptr) {
      expansion.attend = *value.boolean();
    } else if (key == "token" && (value.string() != nullptr || value.is_null())) {
      expansion.token = value.string() == nullptr ? "" : *value.string();
    } else if (key == "length" && value.integer() != nullptr && *value.integer() > 0) {
      expansion.length = *value.integer();
      sized = true;
    } else {
      return wrong();
    }
  }
  if (!sized || !strategy) return wrong();
  if (tokens.query_length && *tokens.query_length < expansion.length)
    file.refuse("query_length", "is " + std::to_string(*tokens.query_length) + ", less than query_expansion's " +
                                    std::to_string(expansion.length));
  tokens.expansion = std::move(expansion);
}

Status read_token_modules(const std::vector<ListedModule>& list, const std::string& list_path, SettingsFile* settings,
                          SentenceModules& modules) {
  const std::string saved = settings == nullptr ? "" : settings->text("model_type", "");
  // Saved as such, or by an older program whose vectors of texts are read as vectors of tokens.
  const bool pylate = saved == "ColBERT", native = saved == "MultiVectorEncoder";
  TokenVectors& tokens = modules.tokens;
  bool masked = false;
  for (const ListedModule& module : list) {
    if (&module == &list.front()) continue;
    const std::string_view kind = module.kind();
    if (kind == "Dense") {
      using Inputs = std::initializer_list<std::string_view>;
      const auto read = [&](Inputs inputs) { return read_dense(module.folder, inputs, modules.files); };
      LAYERSCOPE_ASSIGN(DenseModule dense,
                        native || pylate ? read({kTokenInput}) : read({kTokenInput, kSentenceInput}));
      tokens.steps.emplace_back(std::move(dense));
    } else if (kind == "Normalize") {
      if (!native && !pylate) continue;  // of a vector that is not made; those of tokens are normalised below
      LAYERSCOPE_TRY(read_normalize(module.folder, kTokenInput, modules.files));
      tokens.steps.emplace_back(NormalizeModule{});
    } else if (kind == "MultiVectorMask") {
      masked = true;
      LAYERSCOPE_TRY(read_mask(module.folder, modules));
    } else {
      return refused_module(list_path, "\"type\" \"" + printable(module.type) +
                                           "\" is not supported among vectors of tokens (Dense, MultiVectorMask and "
                                           "Normalize are)");
    }
  }
  if (settings != nullptr) {
    const bool expansion_decided = modules.tokens.expansion.has_value();
    read_pylate(*settings, modules, expansion_decided);
    LAYERSCOPE_TRY(settings->status());
  }
  if (!native) {
    if (settings != nullptr && settings->find("skiplist_words") != nullptr)
      tokens.skipped_words = read_words(*settings, "skiplist_words");
    else if (!masked && (pylate || !tokens.markers.empty()))
      tokens.skipped_words = punctuation();
    tokens.steps.emplace_back(NormalizeModule{});
  }
  if (native && !masked && tokens.expansion)
    return refused_module(tokens.expansion->config,
                          "\"query_expansion\" without a MultiVectorMask module, which alone gives its tokens vectors");
  return settings == nullptr ? Status() : settings->status();
}

Status read_colbert(SentenceModules& modules) {
  modules.kind = VectorKind::kTokens;
  LAYERSCOPE_TRY(read_artifact(modules));
  constexpr const char* kProjection = "linear.weight";
  LAYERSCOPE_ASSIGN(const auto weights, open_checkpoint(modules.model_folder));
  const SourceTensor* tensor = weights->find(kProjection);
  const std::string config = modules.model_folder + "/config.json";
  if (tensor == nullptr || tensor->view.shape.rank() != 2)
    return refused_module(weights->files().front(), "has no matrix \"linear.weight\", which the architecture of " +
                                                        config + " projects its tokens by");
  DenseModule dense{.outputs = tensor->view.shape[0], .activation = DenseActivation::kIdentity, .config = config};
  dense.inputs = tensor->view.shape[1];
  LAYERSCOPE_ASSIGN(dense.weight, stored_floats(*weights, kProjection, tensor->view.shape, config));
  modules.tokens.steps.emplace_back(std::move(dense));
  modules.tokens.steps.emplace_back(NormalizeModule{});
  modules.other_tensors = {kProjection};
  return {};
}

Result<bool> read_token_head(SentenceModules& modules) {
  LAYERSCOPE_ASSIGN(std::optional<DenseModule> head,
                    read_linear(modules.model_folder, "colbert_linear", modules.files));
  if (!head) return false;
  modules.kind = VectorKind::kTokens;
  modules.tokens = {.steps = {std::move(*head), NormalizeModule{}}, .first_token = false};
  return true;
}

}  // namespace layerscope
