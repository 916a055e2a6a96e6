// What every operation means, as plain loops. T (float or double) is the type of all arithmetic; operands may be of any
// float type and are rounded once, where they are written. Tests measure the kernels against T = double.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "kernels/arguments.h"
#include "kernels/scalar.h"

namespace layerscope::reference {

template <class T>
[[nodiscard]] T load(const RowsView& rows, std::int64_t row, std::int64_t column) noexcept {
  return load_element<T>(rows.dtype, rows.data, row * rows.stride + column);
}
template <class T>
void store(const MutableRows& rows, std::int64_t row, std::int64_t column, T value) noexcept {
  store_element<T>(rows.dtype, rows.data, row * rows.stride + column, value);
}

/// The formulas of base/functions.h.
template <class T>
[[nodiscard]] T activate(Activation activation, T x) noexcept {
  const auto sigmoid = [](T y) { return T(1) / (T(1) + std::exp(-y)); };
  switch (activation) {
    case Activation::kNone: return x;
    case Activation::kRelu: return x < T(0) ? T(0) : x;
    case Activation::kGeluErf: return T(0.5) * x * std::erfc(-x * T(0.70710678118654752440L));
    case Activation::kGeluTanh: {
      // 0.5 (1 + tanh u) = sigmoid(2 u), which does not cancel for negative u.
      const T u = T(0.79788456080286535588L) * (x + T(0.044715L) * x * x * x);
      return x * sigmoid(T(2) * u);
    }
    case Activation::kSilu: return x * sigmoid(x);
    case Activation::kQuickGelu: return x * sigmoid(T(1.702L) * x);
    case Activation::kTanh: return std::tanh(x);
    case Activation::kSigmoid: return sigmoid(x);
    case Activation::kReluSquared: return x < T(0) ? T(0) : x * x;
  }
  return x;
}

/// out = activation(in W^T + bias); W is the parts' outputs end to end.
template <class T>
void linear(std::span<const MatrixView> parts, std::span<const float> bias, Activation activation, const RowsView& in,
            const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < in.rows; ++row) {
    std::int64_t column = 0;
    for (const MatrixView& part : parts) {
      for (std::int64_t output = 0; output < part.outputs; ++output, ++column) {
        T sum = 0;
        for (std::int64_t i = 0; i < part.inputs; ++i) {
          sum += load<T>(in, row, i) *
                 load_element<T>(part.dtype, part.data, output * part.output_stride + i * part.input_stride);
        }
        if (!bias.empty()) sum += static_cast<T>(bias[static_cast<std::size_t>(column)]);
        store(out, row, column, activate(activation, sum));
      }
    }
  }
}

/// out[i] (+)= scale * table[ids[i]].
template <class T>
void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
            const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::int64_t id = ids[static_cast<std::size_t>(row)];
    for (std::int64_t j = 0; j < out.width; ++j) {
      const T value = static_cast<T>(scale) *
                      load_element<T>(table.dtype, table.data, id * table.output_stride + j * table.input_stride);
      store(out, row, j, accumulate ? load<T>(out.view(), row, j) + value : value);
    }
  }
}

/// One group of `width` elements from column `first` on, normed.
template <class T>
void norm_group(const NormView& norm, std::int64_t width, const RowsView& in, std::int64_t row, std::int64_t first,
                const MutableRows& out) noexcept {
  T mean = 0;
  if (norm.kind == NormKind::kLayer) {
    for (std::int64_t j = 0; j < width; ++j) mean += load<T>(in, row, first + j);
    mean /= static_cast<T>(width);
  }
  T squares = 0;
  for (std::int64_t j = 0; j < width; ++j) {
    const T centred = load<T>(in, row, first + j) - mean;
    squares += centred * centred;
  }
  const T factor = T(1) / std::sqrt(squares / static_cast<T>(width) + static_cast<T>(norm.epsilon));
  for (std::int64_t j = 0; j < width; ++j) {
    const T weight = norm.weight != nullptr ? static_cast<T>(norm.weight[j]) : T(1);
    const T bias = norm.bias != nullptr ? static_cast<T>(norm.bias[j]) : T(0);
    store(out, row, first + j, (load<T>(in, row, first + j) - mean) * factor * weight + bias);
  }
}

template <class T>
void norm(const NormView& norm, const RowsView& in, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < in.rows; ++row) norm_group<T>(norm, in.width, in, row, 0, out);
}

template <class T>
void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) noexcept {
  const std::int64_t width = rows.width / heads;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (std::int64_t h = 0; h < heads; ++h) {
      norm_group<T>(norm_of_head(norm, h), width, rows.view(), row, h * width, rows);
    }
  }
}

/// x += scale * t, then x = after(x) where `after` is given.
template <class T>
void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) noexcept {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for (std::int64_t j = 0; j < x.width; ++j) {
      store(x, row, j, load<T>(x.view(), row, j) + static_cast<T>(scale) * load<T>(t, row, j));
    }
  }
  if (after != nullptr) norm<T>(*after, x.view(), x);
}

/// Rotary position embedding (Su et al. 2021): pairs (a, b) become (a cos - b sin, b cos + a sin).
template <class T>
void rotate(const RotationArguments& r, const MutableRows& rows) noexcept {
  const std::int64_t width = rows.width / r.heads;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const std::int64_t table = r.positions[static_cast<std::size_t>(row)] * r.pairs;
    for (std::int64_t h = 0; h < r.heads; ++h) {
      for (std::int64_t j = 0; j < r.pairs; ++j) {
        const std::int64_t first = h * width + r.first + (r.interleaved ? 2 * j : j);
        const std::int64_t second = first + (r.interleaved ? 1 : r.pairs);
        const T a = load<T>(rows.view(), row, first), b = load<T>(rows.view(), row, second);
        const T c = static_cast<T>(r.cosine[table + j]), s = static_cast<T>(r.sine[table + j]);
        store(rows, row, first, a * c - b * s);
        store(rows, row, second, b * c + a * s);
      }
    }
  }
}

