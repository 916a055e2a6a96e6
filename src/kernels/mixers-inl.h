// Element by element what only some mixers need: gates with limits, xIELU, factors of rows, short convolutions.
#pragma once

#include "kernels/simd-inl.h"

LAYERSCOPE_BEGIN_KERNELS

/// x within -limit ... limit; NaN stays.
HWY_INLINE Vector clamped(Vector x, Vector limit) { return hn::Min(limit, hn::Max(hn::Neg(limit), x)); }

/// out = value(in's elements), vector by vector.
template <class Value>
HWY_INLINE void map_rows(const RowsView& in, const MutableRows& out, const Value& value) {
  with_type(in.dtype, [&](auto from_type) LAYERSCOPE_ATTR {
    with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < out.rows; ++row) {
        const auto* from = in.row<decltype(from_type)>(row);
        auto* to = out.row<decltype(to_type)>(row);
        for_each_vector(out.width, [&](std::int64_t j, auto count)
                                       LAYERSCOPE_ATTR { store(to + j, value(load(from + j, count)), count); });
      }
    });
  });
}

/// out = value(a's elements, b's elements).
template <class Value>
HWY_INLINE void map_two(const RowsView& a, const RowsView& b, const MutableRows& out, const Value& value) {
  with_type(a.dtype, [&](auto a_type) LAYERSCOPE_ATTR {
    with_type(b.dtype, [&](auto b_type) LAYERSCOPE_ATTR {
      with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
        for (std::int64_t row = 0; row < out.rows; ++row) {
          const auto* as = a.row<decltype(a_type)>(row);
          const auto* bs = b.row<decltype(b_type)>(row);
          auto* to = out.row<decltype(to_type)>(row);
          for_each_vector(out.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
            store(to + j, value(load(as + j, count), load(bs + j, count)), count);
          });
        }
      });
    });
  });
}

inline void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) {
  map_two(a, b, out, [](Vector x, Vector y) LAYERSCOPE_ATTR { return hn::Mul(x, y); });
}

inline void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up, const MutableRows& out) {
  map_two(gate, up, out, [limit, alpha](Vector x, Vector y) LAYERSCOPE_ATTR {
    const Vector g = hn::Min(set(limit), x), u = clamped(y, set(limit));
    return hn::Mul(hn::Add(u, set(1.0F)), hn::Mul(g, sigmoid(hn::Mul(set(alpha), g))));
  });
}

inline void clamp(float limit, const MutableRows& rows) {
  map_rows(rows.view(), rows, [limit](Vector x) LAYERSCOPE_ATTR { return clamped(x, set(limit)); });
}

/// expm1(x) = tanh(x / 2) (e^x + 1), which keeps its precision near 0.
HWY_INLINE Vector expm1(Vector x) { return hn::Mul(tanh(hn::Mul(set(0.5F), x)), hn::Add(exp(x), set(1.0F))); }

inline void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in, const MutableRows& out) {
  map_rows(in, out, [=](Vector x) LAYERSCOPE_ATTR {
    const Vector above = hn::Mul(hn::Mul(set(alpha_p), x), x);
    const Vector below = hn::Mul(hn::Sub(expm1(hn::Min(set(epsilon), x)), x), set(alpha_n));
    return hn::MulAdd(set(beta), x, hn::IfThenElse(hn::Gt(x, set(0.0F)), above, below));
  });
}

inline void scale_rows(std::span<const float> factors, const MutableRows& rows) {
  with_type(rows.dtype, [&](auto type) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      const Vector factor = set(factors[static_cast<std::size_t>(row)]);
      auto* at = rows.row<decltype(type)>(row);
      for_each_vector(rows.width, [&](std::int64_t j, auto count)
                                      LAYERSCOPE_ATTR { store(at + j, hn::Mul(factor, load(at + j, count)), count); });
    }
  });
}

inline void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                              const RowsView& c, const MutableRows& out) {
  if (c.dtype != bx.dtype) return reference::short_convolution<float>(kernel, bias, taps, bx, c, out);
  with_type(bx.dtype, [&](auto from_type) LAYERSCOPE_ATTR {
    with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < out.rows; ++row) {
        for_each_vector(out.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
          Vector sum = bias != nullptr ? load(bias + j, count) : hn::Zero(kFloats);
          for (std::int64_t i = 0; i < taps; ++i) {
            alignas(64) float column[kLanes] = {};
            const std::int64_t channels = std::min<std::int64_t>(kLanes, out.width - j);
            for (std::int64_t lane = 0; lane < channels; ++lane) column[lane] = kernel[(j + lane) * taps + i];
            sum = hn::MulAdd(load(column, Full{}), load(bx.row<decltype(from_type)>(row + i) + j, count), sum);
          }
          const Vector factor = load(c.row<decltype(from_type)>(row) + j, count);
          store(out.row<decltype(to_type)>(row) + j, hn::Mul(factor, sum), count);
        });
      }
    });
  });
}

LAYERSCOPE_END_KERNELS
