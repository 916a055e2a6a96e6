// What the kernels of one instruction set share: vectors in and out of memory, exp, erf and the activations.
// Included by isa_*.cpp alone, which set LAYERSCOPE_ISA (a namespace) and LAYERSCOPE_NATIVE_BF16 first.
#pragma once

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/arguments.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"
#include "kernels/scalar.h"

#if LAYERSCOPE_NATIVE_BF16
#define LAYERSCOPE_TARGET HWY_TARGET_STR ",avx512bf16"
#else
#define LAYERSCOPE_TARGET HWY_TARGET_STR
#endif
#if defined(HWY_TARGET_STR)
#define LAYERSCOPE_BEGIN_KERNELS HWY_PUSH_ATTRIBUTES(LAYERSCOPE_TARGET) namespace layerscope::LAYERSCOPE_ISA {
#define LAYERSCOPE_END_KERNELS \
  }                            \
  HWY_POP_ATTRIBUTES
#define LAYERSCOPE_ATTR __attribute__((target(LAYERSCOPE_TARGET)))  // lambdas do not inherit the pragma under clang
#else
#define LAYERSCOPE_BEGIN_KERNELS namespace layerscope::LAYERSCOPE_ISA {
#define LAYERSCOPE_END_KERNELS }
#define LAYERSCOPE_ATTR
#endif

LAYERSCOPE_BEGIN_KERNELS

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Vector = hn::Vec<Floats>;
using Bf16 = std::uint16_t;
using Half = hwy::float16_t;
inline constexpr Floats kFloats;
inline constexpr Words kWords;
inline constexpr std::int64_t kLanes = HWY_MAX_BYTES / 4;

/// A whole vector, as a count that is known when compiling.
struct Full {};

HWY_INLINE Vector load(const float* from, Full) { return hn::LoadU(kFloats, from); }
HWY_INLINE Vector load(const Bf16* from, Full) {
  const hn::Rebind<std::uint16_t, Floats> narrow;
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(kWords, hn::LoadU(narrow, from))));
}
HWY_INLINE Vector load(const Half* from, Full) {
  if constexpr (HWY_ARCH_X86 &&
                HWY_MAX_BYTES == 16) {  // no instruction for it, and the library's stand-in loses infinity
    alignas(64) float lanes[kLanes];
    for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] = f16_to_float(from[i].bits);
    return hn::Load(kFloats, lanes);
  } else {
    const hn::Rebind<Half, Floats> narrow;
    return hn::PromoteTo(kFloats, hn::LoadU(narrow, from));
  }
}
/// The first `count` lanes from memory, the others 0.
template <class T>
HWY_INLINE Vector load(const T* from, std::int64_t count) {
  alignas(64) T lanes[kLanes] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(T));
  return load(lanes, Full{});
}

/// Bits of each lane rounded to bf16, in the upper halves of words; the lower halves hold what was rounded away.
HWY_INLINE hn::Vec<Words> round_to_bf16_bits(Vector x) {
  const auto bits = hn::BitCast(kWords, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kWords, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(kWords, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(kWords, 0x400000));
  return hn::IfThenElse(hn::RebindMask(kWords, hn::IsNaN(x)), quiet, rounded);
}
/// The nearest bf16, as a float.
HWY_INLINE Vector round_to_bf16(Vector x) {
  return hn::BitCast(kFloats, hn::And(round_to_bf16_bits(x), hn::Set(kWords, 0xFFFF0000u)));
}

HWY_INLINE void store(float* to, Vector x, Full) { hn::StoreU(x, kFloats, to); }
HWY_INLINE void store(Bf16* to, Vector x, Full) {
  const hn::RebindToSigned<Words> integers;
  const hn::Rebind<std::uint16_t, Floats> narrow;
  hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(integers, hn::ShiftRight<16>(round_to_bf16_bits(x)))), narrow, to);
}
template <class T>
HWY_INLINE void store(T* to, Vector x, std::int64_t count) {
  alignas(64) T lanes[kLanes];
  store(lanes, x, Full{});
  std::memcpy(to, lanes, static_cast<std::size_t>(count) * sizeof(T));
}

