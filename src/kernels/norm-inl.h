// Norms and the residual sum that feeds them. Two passes: the variance is taken around the mean.
#pragma once

#include "kernels/simd-inl.h"

LAYERSCOPE_BEGIN_KERNELS

/// The sum over a row of term(x_j), in an order that depends on the width alone: four chains, then a tree over the
/// lanes.
template <class From, class Term>
HWY_INLINE float row_sum(const From* in, std::int64_t width, const Term& term) {
  Vector a = hn::Zero(kFloats), b = a, c = a, d = a;
  std::int64_t j = 0;
  for (; j + 4 * kLanes <= width; j += 4 * kLanes) {
    a = term(a, load(in + j, Full{}), Full{});
    b = term(b, load(in + j + kLanes, Full{}), Full{});
    c = term(c, load(in + j + 2 * kLanes, Full{}), Full{});
    d = term(d, load(in + j + 3 * kLanes, Full{}), Full{});
  }
  for (; j + kLanes <= width; j += kLanes) a = term(a, load(in + j, Full{}), Full{});
  if (j < width) a = term(a, load(in + j, width - j), width - j);
  return sum_of_lanes(hn::Add(hn::Add(a, b), hn::Add(c, d)));
}

template <class From, class To>
HWY_INLINE void norm_row(const NormView& norm, std::int64_t width, const From* in, To* out) {
  float mean = 0;
  if (norm.kind == NormKind::kLayer) {
    mean = row_sum(in, width, [](Vector sum, Vector x, auto) LAYERSCOPE_ATTR { return hn::Add(sum, x); }) /
           static_cast<float>(width);
  }
  const Vector centre = set(mean);
  const float squares = row_sum(in, width, [centre](Vector sum, Vector x, auto count) LAYERSCOPE_ATTR {
    const Vector centred = keep(hn::Sub(x, centre), count);
    return hn::MulAdd(centred, centred, sum);
  });
  const float factor = 1.0F / std::sqrt(squares / static_cast<float>(width) + norm.epsilon);
  const Vector factors = set(factor);
  for_each_vector(width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    Vector x = hn::Mul(hn::Sub(load(in + j, count), centre), factors);
    if (norm.weight != nullptr) x = hn::Mul(x, load(norm.weight + j, count));
    if (norm.bias != nullptr) x = hn::Add(x, load(norm.bias + j, count));
    store(out + j, x, count);
  });
}

inline void norm(const NormView& norm, const RowsView& in, const MutableRows& out) {
  with_type(in.dtype, [&](auto from) LAYERSCOPE_ATTR {
    with_type(out.dtype, [&](auto to) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < in.rows; ++row) {
        norm_row(norm, in.width, in.row<decltype(from)>(row), out.row<decltype(to)>(row));
      }
    });
  });
}

inline void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) {
  const std::int64_t width = rows.width / heads;
  with_type(rows.dtype, [&](auto type) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      for (std::int64_t head = 0; head < heads; ++head) {
        auto* group = rows.row<decltype(type)>(row) + head * width;
        norm_row(norm_of_head(norm, head), width, group, group);
      }
    }
  });
}

inline void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) {
  const Vector factor = set(scale);
  with_type(x.dtype, [&](auto stream) LAYERSCOPE_ATTR {
    with_type(t.dtype, [&](auto term) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < x.rows; ++row) {
        auto* to = x.row<decltype(stream)>(row);
        const auto* from = t.row<decltype(term)>(row);
        for_each_vector(x.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
          store(to + j, hn::MulAdd(factor, load(from + j, count), load(to + j, count)), count);
        });
        if (after != nullptr) norm_row(*after, x.width, to, to);
      }
    });
  });
}

LAYERSCOPE_END_KERNELS
