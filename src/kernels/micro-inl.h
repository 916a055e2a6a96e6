// The small product that attention and our own matrix product are made of: a few rows by a panel of columns, held in
// registers. Every element of the result is one chain of multiply-adds over the depth, whatever its neighbours.
#pragma once

#include <hwy/cache_control.h>

#include <array>
#include <utility>

#include "kernels/simd-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr int kMicroRows = 6;
/// Vectors across a panel: with 32 registers four, else two.
inline constexpr int kPanelVectors = HWY_MAX_BYTES == 64 || !HWY_ARCH_X86 ? 4 : 2;
inline constexpr std::int64_t kPanel = kPanelVectors * kLanes;

/// How operands lie: `Depth` elements of the depth make one step. Rows hold A; panels hold B as [step][column][Depth].
struct FloatOperand {
  using A = float;
  using B = float;
  static constexpr std::int64_t kDepth = 1;
  static HWY_INLINE Vector broadcast(const A* a) { return set(*a); }
  static HWY_INLINE Vector panel(const B* b) { return load(b, Full{}); }
  static HWY_INLINE Vector multiply_add(Vector a, Vector b, Vector sum) { return hn::MulAdd(a, b, sum); }
};
/// Panels in bf16, widened where they are read.
struct WidenedOperand : FloatOperand {
  using B = Bf16;
  static HWY_INLINE Vector panel(const B* b) { return load(b, Full{}); }
};
#if LAYERSCOPE_NATIVE_BF16
/// Pairs of bf16 and the processor's own dot product of pairs (VDPBF16PS).
struct PairOperand {
  using A = Bf16;
  using B = Bf16;
  static constexpr std::int64_t kDepth = 2;
  static HWY_INLINE Vector broadcast(const A* a) {
    std::uint32_t pair = 0;
    std::memcpy(&pair, a, sizeof(pair));
    return hn::BitCast(kFloats, hn::Set(kWords, pair));
  }
  static HWY_INLINE Vector panel(const B* b) { return load(reinterpret_cast<const float*>(b), Full{}); }
  static HWY_INLINE Vector multiply_add(Vector a, Vector b, Vector sum) {
    return Vector{_mm512_dpbf16_ps(sum.raw, reinterpret_cast<__m512bh>(a.raw), reinterpret_cast<__m512bh>(b.raw))};
  }
};
#endif

/// Bytes ahead of where it reads that the first rows to meet a panel fetch it from memory.
inline constexpr std::int64_t kAheadBytes = 4096;

template <class Operand, bool kAhead, int kRows, int kVectors>
void micro_product(const typename Operand::A* a, std::int64_t a_stride, const typename Operand::B* b,
                   std::int64_t steps, float* c, std::int64_t c_stride, bool accumulate) {
  constexpr std::int64_t kDepth = Operand::kDepth;
  Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = accumulate ? hn::LoadU(kFloats, c + r * c_stride + v * kLanes) : hn::Zero(kFloats);
    }
  }
  for (std::int64_t step = 0; step < steps; ++step) {
    Vector columns[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const auto* at = b + (step * kPanel + v * kLanes) * kDepth;
      columns[v] = Operand::panel(at);
      if constexpr (kAhead) hwy::Prefetch(reinterpret_cast<const std::byte*>(at) + kAheadBytes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector element = Operand::broadcast(a + r * a_stride + step * kDepth);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Operand::multiply_add(element, columns[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], kFloats, c + r * c_stride + v * kLanes);
  }
}

template <class Operand>
using MicroProduct = void (*)(const typename Operand::A*, std::int64_t, const typename Operand::B*, std::int64_t,
                              float*, std::int64_t, bool);

template <class Operand, bool kAhead, std::size_t... kIndex>
constexpr std::array<MicroProduct<Operand>, sizeof...(kIndex)> micro_products(std::index_sequence<kIndex...>) {
  return {micro_product<Operand, kAhead, static_cast<int>(kIndex) / kPanelVectors + 1,
                        static_cast<int>(kIndex) % kPanelVectors + 1>...};
}

/// c[rows, columns] (+)= a b for one panel (columns <= kPanel, rounded up to whole vectors, all of which are written).
/// `kAhead`: the panel comes from memory and is fetched before it is needed.
template <class Operand, bool kAhead = false>
void panel_product(const typename Operand::A* a, std::int64_t a_stride, std::int64_t rows, const typename Operand::B* b,
                   std::int64_t columns, std::int64_t steps, float* c, std::int64_t c_stride, bool accumulate) {
  constexpr auto kCount = std::make_index_sequence<kMicroRows * kPanelVectors>{};
  static constexpr auto kFirst = micro_products<Operand, kAhead>(kCount),
                        kOthers = micro_products<Operand, false>(kCount);
  const std::int64_t vectors = (columns + kLanes - 1) / kLanes;
  for (std::int64_t row = 0; row < rows; row += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, rows - row);
    const auto product =
        (row == 0 ? kFirst : kOthers)[static_cast<std::size_t>((height - 1) * kPanelVectors + vectors - 1)];
    product(a + row * a_stride, a_stride, b, steps, c + row * c_stride, c_stride, accumulate);
  }
}

LAYERSCOPE_END_KERNELS
