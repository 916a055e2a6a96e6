// The start-up check that oneDNN's rows do not depend on their company.
#include <cstring>
#include <thread>
#include <vector>

#include "backend/onednn_product.h"
#include "backend/sample.h"

namespace layerscope {

bool OneDnnProduct::rows_are_invariant() const {
  // On a thread of its own: the setting for workers must not stay with whoever makes a backend.
  bool invariant = false;
  std::thread([&] {
    onednn_enter_worker();
    invariant = sample_is_invariant();
  }).join();
  return invariant;
}

bool OneDnnProduct::sample_is_invariant() const {
  constexpr std::int64_t kInputs = 264, kOutputs = 80, kRows = 257;
  const std::vector<float> weights = sample(kInputs * kOutputs, 1), bias = sample(kOutputs, 2);
  const std::vector<float> values = sample(kRows * kInputs, 3);
  const MatrixView matrix{
      DType::kF32, reinterpret_cast<const std::byte*>(weights.data()), kOutputs, kInputs, kInputs, 1};
  const auto packed = pack(std::span(&matrix, 1), bias, Activation::kGeluErf);
  if (!packed) return false;

  AlignedBuffer rows;
  const auto element = static_cast<std::int64_t>(dtype_size(operand_));
  const MutableRows in{operand_, rows.reserve(static_cast<std::size_t>(kRows * kInputs * element)), kRows, kInputs,
                       kInputs};
  kernels_.convert({DType::kF32, reinterpret_cast<const std::byte*>(values.data()), kRows, kInputs, kInputs}, in);

  OneDnnScratch scratch;
  std::vector<float> expected(static_cast<std::size_t>(kRows * kOutputs)), found(expected.size());
  const auto multiply = [&](std::int64_t first, std::int64_t count, std::vector<float>& to) {
    return linear(**packed, {operand_, in.data + first * kInputs * element, count, kInputs, kInputs},
                  {DType::kF32, reinterpret_cast<std::byte*>(to.data()), count, kOutputs, kOutputs}, scratch)
        .ok();
  };
  if (!multiply(0, kRows, expected)) return false;
  for (std::int64_t count = 1; count < kRows; count += 15) {  // every height of a last tile
    for (const std::int64_t first : {std::int64_t{0}, kRows - count}) {
      if (!multiply(first, count, found)) return false;
      if (std::memcmp(found.data(), expected.data() + first * kOutputs,
                      static_cast<std::size_t>(count * kOutputs) * sizeof(float)) != 0) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace layerscope
