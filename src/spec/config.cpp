#include "spec/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

struct NamedActivation {
  std::string_view name;
  Activation activation;
};
// transformers, src/transformers/activations.py: ACT2CLS. Names that stand for other formulas are not here on purpose.
constexpr std::array kActivations = {
    NamedActivation{"gelu", Activation::kGeluErf},
    NamedActivation{"gelu_python", Activation::kGeluErf},
    NamedActivation{"gelu_new", Activation::kGeluTanh},
    NamedActivation{"gelu_fast", Activation::kGeluTanh},
    NamedActivation{"gelu_pytorch_tanh", Activation::kGeluTanh},
    NamedActivation{"gelu_python_tanh", Activation::kGeluTanh},
    NamedActivation{"relu", Activation::kRelu},
    NamedActivation{"silu", Activation::kSilu},
    NamedActivation{"swish", Activation::kSilu},
    NamedActivation{"quick_gelu", Activation::kQuickGelu},
    NamedActivation{"tanh", Activation::kTanh},
    NamedActivation{"relu2", Activation::kReluSquared},
    NamedActivation{"sigmoid", Activation::kSigmoid},
};

// Keys by which some model of the field changes its forward pass. A family that handles one asks for it; for the others
// only "off" is acceptable: absent, null, false, 0, "", [] or {}.
constexpr std::string_view kChangesMathematics[] = {
    "adapters",
    "add_cross_attention",
    "alibi",
    "apply_residual_connection_post_layernorm",
    "attention_chunk_size",
    "attention_multiplier",
    "attn_config",
    "attn_logit_softcapping",
    "auto_map",
    "clip_qkv",
    "compression_config",
    "conv_kernel_size",
    "embedding_multiplier",
    "embedding_size",
    "final_logit_softcapping",
    "is_decoder",
    "is_encoder_decoder",
    "layer_types",
    "logit_scale",
    "logits_scaling",
    "no_rope_layers",
    "num_experts",
    "num_local_experts",
    "parallel_attn",
    "partial_rotary_factor",
    "per_layer_config",
    "position_embedding_type",
    "pruned_heads",
    "qk_layernorm",
    "quantization_config",
    "query_pre_attn_scalar",
    "residual_multiplier",
    "rope_parameters",
    "rope_scaling",
    "sliding_window",
    "use_bidirectional_attention",
    "use_parallel_residual",
    "use_qk_norm",
    "use_sliding_window",
};

// Keys whose absence means true, and whose false changes the states: a decoder without its causal mask, an un-normed
// top.
constexpr std::string_view kOnlyTrue[] = {"is_causal", "tie_last_hidden_states"};

bool is_off(const Json& value) {
  if (value.is_null()) return true;
  if (const bool* flag = value.boolean()) return !*flag;
  if (const auto* number = value.integer()) return *number == 0;
  if (const double* number = value.real()) return *number == 0;
  if (const std::string* text = value.string()) return text->empty();
  if (const auto* list = value.array()) return list->empty();
  return value.object()->empty();
}

constexpr std::size_t kMaxMessage = 600;

std::string shown(const Json& value) {
  std::string text = value.dump();
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace

std::span<const std::string_view> settings_that_matter() { return kChangesMathematics; }

Result<Config> Config::open(const std::string& path) {
  LAYERSCOPE_ASSIGN(Json json, read_json_file(path, ErrorCode::kModel));
  if (json.object() == nullptr) return Error{ErrorCode::kModel, path + ": is no JSON object"};
  return Config(std::move(json), path);
}

const Json* Config::find(std::string_view key) const {
  const auto alias = aliases_.find(key);
  return find_exactly(alias == aliases_.end() ? key : std::string_view(alias->second));
}

const Json* Config::find_exactly(std::string_view key) const {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) return json_.find(key);
  const Json* object = json_.find(key.substr(0, dot));
  return object == nullptr || object->object() == nullptr ? nullptr : object->find(key.substr(dot + 1));
}

