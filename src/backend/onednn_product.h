// Matrix products by oneDNN: packed weights, row tiles of few fixed heights, primitives shared by all threads.
#pragma once

#include <map>
#include <memory>
#include <optional>
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
  AlignedBuffer steps;  ///< of the product of single-token steps
};

class OneDnnProduct {
 public:
  /// `operand` is the type of weights and inputs (kF32 or kBF16); `kernels` converts them.
  OneDnnProduct(DType operand, const Kernels& kernels) : operand_(operand), kernels_(kernels) {}

  [[nodiscard]] Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts,
                                                           std::span<const float> bias, Activation activation) const;
  [[nodiscard]] Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                              OneDnnScratch& scratch) const;

  /// See Backend. The weights are read where the library has packed them; where their layout is not the kernels' own,
  /// this is the library's product of a tile of fixed height.
  [[nodiscard]] Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in,
                                    const MutableRows& out, OneDnnScratch& scratch) const;

  /// True if rows come out the same whatever the number of rows and their offset, on a sample small enough to be run at
  /// every start (some ten milliseconds).
  [[nodiscard]] bool rows_are_invariant() const;

 private:
  struct Linear;
  struct Primitive;
  struct Key;

  [[nodiscard]] std::shared_ptr<const Primitive> primitive(const Linear& linear, const Key& key) const;
  [[nodiscard]] bool sample_is_invariant() const;
  [[nodiscard]] std::unique_ptr<Linear> packed(std::span<const MatrixView> parts, std::span<const float> bias,
                                               Activation activation) const;
  /// The weights as panels, or nothing where the library has laid them out otherwise.
  [[nodiscard]] std::optional<PanelsView> panels(const Linear& linear) const;
  /// The length of the chains whose sums the library's product adds up, found by trial; `inputs` where no length gives
  /// its bits.
  [[nodiscard]] std::int64_t chain(std::int64_t inputs) const;
  [[nodiscard]] std::optional<std::int64_t> find_chain(std::int64_t inputs) const;
  void multiply_tile(const Linear& linear, const RowsView& in, const MutableRows& out, std::int64_t height,
                     OneDnnScratch& scratch) const;

  DType operand_;
  const Kernels& kernels_;
  mutable std::shared_mutex mutex_;
  mutable std::map<
      std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, DType, Activation, bool>,
      std::shared_ptr<const Primitive>>
      primitives_;
  mutable std::map<std::int64_t, std::int64_t> chains_;  ///< by the number of inputs
};

}  // namespace layerscope
