#include "session/modules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/checkpoint.h"
#include "session/module_files.h"

namespace layerscope {
namespace {

Error refused(const std::string& file, const std::string& what) { return {ErrorCode::kModel, file + ": " + what}; }

struct ModeName {
  std::string_view name, old_switch;
  Pooling pooling;
};
// The order in which the switches of the old format concatenate.
constexpr std::array kModes{ModeName{"cls", "pooling_mode_cls_token", Pooling::kCls},
                            ModeName{"max", "pooling_mode_max_tokens", Pooling::kMax},
                            ModeName{"mean", "pooling_mode_mean_tokens", Pooling::kMean},
                            ModeName{"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Pooling::kMeanSqrt},
                            ModeName{"weightedmean", "pooling_mode_weightedmean_tokens", Pooling::kWeightedMean},
                            ModeName{"lasttoken", "pooling_mode_lasttoken", Pooling::kLast}};

struct ActivationName {
  std::string_view name;
  DenseActivation activation;
};
constexpr std::array kActivations{ActivationName{"Identity", DenseActivation::kIdentity},
                                  ActivationName{"Tanh", DenseActivation::kTanh},
                                  ActivationName{"ReLU", DenseActivation::kRelu},
                                  ActivationName{"ReLU6", DenseActivation::kRelu6},
                                  ActivationName{"LeakyReLU", DenseActivation::kLeakyRelu},
                                  ActivationName{"GELU", DenseActivation::kGelu},
                                  ActivationName{"SiLU", DenseActivation::kSilu},
                                  ActivationName{"Sigmoid", DenseActivation::kSigmoid},
                                  ActivationName{"ELU", DenseActivation::kElu},
                                  ActivationName{"Softplus", DenseActivation::kSoftplus},
                                  ActivationName{"Mish", DenseActivation::kMish}};

std::string_view last_part(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

template <class Table>
std::string names_of(const Table& table) {
  std::string text;
  for (const auto& row : table) text += (text.empty() ? "" : ", ") + std::string(row.name);
  return text;
}

void add_mode(SettingsFile& file, const Json& name, std::vector<Pooling>& modes) {
  const auto found = std::find_if(kModes.begin(), kModes.end(), [&](const ModeName& mode) {
    return name.string() != nullptr && mode.name == *name.string();
  });
  if (found == kModes.end())
    return file.refuse("pooling_mode", "is " + printable(name.dump()) + ", known are " + names_of(kModes));
  modes.push_back(found->pooling);
}

Result<PoolingModule> read_pooling(const std::string& path) {
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  file.expect_only({"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt",
                    "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens",
                    "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"});
  PoolingModule module{.modes = {}, .include_prompt = file.boolean("include_prompt", true), .config = path};
  const std::optional<std::int64_t> old_dimension = file.size("word_embedding_dimension");
  module.dimension = file.size("embedding_dimension");
  if (!module.dimension) module.dimension = old_dimension;
  if (!module.dimension && file.status()) file.refuse("embedding_dimension", "is missing");
  if (const Json* mode = file.find("pooling_mode"); mode != nullptr && mode->array() != nullptr) {
    for (const Json& name : *mode->array()) add_mode(file, name, module.modes);
    if (module.modes.empty()) file.refuse("pooling_mode", "is an empty list");
  } else if (mode != nullptr) {
    add_mode(file, *mode, module.modes);
  } else {
    for (const ModeName& known : kModes) {
      if (file.boolean(known.old_switch, false)) module.modes.push_back(known.pooling);
    }
    if (module.modes.empty()) module.modes = {Pooling::kMean};
  }
  LAYERSCOPE_TRY(file.status());
  return module;
}

// A tensor of a module as float32.
Result<std::vector<float>> floats_of(const Checkpoint& weights, const std::string& name, const Shape& shape,
                                     const std::string& config) {
  const std::string& path = weights.files().front();
  const SourceTensor* tensor = weights.find(name);
  if (tensor == nullptr) return refused(path, "lacks tensor \"" + name + "\", which " + config + " asks for");
  if (!(tensor->view.shape == shape)) {
    return refused(path, "tensor \"" + name + "\" has shape " + tensor->view.shape.text() + ", " + config +
                             " asks for " + shape.text());
  }
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  const std::byte* data = tensor->view.data;
  const std::size_t size = dtype_size(tensor->view.dtype);
  for (float& value : values) {
    std::uint16_t half = 0;
    double wide = 0;
    switch (tensor->view.dtype) {
      case DType::kF32: std::memcpy(&value, data, size); break;
      case DType::kF16: std::memcpy(&half, data, size), value = f16_to_float(half); break;
      case DType::kBF16: std::memcpy(&half, data, size), value = bf16_to_float(half); break;
      case DType::kF64: std::memcpy(&wide, data, size), value = static_cast<float>(wide); break;
      default: return refused(path, "tensor \"" + name + "\" is no float tensor");
    }
    if (!std::isfinite(value)) return refused(path, "tensor \"" + name + "\" holds a value that is not finite");
    data += size;
  }
  return values;
}

Status only_tensors(const Checkpoint& weights, std::size_t expected, const std::string& config) {
  if (weights.tensors().size() == expected) return {};
  return refused(weights.files().front(), "holds " + std::to_string(weights.tensors().size()) + " tensors, " + config +
                                              " asks for " + std::to_string(expected));
}

constexpr std::string_view kVector = "sentence_embedding";

void expect_vector(SettingsFile& file) {
  for (const std::string_view key : {"module_input_name", "module_output_name"}) {
    const std::string name = file.text(key, kVector);
    if (name != kVector)
      file.refuse(key, "is \"" + printable(name) + "\", only " + std::string(kVector) + " is supported");
  }
}

Result<DenseModule> read_dense(const std::string& folder, std::vector<std::string>& files) {
  const std::string path = folder + "/config.json";
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  expect_vector(file);
  DenseModule dense{.config = path};
  const std::optional<std::int64_t> inputs = file.size("in_features"), outputs = file.size("out_features");
  if (!inputs) file.refuse("in_features", "is missing");
  if (!outputs) file.refuse("out_features", "is missing");
  const bool bias = file.boolean("bias", true);
  dense.use_residual = file.boolean("use_residual", false);
  const std::string name = file.text("activation_function", "torch.nn.modules.activation.Tanh");
  const auto found = std::find_if(kActivations.begin(), kActivations.end(), [&](const ActivationName& known) {
    return name.starts_with("torch.nn.") && known.name == last_part(name);
  });
  if (found == kActivations.end())
    file.refuse("activation_function",
                "is \"" + printable(name) + "\", known of torch.nn are " + names_of(kActivations));
  else
    dense.activation = found->activation;
  LAYERSCOPE_TRY(file.status());
  dense.inputs = *inputs;
  dense.outputs = *outputs;

  LAYERSCOPE_ASSIGN(const auto weights, open_checkpoint(folder));
  const Shape matrix = {dense.outputs, dense.inputs};
  LAYERSCOPE_ASSIGN(dense.weight, floats_of(*weights, "linear.weight", matrix, path));
  if (bias) {
    LAYERSCOPE_ASSIGN(dense.bias, floats_of(*weights, "linear.bias", {dense.outputs}, path));
  }
  const bool projected = dense.use_residual && dense.inputs != dense.outputs;
  if (projected) {
    LAYERSCOPE_ASSIGN(dense.residual, floats_of(*weights, "residual.weight", matrix, path));
  }
  LAYERSCOPE_TRY(only_tensors(*weights, 1U + (bias ? 1U : 0U) + (projected ? 1U : 0U), path));
  files.push_back(path);
  files.insert(files.end(), weights->files().begin(), weights->files().end());
  return dense;
}

Result<LayerNormModule> read_layer_norm(const std::string& folder, std::vector<std::string>& files) {
  LayerNormModule norm{.weight = {}, .bias = {}, .config = folder + "/config.json"};
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(norm.config));
  const std::optional<std::int64_t> dimension = file.size("dimension");
  if (!dimension) file.refuse("dimension", "is missing");
  LAYERSCOPE_TRY(file.status());
  LAYERSCOPE_ASSIGN(const auto weights, open_checkpoint(folder));
  LAYERSCOPE_ASSIGN(norm.weight, floats_of(*weights, "norm.weight", {*dimension}, norm.config));
  LAYERSCOPE_ASSIGN(norm.bias, floats_of(*weights, "norm.bias", {*dimension}, norm.config));
  LAYERSCOPE_TRY(only_tensors(*weights, 2, norm.config));
  files.push_back(norm.config);
  files.insert(files.end(), weights->files().begin(), weights->files().end());
  return norm;
}

Status read_normalize(const std::string& folder, std::vector<std::string>& files) {
  const std::string path = folder + "/config.json";
  if (!file_exists(path)) return {};
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  expect_vector(file);
  files.push_back(path);
  return file.status();
}

// One entry of modules.json behind the first.
Status read_module(const std::string& list, std::string_view kind, const std::string& type, const std::string& folder,
                   bool& pooled, SentenceModules& modules) {
  const std::string shown = "\"type\" \"" + printable(type) + "\"";
  if (kind == "Transformer") return refused(list, shown + " stands in a place other than the first");
  if (kind == "Dropout") return {};
  if (kind == "Pooling") {
    if (pooled) return refused(list, shown + " stands there twice");
    pooled = true;
    LAYERSCOPE_ASSIGN(modules.pooling, read_pooling(folder + "/config.json"));
    modules.files.push_back(modules.pooling.config);
    return {};
  }
  if (kind != "Dense" && kind != "LayerNorm" && kind != "Normalize")
    return refused(list,
                   shown + " is not supported (Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout are)");
  if (!pooled) return refused(list, shown + " stands before a Pooling module: vectors of tokens are not made here");
  if (kind == "Dense") {
    LAYERSCOPE_ASSIGN(DenseModule dense, read_dense(folder, modules.files));
    modules.after.emplace_back(std::move(dense));
  } else if (kind == "LayerNorm") {
    LAYERSCOPE_ASSIGN(LayerNormModule norm, read_layer_norm(folder, modules.files));
    modules.after.emplace_back(std::move(norm));
  } else {
    LAYERSCOPE_TRY(read_normalize(folder, modules.files));
    modules.after.emplace_back(NormalizeModule{});
  }
  return {};
}

Status read_list(const std::string& folder, SentenceModules& modules) {
  const std::string path = folder + "/modules.json";
  LAYERSCOPE_ASSIGN(const Json json, read_json_file(path, ErrorCode::kModel));
  if (json.array() == nullptr || json.array()->empty()) return refused(path, "is no list of modules");
  modules.files.push_back(path);
  bool pooled = false, first = true;
  for (const Json& entry : *json.array()) {
    const Json *type = entry.find("type"), *place = entry.find("path");
    if (type == nullptr || type->string() == nullptr) return refused(path, "a module has no \"type\"");
    if (place == nullptr || place->string() == nullptr) return refused(path, "a module has no \"path\"");
    if (!type->string()->starts_with("sentence_transformers.")) {
      return refused(path,
                     "\"type\" \"" + printable(*type->string()) + "\" is code of the folder's own, which is never run");
    }
    LAYERSCOPE_ASSIGN(const std::string at, inside_folder(folder, *place->string(), path));
    const std::string_view kind = last_part(*type->string());
    if (first && kind != "Transformer")
      return refused(path, "\"type\" \"" + printable(*type->string()) + "\" is first, expected a Transformer");
    if (!first) LAYERSCOPE_TRY(read_module(path, kind, *type->string(), at, pooled, modules));
    if (first) modules.model_folder = at;
    first = false;
  }
  return pooled ? Status() : refused(path, "lists no Pooling module, so that no vector of a text is made");
}

// config.json and tokenizer_config.json: what the Transformer module takes from them.
Status read_model_files(SentenceModules& modules, bool with_list) {
  LAYERSCOPE_ASSIGN(const SettingsFile config, SettingsFile::open(modules.model_folder + "/config.json"));
  const Json* names = config.find("architectures");
  const bool causal = names != nullptr && names->array() != nullptr && !names->array()->empty() &&
                      names->array()->front().string() != nullptr &&
                      names->array()->front().string()->ends_with("ForCausalLM");
  const Json* is_causal = config.find("is_causal");
  const bool both_ways = is_causal != nullptr && is_causal->boolean() != nullptr && !*is_causal->boolean();
  if (!with_list) modules.pooling.modes = {causal && !both_ways ? Pooling::kLast : Pooling::kMean};

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
    modules.files.push_back(path);
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

Status read_transformer(SentenceModules& modules) {
  for (const std::string& path : transformer_settings(modules.model_folder)) {
    LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
    if (const std::optional<std::int64_t> limit = file.size("max_seq_length")) modules.max_length = limit;
    modules.lower_case = file.boolean("do_lower_case", false);
    const std::string task = file.text("transformer_task", "feature-extraction");
    if (task != "feature-extraction")
      file.refuse("transformer_task", "is \"" + printable(task) + "\", supported is feature-extraction");
    const std::string output = file.text("module_output_name", "token_embeddings");
    if (output != "token_embeddings")
      file.refuse("module_output_name", "is \"" + printable(output) + "\", supported is token_embeddings");
    if (const Json* extra = file.find("processing_kwargs"); extra != nullptr && extra->dump() != "{}")
      file.refuse("processing_kwargs", "is " + printable(extra->dump()) + ", which is not supported");
    if (const Json* ways = file.find("modality_config"); ways != nullptr && ways->find("message") == nullptr)
      modules.chat_template.clear();
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

Status read_sentence_settings(const std::string& folder, SentenceModules& modules) {
  const std::string path = folder + "/config_sentence_transformers.json";
  if (!file_exists(path)) return {};
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  modules.files.push_back(path);
  const std::string type = file.text("model_type", "SentenceTransformer");
  if (type != "SentenceTransformer")
    file.refuse("model_type", "is \"" + printable(type) + "\", supported is SentenceTransformer");
  modules.truncate_dim = file.size("truncate_dim");
  const std::string similarity = file.text("similarity_fn_name", "cosine");
  for (const std::string_view known : {"cosine", "dot", "euclidean", "manhattan"}) {
    if (similarity == known) modules.similarity = similarity;
  }
  return read_prompts(file, modules);
}

}  // namespace

Result<SentenceModules> read_modules(const std::string& folder) {
  SentenceModules modules{.model_folder = folder};
  const bool with_list = file_exists(folder + "/modules.json");
  if (with_list) {
    LAYERSCOPE_TRY(read_list(folder, modules));
  }
  LAYERSCOPE_TRY(read_model_files(modules, with_list));
  if (with_list) {
    LAYERSCOPE_TRY(read_transformer(modules));
    LAYERSCOPE_TRY(read_sentence_settings(folder, modules));
  }
  return modules;
}

}  // namespace layerscope
