#include "session/modules.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/try.h"
#include "base/utf8.h"
#include "session/module_files.h"
#include "session/module_readers.h"
#include "session/sparse_modules.h"
#include "session/token_modules.h"

namespace layerscope {
namespace {

// One entry of modules.json behind the first, where vectors of texts are made.
Status read_module(const std::string& list, const ListedModule& module, bool& pooled, SentenceModules& modules) {
  const std::string_view kind = module.kind();
  const std::string shown = "\"type\" \"" + printable(module.type) + "\"";
  if (kind == "Transformer") return refused_module(list, shown + " stands in a place other than the first");
  if (kind == "Dropout") return {};
  if (kind == "Pooling") {
    if (pooled) return refused_module(list, shown + " stands there twice");
    pooled = true;
    LAYERSCOPE_ASSIGN(modules.pooling, read_pooling(module.folder + "/config.json"));
    modules.files.push_back(modules.pooling.config);
    return {};
  }
  if (kind != "Dense" && kind != "LayerNorm" && kind != "Normalize")
    return refused_module(
        list, shown + " is not supported (Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout are)");
  if (!pooled) return refused_module(list, shown + " stands before the Pooling module");
  if (kind == "Dense") {
    LAYERSCOPE_ASSIGN(DenseModule dense, read_dense(module.folder, {kSentenceInput}, modules.files));
    modules.after.emplace_back(std::move(dense));
  } else if (kind == "LayerNorm") {
    LAYERSCOPE_ASSIGN(LayerNormModule norm, read_layer_norm(module.folder, modules.files));
    modules.after.emplace_back(std::move(norm));
  } else {
    LAYERSCOPE_TRY(read_normalize(module.folder, kSentenceInput, modules.files));
    modules.after.emplace_back(NormalizeModule{});
  }
  return {};
}

// The entries of modules.json; the model's folder is that of the first.
Result<std::vector<ListedModule>> read_list(const std::string& folder, const std::string& path) {
  LAYERSCOPE_ASSIGN(const Json json, read_json_file(path, ErrorCode::kModel));
  if (json.array() == nullptr || json.array()->empty()) return refused_module(path, "is no list of modules");
  std::vector<ListedModule> list;
  for (const Json& entry : *json.array()) {
    const Json *type = entry.find("type"), *place = entry.find("path");
    if (type == nullptr || type->string() == nullptr) return refused_module(path, "a module has no \"type\"");
    if (place == nullptr || place->string() == nullptr) return refused_module(path, "a module has no \"path\"");
    const std::string& name = *type->string();
    const bool known = name.starts_with("sentence_transformers.") || name == "pylate.models.Dense.Dense";
    if (!known)
      return refused_module(path,
                            "\"type\" \"" + printable(name) + "\" is code of the folder's own, which is never run");
    LAYERSCOPE_ASSIGN(std::string at, inside_folder(folder, *place->string(), path));
    list.push_back({name, std::move(at)});
  }
  const std::string_view first = list.front().kind();
  if (first != "Transformer" && first != "MLMTransformer")
    return refused_module(path, "\"type\" \"" + printable(list.front().type) + "\" is first, expected a Transformer");
  return list;
}

// The kind of vectors that a list of modules makes.
VectorKind kind_of(const std::vector<ListedModule>& list) {
  const auto lists = [&](std::string_view kind) {
    return std::any_of(list.begin(), list.end(), [&](const ListedModule& module) { return module.kind() == kind; });
  };
  if (lists("SpladePooling") || lists("MLMTransformer")) return VectorKind::kSparse;
  return lists("Pooling") || !(lists("Dense") || lists("MultiVectorMask")) ? VectorKind::kDense : VectorKind::kTokens;
}

// A special token as tokenizer files have it: its text, or an object around that.
std::string token_text(const Json* token) {
  if (token != nullptr && token->object() != nullptr) token = token->find("content");
  return token == nullptr || token->string() == nullptr ? std::string() : *token->string();
}

// The first architecture that config.json names.
Result<std::string> architecture(const std::string& folder) {
  LAYERSCOPE_ASSIGN(const SettingsFile config, SettingsFile::open(folder + "/config.json"));
  const Json* names = config.find("architectures");
  const bool named = names != nullptr && names->array() != nullptr && !names->array()->empty() &&
                     names->array()->front().string() != nullptr;
  return named ? *names->array()->front().string() : std::string();
}

// config.json and tokenizer_config.json: what the Transformer module takes from them.
Status read_model_files(SentenceModules& modules, const std::string& named, bool with_list) {
  LAYERSCOPE_ASSIGN(const SettingsFile config, SettingsFile::open(modules.model_folder + "/config.json"));
  const Json* is_causal = config.find("is_causal");
  const bool both_ways = is_causal != nullptr && is_causal->boolean() != nullptr && !*is_causal->boolean();
  const bool causal = named.ends_with("ForCausalLM") && !both_ways;
  if (!with_list) modules.pooling.modes = {causal ? Pooling::kLast : Pooling::kMean};

  const auto take_limit = [&](const Json* value) {
    if (value == nullptr || value->integer() == nullptr || *value->integer() < 1) return;
    modules.max_length = std::min(modules.max_length.value_or(*value->integer()), *value->integer());
  };
  take_limit(config.find("max_position_embeddings"));
  const std::string path = modules.model_folder + "/tokenizer_config.json";
  if (file_exists(path)) {
    LAYERSCOPE_ASSIGN(const SettingsFile tokenizer, SettingsFile::open(path));
    take_limit(tokenizer.find("model_max_length"));
    if (tokenizer.find("chat_template") != nullptr) modules.chat_template = path;
    modules.mask_token = token_text(tokenizer.find("mask_token"));
    const Json* side = tokenizer.find("padding_side");
    modules.pads_left = side != nullptr && side->string() != nullptr && *side->string() == "left";
    modules.files.push_back(path);
  }
  const std::string named_tokens = modules.model_folder + "/special_tokens_map.json";
  if (modules.mask_token.empty() && file_exists(named_tokens)) {
    LAYERSCOPE_ASSIGN(const SettingsFile map, SettingsFile::open(named_tokens));
    modules.mask_token = token_text(map.find("mask_token"));
  }
  const std::string chat = modules.model_folder + "/chat_template.jinja";
  if (file_exists(chat)) modules.chat_template = chat;
  return {};
}

// The files "sentence_*_config.json" of a folder, by name: which word stands in the middle depends on who wrote it.
std::vector<std::string> transformer_settings(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("sentence_") && name.ends_with("_config.json")) paths.push_back(folder + "/" + name);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Status read_transformer(SentenceModules& modules, bool masked_model) {
  for (const std::string& path : transformer_settings(modules.model_folder)) {
    LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
    if (const std::optional<std::int64_t> limit = file.size("max_seq_length")) modules.max_length = limit;
    modules.lower_case = file.boolean("do_lower_case", false);
    const std::string_view expected = modules.kind == VectorKind::kSparse ? "fill-mask" : "feature-extraction";
    const std::string task = file.text("transformer_task", masked_model ? "fill-mask" : "feature-extraction");
    if (task != expected)
      file.refuse("transformer_task", "is \"" + printable(task) + "\", supported here is " + std::string(expected));
    const std::string output = file.text("module_output_name", "token_embeddings");
    if (output != "token_embeddings")
      file.refuse("module_output_name", "is \"" + printable(output) + "\", supported is token_embeddings");
    if (const Json* extra = file.find("processing_kwargs"); extra != nullptr && extra->dump() != "{}")
      file.refuse("processing_kwargs", "is " + printable(extra->dump()) + ", which is not supported");
    if (const Json* ways = file.find("modality_config"); ways != nullptr && ways->find("message") == nullptr)
      modules.chat_template.clear();
    if (modules.kind == VectorKind::kTokens) read_token_lengths(file, modules.tokens);
    modules.files.push_back(path);
    return file.status();
  }
  return {};
}

Status read_prompts(SettingsFile& file, SentenceModules& modules) {
  if (const Json* prompts = file.find("prompts")) {
    if (prompts->object() == nullptr) file.refuse("prompts", "is no object");
    for (const auto& [name, value] : prompts->object() == nullptr ? Json::Object() : *prompts->object()) {
      if (value.string() == nullptr && !value.is_null()) file.refuse("prompts", "holds a value that is no string");
      modules.prompts.emplace_back(name, value.string() == nullptr ? "" : *value.string());
    }
  }
  const std::string name = file.text("default_prompt_name", "");
  if (name.empty()) return file.status();
  for (const auto& [known, text] : modules.prompts) {
    if (known == name) modules.default_prompt = text;
  }
  const bool own = name == "query" || name == "document";
  if (!modules.default_prompt && !own)
    file.refuse("default_prompt_name", "is \"" + printable(name) + "\", which \"prompts\" lacks");
  return file.status();
}

// config_sentence_transformers.json: prompts, similarity, and which program saved the folder.
Status read_sentence_settings(SettingsFile& file, SentenceModules& modules) {
  modules.files.push_back(file.path());
  const std::string type = file.text("model_type", "");
  const auto expect = [&](std::initializer_list<std::string_view> types, std::initializer_list<std::string_view> ways) {
    if (!type.empty() && std::find(types.begin(), types.end(), type) == types.end())
      file.refuse("model_type",
                  "is \"" + printable(type) + "\", supported for these modules is " + std::string(*types.begin()));
    const std::string similarity = file.text("similarity_fn_name", "");
    for (const std::string_view known : ways) {
      if (similarity == known) modules.similarity = similarity;
    }
  };
  if (modules.kind == VectorKind::kTokens) {
    expect({"MultiVectorEncoder", "ColBERT", "SentenceTransformer"}, {"maxsim", "meanmaxsim"});
  } else {
    const std::string_view saved = modules.kind == VectorKind::kSparse ? "SparseEncoder" : "SentenceTransformer";
    expect({saved}, {"cosine", "dot", "euclidean", "manhattan"});
    modules.truncate_dim = file.size("truncate_dim");
  }
  return read_prompts(file, modules);
}

std::string default_similarity(VectorKind kind) {
  return kind == VectorKind::kDense ? "cosine" : kind == VectorKind::kTokens ? "maxsim" : "dot";
}

Status read_listed(const std::string& folder, SentenceModules& modules) {
  const std::string path = folder + "/modules.json";
  LAYERSCOPE_ASSIGN(const std::vector<ListedModule> list, read_list(folder, path));
  modules.files.push_back(path);
  modules.model_folder = list.front().folder;
  modules.kind = kind_of(list);
  modules.similarity = default_similarity(modules.kind);
  LAYERSCOPE_ASSIGN(const std::string named, architecture(modules.model_folder));
  LAYERSCOPE_TRY(read_model_files(modules, named, true));
  LAYERSCOPE_TRY(read_transformer(modules, list.front().kind() == "MLMTransformer"));
  std::optional<SettingsFile> settings;
  if (const std::string file = folder + "/config_sentence_transformers.json"; file_exists(file)) {
    LAYERSCOPE_ASSIGN(settings, SettingsFile::open(file));
    LAYERSCOPE_TRY(read_sentence_settings(*settings, modules));
  }
  SettingsFile* const saved = settings ? &*settings : nullptr;
  if (modules.kind == VectorKind::kTokens) return read_token_modules(list, path, saved, modules);
  if (modules.kind == VectorKind::kSparse) return read_sparse_modules(list, path, saved, modules);
  bool pooled = false;
  for (std::size_t i = 1; i < list.size(); ++i) LAYERSCOPE_TRY(read_module(path, list[i], pooled, modules));
  return pooled ? Status() : refused_module(path, "lists no Pooling module, so that no vector of a text is made");
}

// Vectors of another kind than the folder's own, where it has a head for them.
Status read_other_kind(const std::string& folder, VectorKind kind, SentenceModules& modules) {
  bool there = false;
  const std::string config = modules.model_folder + "/config.json";
  LAYERSCOPE_ASSIGN(const std::string named, architecture(modules.model_folder));
  if (modules.kind == VectorKind::kDense && kind == VectorKind::kTokens) {
    LAYERSCOPE_ASSIGN(there, read_token_head(modules));
  } else if (modules.kind == VectorKind::kDense) {
    LAYERSCOPE_ASSIGN(there, read_sparse_head(modules));
    if (!there && named.ends_with("ForMaskedLM")) {
      there = true;
      modules.kind = kind;
      modules.sparse.head = SpladeHead{.config = config};
    }
  }
  modules.similarity = default_similarity(kind);
  if (there) return {};
  std::string missing;
  if (modules.kind == VectorKind::kDense)
    missing = kind == VectorKind::kTokens ? ": neither modules.json nor colbert_linear.safetensors projects its tokens"
                                          : ": it has neither SpladePooling, nor sparse_linear.safetensors, nor a "
                                            "ForMaskedLM architecture";
  return Error{ErrorCode::kUsage, folder + ": --vectors " + std::string(vector_kind_name(kind)) +
                                      ", but this folder makes " + std::string(vector_kind_name(modules.kind)) +
                                      " vectors" + missing};
}

constexpr std::array kKinds{std::pair{VectorKind::kDense, "dense"}, std::pair{VectorKind::kTokens, "tokens"},
                            std::pair{VectorKind::kSparse, "sparse"}};

}  // namespace

std::string_view vector_kind_name(VectorKind kind) noexcept { return kKinds[static_cast<std::size_t>(kind)].second; }

std::optional<VectorKind> vector_kind_from_name(std::string_view name) noexcept {
  for (const auto& [kind, known] : kKinds) {
    if (name == known) return kind;
  }
  return std::nullopt;
}

Result<SentenceModules> read_modules(const std::string& folder, std::optional<VectorKind> kind) {
  SentenceModules modules{.model_folder = folder};
  if (file_exists(folder + "/modules.json")) {
    LAYERSCOPE_TRY(read_listed(folder, modules));
  } else {
    LAYERSCOPE_ASSIGN(const std::string named, architecture(folder));
    LAYERSCOPE_TRY(read_model_files(modules, named, false));
    if (named == "HF_ColBERT") {
      LAYERSCOPE_TRY(read_colbert(modules));
      modules.similarity = default_similarity(modules.kind);
    }
  }
  if (kind && *kind != modules.kind) LAYERSCOPE_TRY(read_other_kind(folder, *kind, modules));
  return modules;
}

}  // namespace layerscope
