// Operations on rows element by element: activations, conversion, embedding look-up, rotation, the check for NaN.
#pragma once

#include "kernels/simd-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline void activate(Activation activation, const float* bias, const RowsView& in, const MutableRows& out) {
  with_activation(activation, [&](auto tag) LAYERSCOPE_ATTR {
    with_type(in.dtype, [&](auto from_type) LAYERSCOPE_ATTR {
      with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
        for (std::int64_t row = 0; row < in.rows; ++row) {
          const auto* from = in.row<decltype(from_type)>(row);
          auto* to = out.row<decltype(to_type)>(row);
          for_each_vector(in.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
            Vector x = load(from + j, count);
            if (bias != nullptr) x = hn::Add(x, load(bias + j, count));
            store(to + j, activated<decltype(tag)::kActivation>(x), count);
          });
        }
      });
    });
  });
}

inline void gate(Activation activation, const RowsView& gate, const RowsView& up, const MutableRows& out) {
  with_activation(activation, [&](auto tag) LAYERSCOPE_ATTR {
    with_type(gate.dtype, [&](auto from_type) LAYERSCOPE_ATTR {
      with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
        for (std::int64_t row = 0; row < out.rows; ++row) {
          const auto* gates = gate.row<decltype(from_type)>(row);
          const auto* ups = up.row<decltype(from_type)>(row);
          auto* to = out.row<decltype(to_type)>(row);
          for_each_vector(out.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
            const Vector x = activated<decltype(tag)::kActivation>(load(gates + j, count));
            store(to + j, hn::Mul(x, load(ups + j, count)), count);
          });
        }
      });
    });
  });
}

template <class From>
inline void convert_rows(const RowsView& in, const MutableRows& out) {
  with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < out.rows; ++row) {
      const auto* from = in.row<From>(row);
      auto* to = out.row<decltype(to_type)>(row);
      for_each_vector(out.width,
                      [&](std::int64_t j, auto count) LAYERSCOPE_ATTR { store(to + j, load(from + j, count), count); });
    }
  });
}

inline void convert(const RowsView& in, const MutableRows& out) {
  const bool to_vectors = out.dtype == DType::kF32 || out.dtype == DType::kBF16;
  if (in.dtype == out.dtype) {
    const auto size = static_cast<std::int64_t>(dtype_size(in.dtype));
    for (std::int64_t row = 0; row < out.rows; ++row) {
      std::memmove(out.data + row * out.stride * size, in.data + row * in.stride * size,
                   static_cast<std::size_t>(out.width * size));
    }
  } else if (to_vectors && in.dtype == DType::kF32) {
    convert_rows<float>(in, out);
  } else if (to_vectors && in.dtype == DType::kBF16) {
    convert_rows<Bf16>(in, out);
  } else if (to_vectors && in.dtype == DType::kF16) {
    convert_rows<Half>(in, out);
  } else {
    reference::convert<double>(in, out);
  }
}

template <class From>
inline void gather_rows(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
                        const MutableRows& out) {
  const Vector factor = set(scale);
  with_type(out.dtype, [&](auto to_type) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < out.rows; ++row) {
      const std::byte* from = table.data + ids[static_cast<std::size_t>(row)] * table.output_stride *
                                               static_cast<std::int64_t>(sizeof(From));
      auto* to = out.row<decltype(to_type)>(row);
      for_each_vector(out.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
        // A checkpoint's bytes may be unaligned for their type: they pass through a copy.
        alignas(64) From lanes[kLanes] = {};
        const std::int64_t elements = std::min<std::int64_t>(kLanes, out.width - j);
        std::memcpy(lanes, from + j * static_cast<std::int64_t>(sizeof(From)),
                    static_cast<std::size_t>(elements) * sizeof(From));
        const Vector value = hn::Mul(factor, load(lanes, Full{}));
        store(to + j, accumulate ? hn::Add(load(to + j, count), value) : value, count);
      });
    }
  });
}

