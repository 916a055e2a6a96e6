// Matrix products by oneDNN: packed weights, row tiles of few fixed heights, primitives shared by all threads.
#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <tuple>

#include <dnnl.hpp>

#include "backend/backend.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace layerscope {

/// "oneDNN 2.6.3".
[[nodiscard]] std::string onednn_version();
/// Whether the library may and does use the instructions that its row-invariant kernels need (AVX-512; for kBF16 also
/// its bf16 instructions).
[[nodiscard]] bool onednn_has_invariant_kernels(DType operand);
/// To be called by every thread that executes products.
void onednn_enter_worker() noexcept;

/// A worker's memory for products.
struct OneDnnScratch {
  AlignedBuffer library;  ///< the primitive's own
  AlignedBuffer rows;     ///< the tail's rows, padded
  AlignedBuffer results;
};

class OneDnnProduct {
 public:
  /// `operand` is the type of weights and inputs (kF32 or kBF16); `kernels` converts them.
  OneDnnProduct(DType operand, const Kernels& kernels) : operand_(operand), kernels_(kernels) {}

  [[nodiscard]] Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts,
                                                           std::span<const float> bias, Activation activation) const;
  [[nodiscard]] Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                              OneDnnScratch& scratch) const;

  /// True if rows come out the same whatever the number of rows and their offset, on a sample small enough to be run at
  /// every start (some ten milliseconds).
  [[nodiscard]] bool rows_are_invariant() const;

 private:
  struct Linear;
  struct Primitive;
  struct Key;

  [[nodiscard]] std::shared_ptr<const Primitive> primitive(const Linear& linear, const Key& key) const;
  [[nodiscard]] bool sample_is_invariant() const;
  void multiply_tile(const Linear& linear, const RowsView& in, const MutableRows& out, std::int64_t height,
                     OneDnnScratch& scratch) const;

  DType operand_;
  const Kernels& kernels_;
  mutable std::shared_mutex mutex_;
  mutable std::map<
      std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, DType, Activation, bool>,
      std::shared_ptr<const Primitive>>
      primitives_;
};

}  // namespace layerscope