/// out = activation(gate) * up.
template <class T>
void gate(Activation activation, const RowsView& gate, const RowsView& up, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) {
      store(out, row, j, activate(activation, load<T>(gate, row, j)) * load<T>(up, row, j));
    }
  }
}

/// out = a * b
template <class T>
void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, load<T>(a, row, j) * load<T>(b, row, j));
  }
}

template <class T>
void activate(Activation activation, const RowsView& in, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, activate(activation, load<T>(in, row, j)));
  }
}

/// x * x * alpha_p + beta x for x > 0, (expm1(min(x, epsilon)) - x) * alpha_n + beta x otherwise.
/// (Huang and Schlag 2024)
template <class T>
void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
           const MutableRows& out) noexcept {
  const T positive = static_cast<T>(alpha_p), negative = static_cast<T>(alpha_n), linear = static_cast<T>(beta);
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) {
      const T x = load<T>(in, row, j);
      const T bent = x > T(0) ? positive * x * x : (std::expm1(std::min(x, static_cast<T>(epsilon))) - x) * negative;
      store(out, row, j, bent + linear * x);
    }
  }
}

/// Elements beyond -limit ... limit become that.
template <class T>
void clamp(float limit, const MutableRows& rows) noexcept {
  const T bound = static_cast<T>(limit);
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (std::int64_t j = 0; j < rows.width; ++j) {
      store(rows, row, j, std::clamp(load<T>(rows.view(), row, j), -bound, bound));
    }
  }
}

/// out[t] = c[t] * (bias + sum over i < taps of kernel[i] * bx[t + i]), channel by channel.
/// (transformers: causal_conv1d_fn)
template <class T>
void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx, const RowsView& c,
                       const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) {
      T sum = bias != nullptr ? static_cast<T>(bias[j]) : T(0);
      for (std::int64_t i = 0; i < taps; ++i) sum += static_cast<T>(kernel[j * taps + i]) * load<T>(bx, row + i, j);
      store(out, row, j, load<T>(c, row, j) * sum);
    }
  }
}

/// The normalised probabilities of one query of one head; masked entries exactly 0. A sink takes its share of the sum.
template <class T>
void probabilities(const AttentionArguments& a, std::int64_t head, std::int64_t query, std::vector<T>& p) {
  const std::int64_t keys = a.k.rows, position = a.first_position + query;
  const std::int64_t kv_head = head / (a.heads / a.kv_heads);
  const KeyRange seen = visible_keys(a.reach, position, keys);
  p.assign(static_cast<std::size_t>(keys), T(0));
  T highest = -std::numeric_limits<T>::infinity();
  for (std::int64_t j = seen.begin; j < seen.end; ++j) {
    T score = 0;
    for (std::int64_t i = 0; i < a.d_qk; ++i) {
      score += load<T>(a.q, query, head * a.d_qk + i) * load<T>(a.k, j, kv_head * a.d_qk + i);
    }
    score *= static_cast<T>(a.scale);
    if (a.softcap > 0) score = static_cast<T>(a.softcap) * std::tanh(score / static_cast<T>(a.softcap));
    if (a.bias != nullptr) score += static_cast<T>(a.bias->table[head * a.bias->stride + a.bias->zero + j - position]);
    p[static_cast<std::size_t>(j)] = score;
    highest = std::max(highest, score);
  }
  T sum = 0;
  if (a.sinks != nullptr) {
    const T sink = static_cast<T>(a.sinks[head]);
    highest = std::max(highest, sink);
    sum = std::exp(sink - highest);
  }
  for (std::int64_t j = seen.begin; j < seen.end; ++j) {
    T& entry = p[static_cast<std::size_t>(j)];
    entry = std::exp(entry - highest);
    sum += entry;
  }
  for (std::int64_t j = seen.begin; j < seen.end; ++j) p[static_cast<std::size_t>(j)] /= sum;
}

template <class T>
void attention(const AttentionArguments& a, const MutableRows& z) {
  std::vector<T> p;
  for (std::int64_t head = 0; head < a.heads; ++head) {
    const std::int64_t kv_head = head / (a.heads / a.kv_heads);
    for (std::int64_t query = 0; query < a.q.rows; ++query) {
      probabilities(a, head, query, p);
      const KeyRange seen = visible_keys(a.reach, a.first_position + query, a.k.rows);
      for (std::int64_t i = 0; i < a.d_v; ++i) {
        T sum = 0;
        for (std::int64_t j = seen.begin; j < seen.end; ++j) {
          sum += p[static_cast<std::size_t>(j)] * load<T>(a.v, j, kv_head * a.d_v + i);
        }
        store(z, query, head * a.d_v + i, sum);
      }
    }
  }
}

template <class T>
void attention_probabilities(const AttentionArguments& a, std::int64_t head, std::int64_t first_query,
                             const MutableRows& out) {
  std::vector<T> p;
  for (std::int64_t row = 0; row < out.rows; ++row) {
    probabilities(a, head, first_query + row, p);
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, p[static_cast<std::size_t>(j)]);
  }
}

template <class T>
void convert(const RowsView& in, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, load<T>(in, row, j));
  }
}

[[nodiscard]] inline bool all_finite(const RowsView& rows) noexcept {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (std::int64_t j = 0; j < rows.width; ++j) {
      if (!std::isfinite(load<double>(rows, row, j))) return false;
    }
  }
  return true;
}

}  // namespace layerscope::reference