HWY_INLINE Vector set(float value) { return hn::Set(kFloats, value); }
/// Zero beyond the first `count` lanes.
HWY_INLINE Vector keep(Vector x, Full) { return x; }
HWY_INLINE Vector keep(Vector x, std::int64_t count) {
  return hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<std::size_t>(count)), x);
}
HWY_INLINE float sum_of_lanes(Vector x) { return hn::GetLane(hn::SumOfLanes(kFloats, x)); }

/// body(first, count) for every vector of a row; count is Full or, for what is left over, a number.
template <class Body>
HWY_INLINE void for_each_vector(std::int64_t width, const Body& body) {
  std::int64_t j = 0;
  for (; j + kLanes <= width; j += kLanes) body(j, Full{});
  if (j < width) body(j, width - j);
}

/// Horner's rule, lowest coefficient first.
template <std::size_t kCount, std::size_t kFirst = 0>
HWY_INLINE Vector polynomial(const float (&coefficients)[kCount], Vector x) {
  if constexpr (kFirst + 1 == kCount) {
    return set(coefficients[kFirst]);
  } else {
    return hn::MulAdd(polynomial<kCount, kFirst + 1>(coefficients, x), x, set(coefficients[kFirst]));
  }
}

/// value * 2^n, 0 for n = -127 and infinity for n = 128. A product, so that NaN stays NaN whatever n came of it.
HWY_INLINE Vector scale_by_power(Vector value, hn::Vec<hn::RebindToSigned<Words>> n) {
  const hn::RebindToSigned<Words> integers;
  return hn::Mul(value, hn::BitCast(kFloats, hn::ShiftLeft<23>(hn::Add(n, hn::Set(integers, 127)))));
}

/// 2^x, 0 below 2^-126.5, infinity from 2^127.5 on. NaN stays NaN: Max and Min give their second argument then.
HWY_INLINE Vector exp2(Vector x) {
  static constexpr float kCoefficients[] = {1.0F,           0.693147207F,   0.240226509F,   0.0555032723F,
                                            0.00961805668F, 0.00134004282F, 0.000154614447F};
  const Vector bounded = hn::Min(set(128.0F), hn::Max(set(-127.0F), x));
  const auto n = hn::NearestInt(bounded);
  return scale_by_power(polynomial(kCoefficients, hn::Sub(bounded, hn::ConvertTo(kFloats, n))), n);
}

/// e^x over exp2's range, with x reduced in two steps (Cody and Waite) so that large arguments keep their precision.
HWY_INLINE Vector exp(Vector x) {
  static constexpr float kCoefficients[] = {1.0F,          1.00000004F,   0.500000005F,  0.166664155F,
                                            0.0416663529F, 0.0083751264F, 0.00139411084F};
  const Vector bounded = hn::Min(set(88.73F), hn::Max(set(-88.0F), x));
  const auto n = hn::NearestInt(hn::Mul(bounded, set(1.44269504F)));
  const Vector turns = hn::ConvertTo(kFloats, n);
  const Vector rest = hn::NegMulAdd(turns, set(-2.12194440e-4F), hn::NegMulAdd(turns, set(0.693359375F), bounded));
  return scale_by_power(polynomial(kCoefficients, rest), n);
}

HWY_INLINE Vector sigmoid(Vector x) { return hn::Div(set(1.0F), hn::Add(set(1.0F), exp(hn::Neg(x)))); }