const Json* Config::look(std::string_view key) {
  read_.emplace(key.substr(0, key.find('.')));
  const Json* value = find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Config::has(std::string_view key) const {
  const Json* value = find(key);
  return value != nullptr && !value->is_null();
}

void Config::refuse(const std::string& message) {
  if (!error_) error_ = Error{ErrorCode::kModel, file_ + ": " + printable(message, kMaxMessage)};
}

void Config::require(bool condition, const std::string& message) {
  if (!condition) refuse(message);
}

void Config::refuse_value(std::string_view key, const Json* value, std::string_view expected) {
  const std::string found = value == nullptr ? "is missing" : "is " + shown(*value);
  refuse("\"" + std::string(key) + "\" " + found + ", expected " + std::string(expected));
}

std::string Config::model_type() {
  const Json* value = look("model_type");
  if (value == nullptr || value->string() == nullptr || value->string()->empty())
    return wrong(std::string_view("model_type"), value, "the name of a model type", std::string());
  return *value->string();
}

std::string Config::architecture() {
  const auto names = texts("architectures");
  return names && !names->empty() ? names->front() : std::string();
}

bool Config::written_before(std::int64_t major) const {
  const Json* version = find("transformers_version");
  if (version == nullptr || version->string() == nullptr) return major > 4;
  std::int64_t written = 0;
  for (const char digit : *version->string()) {
    if (digit < '0' || digit > '9' || written > 1000) break;
    written = 10 * written + (digit - '0');
  }
  return written < major;
}

bool Config::architecture_ends_in(std::initializer_list<std::string_view> endings) {
  const std::string name = architecture();
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

std::int64_t Config::size(std::string_view key, std::optional<std::int64_t> fallback) {
  const Json* value = look(key);
  if (value == nullptr && fallback) return *fallback;
  const std::int64_t* number = value == nullptr ? nullptr : value->integer();
  if (number == nullptr || *number < 1 || *number > kMaxConfigSize)
    return wrong(key, value, "an integer from 1 to 2^28", std::int64_t{1});
  return *number;
}

std::int64_t Config::layers(std::string_view key) {
  const std::int64_t count = size(key);
  return count <= kMaxLayers ? count : wrong(key, look(key), "at most " + std::to_string(kMaxLayers), std::int64_t{1});
}

std::optional<std::int64_t> Config::optional_size(std::string_view key) {
  if (look(key) == nullptr) return std::nullopt;
  return size(key);
}

std::optional<std::int64_t> Config::nullable_size(std::string_view key, std::optional<std::int64_t> fallback) {
  return find(key) == nullptr ? fallback : optional_size(key);
}

std::int64_t Config::index(std::string_view key, std::optional<std::int64_t> fallback) {
  const Json* value = look(key);
  if (value == nullptr && fallback) return *fallback;
  const std::int64_t* number = value == nullptr ? nullptr : value->integer();
  if (number == nullptr || *number < 0 || *number > kMaxConfigSize)
    return wrong(key, value, "an integer from 0 to 2^28", std::int64_t{0});
  return *number;
}

std::optional<std::int64_t> Config::token(std::string_view key) {
  const Json* value = look(key);
  const std::int64_t* id = value == nullptr ? nullptr : value->integer();
  return id == nullptr || *id < 0 || *id > kMaxConfigSize ? std::nullopt : std::optional(*id);
}

double Config::real(std::string_view key, std::optional<double> fallback) {
  const Json* value = look(key);
  if (value == nullptr && fallback) return *fallback;
  if (value != nullptr && value->integer() != nullptr) return static_cast<double>(*value->integer());
  if (value == nullptr || value->real() == nullptr || !std::isfinite(*value->real()))
    return wrong(key, value, "a finite number", 1.0);
  return *value->real();
}

float Config::epsilon(std::string_view key, std::optional<double> fallback) {
  const double value = real(key, fallback);
  if (!(value > 0 && value < 1)) return wrong(key, look(key), "a number between 0 and 1", 1e-5F);
  return static_cast<float>(value);
}

bool Config::flag(std::string_view key, bool fallback) {
  const Json* value = look(key);
  if (value == nullptr) return fallback;
  if (value->boolean() == nullptr) return wrong(key, value, "true or false", fallback);
  return *value->boolean();
}

std::string Config::text(std::string_view key, std::string_view fallback) {
  const Json* value = look(key);
  if (value == nullptr) return std::string(fallback);
  if (value->string() == nullptr) return wrong(key, value, "a text", std::string(fallback));
  return *value->string();
}

std::optional<std::vector<std::int64_t>> Config::indices(std::string_view key) {
  const Json* value = look(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> result;
  if (value->array() == nullptr) return wrong(key, value, "a list of integers", result);
  for (const Json& item : *value->array()) {
    if (item.integer() == nullptr || *item.integer() < 0 || *item.integer() > kMaxConfigSize)
      return wrong(key, value, "a list of integers from 0 to 2^28", result);
    result.push_back(*item.integer());
  }
  return result;
}

std::optional<std::vector<std::string>> Config::texts(std::string_view key) {
  const Json* value = look(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> result;
  if (value->array() == nullptr) return wrong(key, value, "a list of texts", result);
  for (const Json& item : *value->array()) {
    if (item.string() == nullptr) return wrong(key, value, "a list of texts", result);
    result.push_back(*item.string());
  }
  return result;
}

Activation Config::activation(std::string_view key, std::string_view fallback) {
  return activation_named(key, text(key, fallback));
}

Activation Config::activation_named(std::string_view key, std::string_view name) {
  const auto* found =
      std::find_if(kActivations.begin(), kActivations.end(), [&](const auto& entry) { return entry.name == name; });
  if (found != kActivations.end()) return found->activation;
  std::string known;
  for (const auto& entry : kActivations) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  refuse("\"" + std::string(key) + "\" names the activation " + shown(Json(std::string(name))) +
         ", expected one of: " + known);
  return Activation::kNone;
}

void Config::only(std::string_view key, bool value) {
  limits_[std::string(key)] = value ? "true" : "false";
  const Json* found = look(key);
  if (found == nullptr) return;
  if (found->boolean() == nullptr || *found->boolean() != value) refuse_value(key, found, value ? "true" : "false");
}

void Config::only(std::string_view key, std::int64_t value) {
  limits_[std::string(key)] = std::to_string(value);
  const Json* found = look(key);
  if (found == nullptr) return;
  if (found->integer() == nullptr || *found->integer() != value) refuse_value(key, found, std::to_string(value));
}

void Config::only(std::string_view key, std::string_view value) {
  limits_[std::string(key)] = "\"" + std::string(value) + "\"";
  const Json* found = look(key);
  if (found == nullptr) return;
  if (found->string() == nullptr || *found->string() != value)
    refuse_value(key, found, "\"" + std::string(value) + "\"");
}

void Config::absent(std::string_view key) {
  limits_[std::string(key)] = "off";
  const Json* found = look(key);
  if (found != nullptr && !is_off(*found))
    refuse_value(key, found, "no such setting (it is not supported for this model type)");
}

void Config::alias(std::string_view key, std::string_view name) {
  const Json* found = look(key);
  const Json* original = look(name);
  if (found == nullptr || (original != nullptr && *found == *original)) return;
  if (original == nullptr) {
    aliases_.emplace(name, key);
    return;
  }
  refuse_value(key, found, "the value of \"" + std::string(name) + "\", of which it is another name");
}

void Config::ignore(std::string_view key) { read_.emplace(key); }

Status Config::finish() {
  for (const std::string_view key : kOnlyTrue) {
    if (!read_.contains(key)) only(key, true);
  }
  if (error_) return *error_;
  for (const std::string_view key : kChangesMathematics) {
    const Json* value = json_.find(key);
    if (value == nullptr || read_.contains(key) || is_off(*value)) continue;
    if (key == "auto_map") {
      return Error{ErrorCode::kModel, file_ + ": \"auto_map\" is " + shown(*value) +
                                          ": the model brings its own code, which is never run"};
    }
    if (key == "quantization_config") {
      const Json* method = value->find("quant_method");
      return Error{ErrorCode::kModel, file_ + ": \"quantization_config\" names the method " +
                                          (method == nullptr ? "(none)" : shown(*method)) +
                                          ": quantised checkpoints are not supported, use the F32, F16 or BF16 one"};
    }
    return Error{ErrorCode::kModel, file_ + ": \"" + std::string(key) + "\" is " + shown(*value) +
                                        ", which this model type does not support here"};
  }
  return {};
}

}  // namespace layerscope
