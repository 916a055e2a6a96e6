#include "session/vector_modules.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace layerscope {
namespace {

double softplus(double x) { return x > 20 ? x : std::log1p(std::exp(x)); }

double activate(DenseActivation activation, double x) {
  switch (activation) {
    case DenseActivation::kIdentity: return x;
    case DenseActivation::kTanh: return std::tanh(x);
    case DenseActivation::kRelu: return std::max(x, 0.0);
    case DenseActivation::kRelu6: return std::clamp(x, 0.0, 6.0);
    case DenseActivation::kLeakyRelu: return x < 0 ? 0.01 * x : x;
    case DenseActivation::kGelu: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case DenseActivation::kSilu: return x / (1 + std::exp(-x));
    case DenseActivation::kSigmoid: return 1 / (1 + std::exp(-x));
    case DenseActivation::kElu: return x < 0 ? std::expm1(x) : x;
    case DenseActivation::kSoftplus: return softplus(x);
    case DenseActivation::kMish: return x * std::tanh(softplus(x));
  }
  return x;
}

// Eight sums side by side, which a compiler can keep in one register and whose order is fixed all the same.
double dot(const float* a, const float* b, std::size_t size) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= size; i += sums.size()) {
    for (std::size_t k = 0; k < sums.size(); ++k)
      sums[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  }
  for (; i < size; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

void apply_module(const DenseModule& dense, std::vector<float>& vector) {
  const auto inputs = static_cast<std::size_t>(dense.inputs);
  std::vector<float> out(static_cast<std::size_t>(dense.outputs));
  for (std::size_t row = 0; row < out.size(); ++row) {
    const double bias = dense.bias.empty() ? 0.0 : static_cast<double>(dense.bias[row]);
    double value = activate(dense.activation, dot(dense.weight.data() + row * inputs, vector.data(), inputs) + bias);
    if (dense.use_residual) {
      value += dense.residual.empty() ? static_cast<double>(vector[row])
                                      : dot(dense.residual.data() + row * inputs, vector.data(), inputs);
    }
    out[row] = static_cast<float>(value);
  }
  vector = std::move(out);
}

void apply_module(const LayerNormModule& norm, std::vector<float>& vector) {
  constexpr double kEpsilon = 1e-5;  // torch.nn.LayerNorm
  const auto size = static_cast<double>(vector.size());
  double sum = 0, squares = 0;
  for (const float value : vector) sum += static_cast<double>(value);
  const double mean = sum / size;
  for (const float value : vector) squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
  const double scale = 1 / std::sqrt(squares / size + kEpsilon);
  for (std::size_t i = 0; i < vector.size(); ++i) {
    vector[i] =
        static_cast<float>((static_cast<double>(vector[i]) - mean) * scale * static_cast<double>(norm.weight[i]) +
                           static_cast<double>(norm.bias[i]));
  }
}

void apply_module(const NormalizeModule&, std::vector<float>& vector) {
  constexpr double kLeast = 1e-12;  // torch.nn.functional.normalize
  const double length = std::max(std::sqrt(dot(vector.data(), vector.data(), vector.size())), kLeast);
  for (float& value : vector) value = static_cast<float>(static_cast<double>(value) / length);
}

}  // namespace layerscope
