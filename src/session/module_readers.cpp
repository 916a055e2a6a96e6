#include "session/module_readers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {

Error refused_module(const std::string& file, const std::string& what) {
  return {ErrorCode::kModel, file + ": " + what};
}

std::string_view last_part(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

namespace {

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

}  // namespace

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

Result<std::vector<float>> stored_floats(const Checkpoint& weights, const std::string& name, const Shape& shape,
                                         const std::string& config) {
  const std::string& path = weights.files().front();
  const SourceTensor* tensor = weights.find(name);
  if (tensor == nullptr) return refused_module(path, "lacks tensor \"" + name + "\", which " + config + " asks for");
  if (!(tensor->view.shape == shape)) {
    return refused_module(path, "tensor \"" + name + "\" has shape " + tensor->view.shape.text() + ", " + config +
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
      default: return refused_module(path, "tensor \"" + name + "\" is no float tensor");
    }
    if (!std::isfinite(value)) return refused_module(path, "tensor \"" + name + "\" holds a value that is not finite");
    data += size;
  }
  return values;
}

namespace {

Status only_tensors(const Checkpoint& weights, std::size_t expected, const std::string& config) {
  if (weights.tensors().size() == expected) return {};
  return refused_module(weights.files().front(), "holds " + std::to_string(weights.tensors().size()) + " tensors, " +
                                                     config + " asks for " + std::to_string(expected));
}

// The module reads one of the `known` features, `fallback` where it does not say, and writes its output there too.
void expect_names(SettingsFile& file, std::initializer_list<std::string_view> known, std::string_view fallback) {
  const std::string in = file.text("module_input_name", fallback);
  const std::string out = file.text("module_output_name", in);
  std::string list;
  for (const std::string_view name : known) list += (list.empty() ? "" : " or ") + std::string(name);
  if (std::find(known.begin(), known.end(), in) == known.end())
    file.refuse("module_input_name", "is \"" + printable(in) + "\", only " + list + " is supported");
  else if (out != in)
    file.refuse("module_output_name", "is \"" + printable(out) + "\", only " + in + " is supported");
}

}  // namespace

Result<DenseModule> read_dense(const std::string& folder, std::initializer_list<std::string_view> inputs_read,
                               std::vector<std::string>& files) {
  const std::string path = folder + "/config.json";
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  expect_names(file, inputs_read, *inputs_read.begin());
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
  LAYERSCOPE_ASSIGN(dense.weight, stored_floats(*weights, "linear.weight", matrix, path));
  if (bias) {
    LAYERSCOPE_ASSIGN(dense.bias, stored_floats(*weights, "linear.bias", {dense.outputs}, path));
  }
  const bool projected = dense.use_residual && dense.inputs != dense.outputs;
  if (projected) {
    LAYERSCOPE_ASSIGN(dense.residual, stored_floats(*weights, "residual.weight", matrix, path));
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
  LAYERSCOPE_ASSIGN(norm.weight, stored_floats(*weights, "norm.weight", {*dimension}, norm.config));
  LAYERSCOPE_ASSIGN(norm.bias, stored_floats(*weights, "norm.bias", {*dimension}, norm.config));
  LAYERSCOPE_TRY(only_tensors(*weights, 2, norm.config));
  files.push_back(norm.config);
  files.insert(files.end(), weights->files().begin(), weights->files().end());
  return norm;
}

Result<std::optional<DenseModule>> read_linear(const std::string& folder, const std::string& name,
                                               std::vector<std::string>& files) {
  const std::string file = name + ".safetensors", path = folder + "/" + file;
  if (!file_exists(path)) {
    if (!file_exists(folder + "/" + name + ".pt")) return std::optional<DenseModule>();
    return refused_module(
        folder + "/" + name + ".pt",
        "is pickled and never read, as such files can run code; convert it to " + file + " as docs/cli.md says");
  }
  LAYERSCOPE_ASSIGN(const auto weights, open_weight_file(folder, file));
  const SourceTensor* matrix = weights->find("weight");
  if (matrix == nullptr || matrix->view.shape.rank() != 2 || matrix->view.shape.elements() == 0)
    return refused_module(path, "has no matrix \"weight\"");
  DenseModule dense{.activation = DenseActivation::kIdentity, .config = path};
  dense.outputs = matrix->view.shape[0];
  dense.inputs = matrix->view.shape[1];
  LAYERSCOPE_ASSIGN(dense.weight, stored_floats(*weights, "weight", matrix->view.shape, path));
  if (weights->find("bias") != nullptr) {
    LAYERSCOPE_ASSIGN(dense.bias, stored_floats(*weights, "bias", {dense.outputs}, path));
  }
  LAYERSCOPE_TRY(only_tensors(*weights, dense.bias.empty() ? 1 : 2, path));
  files.push_back(path);
  return std::optional<DenseModule>(std::move(dense));
}

Status read_normalize(const std::string& folder, std::string_view input, std::vector<std::string>& files) {
  const std::string path = folder + "/config.json";
  if (!file_exists(path) && input == kSentenceInput) return {};
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  expect_names(file, {input}, kSentenceInput);
  files.push_back(path);
  return file.status();
}

}  // namespace layerscope