/// x Phi(x) = x - x Phi(-x); 2 Phi(-a) = exp(-a^2 / 2) t P(t) with t = 1 / (1 + p a), P fitted at Chebyshev points for
/// 0 <= a <= 14, beyond which the product is below the smallest float. Relative precision holds for negative x too.
HWY_INLINE Vector gelu_erf(Vector x) {
  static constexpr float kCoefficients[] = {0.514041137F,   0.803928184F,  0.822286736F,   0.451111242F,
                                            -0.0241386847F, -0.181741401F, -0.0175148289F, 0.088519306F,
                                            0.00365337632F, -0.0418287195F};
  const Vector a = hn::Min(set(14.5F), hn::Abs(x));
  const Vector t = hn::Div(set(1.0F), hn::MulAdd(a, set(0.3F), set(1.0F)));
  const Vector tail = hn::Mul(polynomial(kCoefficients, hn::Sub(t, set(0.596153846F))), t);
  const Vector gauss = exp(hn::Mul(hn::Mul(a, a), set(-0.5F)));
  const Vector below = hn::Mul(hn::Mul(x, set(0.5F)), hn::Mul(tail, gauss));
  return hn::IfThenElse(hn::Lt(x, set(0.0F)), below, hn::Sub(x, below));
}

/// Near 0 the odd polynomial of Cephes (tanhf), else 1 - 2 / (e^2|x| + 1) with the sign of x.
HWY_INLINE Vector tanh(Vector x) {
  static constexpr float kCoefficients[] = {-3.33332819422E-1F, 1.33314422036E-1F, -5.37397155531E-2F,
                                            2.06390887954E-2F, -5.70498872745E-3F};
  const Vector square = hn::Mul(x, x), a = hn::Abs(x);
  const Vector near = hn::MulAdd(hn::Mul(x, square), polynomial(kCoefficients, square), x);
  const Vector far = hn::Sub(set(1.0F), hn::Div(set(2.0F), hn::Add(exp(hn::Add(a, a)), set(1.0F))));
  return hn::IfThenElse(hn::Lt(a, set(0.625F)), near, hn::CopySign(far, x));
}

template <Activation kActivation>
HWY_INLINE Vector activated(Vector x) {
  if constexpr (kActivation == Activation::kRelu) return hn::Max(set(0.0F), x);
  if constexpr (kActivation == Activation::kGeluErf) return gelu_erf(x);
  if constexpr (kActivation == Activation::kGeluTanh) {
    const Vector cubic = hn::MulAdd(hn::Mul(x, x), set(0.0713548162726F), set(1.59576912161F));
    return hn::Mul(x, sigmoid(hn::Mul(x, cubic)));
  }
  if constexpr (kActivation == Activation::kSilu) return hn::Mul(x, sigmoid(x));
  if constexpr (kActivation == Activation::kQuickGelu) return hn::Mul(x, sigmoid(hn::Mul(x, set(1.702F))));
  if constexpr (kActivation == Activation::kTanh) return tanh(x);
  if constexpr (kActivation == Activation::kSigmoid) return sigmoid(x);
  if constexpr (kActivation == Activation::kReluSquared) {
    const Vector positive = hn::Max(set(0.0F), x);
    return hn::Mul(positive, positive);
  }
  return x;
}

template <Activation kValue>
struct ActivationTag {
  static constexpr Activation kActivation = kValue;
};
/// call(ActivationTag<activation>): one branch a call instead of one an element.
template <class Call>
HWY_INLINE void with_activation(Activation activation, const Call& call) {
  switch (activation) {
    case Activation::kNone: return call(ActivationTag<Activation::kNone>{});
    case Activation::kRelu: return call(ActivationTag<Activation::kRelu>{});
    case Activation::kGeluErf: return call(ActivationTag<Activation::kGeluErf>{});
    case Activation::kGeluTanh: return call(ActivationTag<Activation::kGeluTanh>{});
    case Activation::kSilu: return call(ActivationTag<Activation::kSilu>{});
    case Activation::kQuickGelu: return call(ActivationTag<Activation::kQuickGelu>{});
    case Activation::kTanh: return call(ActivationTag<Activation::kTanh>{});
    case Activation::kSigmoid: return call(ActivationTag<Activation::kSigmoid>{});
    case Activation::kReluSquared: return call(ActivationTag<Activation::kReluSquared>{});
  }
}
/// call(float{}) or call(Bf16{}).
template <class Call>
HWY_INLINE void with_type(DType dtype, const Call& call) {
  if (dtype == DType::kBF16) return call(Bf16{});
  return call(float{});
}

LAYERSCOPE_END_KERNELS
