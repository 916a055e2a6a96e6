#include "engine/loader.h"

#include <cstring>

#include "base/half.h"
#include "base/try.h"

namespace layerscope {
namespace {

float element(const MatrixView& view, std::int64_t output, std::int64_t input) {
  const std::byte* at = view.data + static_cast<std::size_t>(output * view.output_stride + input * view.input_stride) *
                                        dtype_size(view.dtype);
  if (view.dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return view.dtype == DType::kBF16 ? bf16_to_float(bits) : f16_to_float(bits);
}

}  // namespace

Loader::Loader(const Bindings& bindings, const Backend& backend, std::string prefix)
    : backend_(backend), prefix_(std::move(prefix)) {
  for (const Binding& binding : bindings.bound) slots_.emplace(binding.slot.name, &binding);
}

const std::vector<MatrixView>& Loader::views(const std::string& slot) const { return slots_.at(prefix_ + slot)->views; }

std::vector<float> Loader::elements(const std::string& slot) const {
  std::vector<float> values;
  for (const MatrixView& view : views(slot)) {
    values.reserve(values.size() + static_cast<std::size_t>(view.outputs * view.inputs));
    for (std::int64_t i = 0; i < view.outputs; ++i) {
      for (std::int64_t j = 0; j < view.inputs; ++j) values.push_back(element(view, i, j));
    }
  }
  return values;
}

std::unique_ptr<NormWeights> Loader::norm(const std::string& module, const std::optional<Norm>& spec) const {
  if (!spec) return nullptr;
  auto loaded = std::make_unique<NormWeights>();
  loaded->view = {.kind = spec->kind, .epsilon = spec->epsilon};
  if (!spec->weight) return loaded;
  loaded->weight = elements(module + ".weight");
  for (float& value : loaded->weight) value += spec->offset;
  loaded->view.weight = loaded->weight.data();
  if (!spec->bias) return loaded;
  loaded->bias = elements(module + ".bias");
  loaded->view.bias = loaded->bias.data();
  return loaded;
}

Result<std::unique_ptr<PackedLinear>> Loader::linear(const std::vector<std::string>& modules, bool biased,
                                                     Activation activation) {
  std::vector<MatrixView> parts;
  std::vector<float> bias;
  for (const std::string& module : modules) {
    const std::vector<MatrixView>& pieces = views(module + ".weight");
    parts.insert(parts.end(), pieces.begin(), pieces.end());
    if (!biased) continue;
    std::vector<float> part;
    if (has(module + ".bias")) part = elements(module + ".bias");
    for (const MatrixView& piece : pieces) {
      if (!has(module + ".bias")) part.resize(part.size() + static_cast<std::size_t>(piece.outputs), 0.0F);
    }
    bias.insert(bias.end(), part.begin(), part.end());
  }
  return pack(parts, bias, activation);
}

Result<std::unique_ptr<PackedLinear>> Loader::pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                                   Activation activation) {
  LAYERSCOPE_ASSIGN(std::unique_ptr<PackedLinear> packed, backend_.pack(parts, bias, activation));
  bytes += packed->bytes;
  return packed;
}

}  // namespace layerscope
