#include "engine/weights.h"

#include <cstring>
#include <map>

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

std::vector<float> elements(const MatrixView& view) {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(view.outputs * view.inputs));
  for (std::int64_t i = 0; i < view.outputs; ++i) {
    for (std::int64_t j = 0; j < view.inputs; ++j) values.push_back(element(view, i, j));
  }
  return values;
}

class Loader {
 public:
  Loader(const Bindings& bindings, const Backend& backend, std::string prefix)
      : backend_(backend), prefix_(std::move(prefix)) {
    for (const Binding& binding : bindings.bound) slots_.emplace(binding.slot.name, &binding);
  }

  Result<StackWeights> stack(const Stack& stack) {
    StackWeights weights;
    weights.token = view("embed.token.weight");
    if (stack.embedding.positions) weights.position = view("embed.position.weight");
    if (stack.embedding.types > 0) weights.type = view("embed.type.weight");
    weights.embed_norm = norm("embed.norm", stack.embedding.norm);
    weights.top = norm("top", stack.top);
    if (slots_.contains(prefix_ + "score.weight")) weights.score = elements(view("score.weight"));
    for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
      std::vector<StepWeights> steps;
      for (const Step& step : stack.blocks[i].steps) {
        const std::string at = "block." + std::to_string(i) + "." + step.slot + ".";
        StepWeights loaded{.pre = norm(at + "pre", step.pre),
                           .post = norm(at + "post", step.post),
                           .after = norm(at + "after", step.after)};
        if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
          LAYERSCOPE_ASSIGN(loaded.attention, mixer(at, *attention));
        } else {
          LAYERSCOPE_ASSIGN(loaded.mlp, mixer(at, std::get<Mlp>(step.mixer)));
        }
        steps.push_back(std::move(loaded));
      }
      weights.blocks.push_back(std::move(steps));
    }
    return weights;
  }

  std::size_t bytes = 0;

 private:
  [[nodiscard]] const MatrixView& view(const std::string& slot) const { return slots_.at(prefix_ + slot)->view; }

  std::unique_ptr<NormWeights> norm(const std::string& module, const std::optional<Norm>& spec) {
    if (!spec) return nullptr;
    auto loaded = std::make_unique<NormWeights>();
    loaded->weight = elements(view(module + ".weight"));
    if (spec->bias) loaded->bias = elements(view(module + ".bias"));
    loaded->view = {.kind = spec->kind,
                    .epsilon = spec->epsilon,
                    .weight = loaded->weight.data(),
                    .bias = spec->bias ? loaded->bias.data() : nullptr};
    return loaded;
  }

  Result<std::unique_ptr<PackedLinear>> linear(const std::vector<std::string>& modules, bool biased,
                                               Activation activation = Activation::kNone) {
    std::vector<MatrixView> parts;
    std::vector<float> bias;
    for (const std::string& module : modules) {
      parts.push_back(view(module + ".weight"));
      if (!biased) continue;
      const std::vector<float> part = elements(view(module + ".bias"));
      bias.insert(bias.end(), part.begin(), part.end());
    }
    LAYERSCOPE_ASSIGN(std::unique_ptr<PackedLinear> packed, backend_.pack(parts, bias, activation));
    bytes += packed->bytes;
    return packed;
  }

  Result<AttentionWeights> mixer(const std::string& at, const Attention& attention) {
    AttentionWeights weights;
    const std::string q = at + "q", k = at + "k", v = at + "v";
    if (attention.keys == KeySource::kEncoder) {
      LAYERSCOPE_ASSIGN(weights.in, linear({q}, attention.qkv_bias));
      LAYERSCOPE_ASSIGN(weights.memory, linear({k, v}, attention.qkv_bias));
    } else {
      LAYERSCOPE_ASSIGN(weights.in, linear({q, k, v}, attention.qkv_bias));
    }
    LAYERSCOPE_ASSIGN(weights.out, linear({at + "out"}, attention.out_bias));
    weights.q_norm = norm(at + "q_norm", attention.q_norm);
    weights.k_norm = norm(at + "k_norm", attention.k_norm);
    return weights;
  }

  Result<MlpWeights> mixer(const std::string& at, const Mlp& mlp) {
    MlpWeights weights;
    const std::string up = at + "up", gate = at + "gate";
    if (mlp.gated) {
      LAYERSCOPE_ASSIGN(weights.in, linear({gate, up}, mlp.bias));
    } else {
      LAYERSCOPE_ASSIGN(weights.in, linear({up}, mlp.bias, mlp.activation));
    }
    LAYERSCOPE_ASSIGN(weights.down, linear({at + "down"}, mlp.bias));
    return weights;
  }

  const Backend& backend_;
  std::string prefix_;
  std::map<std::string, const Binding*, std::less<>> slots_;
};

}  // namespace

Result<ModelWeights> load_weights(const ModelSpec& spec, const Bindings& bindings, const Backend& backend) {
  ModelWeights weights;
  if (spec.encoder) {
    Loader loader(bindings, backend, spec.two_stacks() ? "enc." : "");
    LAYERSCOPE_ASSIGN(weights.encoder, loader.stack(*spec.encoder));
    weights.packed_bytes += loader.bytes;
  }
  if (spec.decoder) {
    Loader loader(bindings, backend, spec.two_stacks() ? "dec." : "");
    LAYERSCOPE_ASSIGN(weights.decoder, loader.stack(*spec.decoder));
    weights.packed_bytes += loader.bytes;
  }
  return weights;
}

}  // namespace layerscope