inline void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
                   const MutableRows& out) {
  if (table.input_stride != 1) return reference::gather<float>(table, ids, scale, accumulate, out);
  switch (table.dtype) {
    case DType::kBF16: return gather_rows<Bf16>(table, ids, scale, accumulate, out);
    case DType::kF16: return gather_rows<Half>(table, ids, scale, accumulate, out);
    default: return gather_rows<float>(table, ids, scale, accumulate, out);
  }
}

/// Pairs that lie side by side.
inline void rotate_interleaved(const RotationArguments& r, const MutableRows& rows) {
  if (rows.dtype != DType::kF32) return reference::rotate<float>(r, rows);
  const std::int64_t width = rows.width / r.heads;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const std::int64_t table = r.positions[static_cast<std::size_t>(row)] * r.pairs;
    for (std::int64_t head = 0; head < r.heads; ++head) {
      float* pairs = rows.row<float>(row) + head * width + r.first;
      for_each_vector(r.pairs, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
        alignas(64) float lanes[2 * kLanes] = {};
        const std::size_t bytes =
            static_cast<std::size_t>(std::min<std::int64_t>(kLanes, r.pairs - j)) * 2 * sizeof(float);
        std::memcpy(lanes, pairs + 2 * j, bytes);
        Vector a, b;
        hn::LoadInterleaved2(kFloats, lanes, a, b);
        const Vector c = load(r.cosine + table + j, count), s = load(r.sine + table + j, count);
        hn::StoreInterleaved2(hn::NegMulAdd(b, s, hn::Mul(a, c)), hn::MulAdd(a, s, hn::Mul(b, c)), kFloats, lanes);
        std::memcpy(pairs + 2 * j, lanes, bytes);
      });
    }
  }
}

inline void rotate(const RotationArguments& r, const MutableRows& rows) {
  if (r.interleaved) return rotate_interleaved(r, rows);
  const std::int64_t width = rows.width / r.heads;
  with_type(rows.dtype, [&](auto type) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      const float* cosines = r.cosine + r.positions[static_cast<std::size_t>(row)] * r.pairs;
      const float* sines = r.sine + r.positions[static_cast<std::size_t>(row)] * r.pairs;
      for (std::int64_t head = 0; head < r.heads; ++head) {
        auto* first = rows.row<decltype(type)>(row) + head * width + r.first;
        auto* second = first + r.pairs;
        for_each_vector(r.pairs, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
          const Vector a = load(first + j, count), b = load(second + j, count);
          const Vector c = load(cosines + j, count), s = load(sines + j, count);
          store(first + j, hn::NegMulAdd(b, s, hn::Mul(a, c)), count);
          store(second + j, hn::MulAdd(a, s, hn::Mul(b, c)), count);
        });
      }
    }
  });
}

inline bool all_finite(const RowsView& rows) {
  const auto highest_half = [&](std::uint16_t limit) LAYERSCOPE_ATTR {
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      const auto* from = rows.row<std::uint16_t>(row);
      std::uint16_t highest = 0;
      for (std::int64_t j = 0; j < rows.width; ++j) {
        highest = std::max(highest, static_cast<std::uint16_t>(from[j] & 0x7FFFu));
      }
      if (highest >= limit) return false;
    }
    return true;
  };
  if (rows.dtype == DType::kBF16) return highest_half(0x7F80u);
  if (rows.dtype == DType::kF16) return highest_half(0x7C00u);
  if (rows.dtype != DType::kF32) return reference::all_finite(rows);
  const auto magnitude = hn::Set(kWords, 0x7FFFFFFFu);
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const auto* from = rows.row<float>(row);
    auto highest = hn::Zero(kWords);
    for_each_vector(rows.width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
      highest = hn::Max(highest, hn::And(hn::BitCast(kWords, load(from + j, count)), magnitude));
    });
    if (hn::GetLane(hn::MaxOfLanes(kWords, highest)) >= 0x7F800000u) return false;
  }
  return true;
}

LAYERSCOPE_END_KERNELS
