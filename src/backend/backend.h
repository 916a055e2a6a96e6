// The operations that an engine needs of a device. One object per (device, instruction set, precision): two of them may
// live in one process side by side, so nothing here is process-wide.
//
// Same bits: every operation computes a row from that row alone (attention: from its own sequence alone), in an order
// that depends only on widths and on the sequence's own length. How many rows come in one call, and at which offset,
// changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/functions.h"
#include "kernels/arguments.h"
#include "layerscope/error.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// A weight matrix laid out for the device's products; read-only, shared by all workers.
class PackedLinear {
 public:
  virtual ~PackedLinear() = default;
  std::int64_t inputs = 0, outputs = 0;
  std::int64_t grain = 1;  ///< outputs that linear_steps makes together: ranges begin at a multiple of it
  std::size_t bytes = 0;   ///< memory it holds
};

/// Memory that a worker lends to operations; grows to what is needed and stays. One per worker, never shared.
class Scratch {
 public:
  virtual ~Scratch() = default;
};

struct BackendInfo {
  std::string device;           ///< "cpu"
  std::string isa;              ///< "avx512_bf16", "avx512", "avx2", "sse4", ..., "reference"
  std::string library;          ///< the matrix library with its version, "oneDNN 2.6.3", or "own"
  std::string determinism;      ///< class of the bits: equal classes, builds and isa give equal bytes
  DType stream = DType::kF32;   ///< type of the residual stream, norms, softmax
  DType operand = DType::kF32;  ///< type of what enters matrix products
};

/// One sequence's attention.
struct AttentionCall {
  AttentionArguments arguments;
  MutableRows z;          ///< [queries, heads * d_v] in the stream's or the operand's type
  bool remember = false;  ///< first the rows k and v become the last of arguments.cache's tokens
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual const BackendInfo& info() const noexcept = 0;

  /// To be called once by every worker thread before its first operation (thread-local library settings).
  virtual void enter_worker() const noexcept {}
  [[nodiscard]] virtual std::unique_ptr<Scratch> make_scratch() const = 0;

  /// Packs matrices that read the same input, their outputs end to end; `bias` is empty or one value an output. The
  /// activation becomes part of the product.
  [[nodiscard]] virtual Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts,
                                                                   std::span<const float> bias,
                                                                   Activation activation) const = 0;
  /// out = activation(in W^T + bias). `in` in the operand's type; `out` in the stream's or the operand's.
  [[nodiscard]] virtual Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                                      Scratch& scratch) const = 0;
  /// Some outputs of the same for the rows of single-token steps, one a sequence: weights are read once at the speed of
  /// memory, whatever the number of rows. A row's bits depend on that row alone, but need not be those of linear.
  [[nodiscard]] virtual Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in,
                                            const MutableRows& out, Scratch& scratch) const = 0;
  /// Rows that one call should take, so that activations stay in cache between the operations of a step.
  [[nodiscard]] virtual std::int64_t tile_rows() const noexcept { return 256; }

  /// out[i] (+)= scale * table[ids[i]]; ids have been checked.
  virtual void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
                      const MutableRows& out) const noexcept = 0;
  /// out = norm(in), row by row; `in` in the stream's type, `out` in the stream's or the operand's; may be the same
  /// memory.
  virtual void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept = 0;
  /// The same over every head: rows of `heads` groups of width / heads elements, in place; all with one set of [width /
  /// heads] weights or, with norm.head_stride, each with its own.
  virtual void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept = 0;
  /// x += scale * t, then x = after(x) where `after` is given. Bits are those of the two steps done apart.
  virtual void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept = 0;
  /// Rotates 2 * pairs elements of every head in place, those from `first` on. (Su et al. 2021)
  virtual void rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept = 0;
  /// out = activation(gate) * up; gate and up in the stream's type, out in the operand's.
  virtual void gate(Activation activation, const RowsView& gate, const RowsView& up,
                    const MutableRows& out) const noexcept = 0;
  /// The same by ClampedGate's formula.
  virtual void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                            const MutableRows& out) const noexcept = 0;
  /// out = xielu(in), with the alphas as the formula takes them (transformers, activations.py: XIELUActivation).
  virtual void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
                     const MutableRows& out) const noexcept = 0;
  /// out = activation(in), where it cannot be part of a product; any of the two types.
  virtual void activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept = 0;
  /// Elements beyond -limit ... limit become that.
  virtual void clamp(float limit, const MutableRows& rows) const noexcept = 0;
  /// rows[i] *= factors[i]
  virtual void scale_rows(std::span<const float> factors, const MutableRows& rows) const noexcept = 0;
  /// out[i] = in[indices[i]], in out's type.
  virtual void take(const RowsView& in, std::span<const std::int32_t> indices,
                    const MutableRows& out) const noexcept = 0;
  /// x[indices[i]] += factors[i] * t[i]; no index twice.
  virtual void add_at(std::span<const std::int32_t> indices, std::span<const float> factors, const RowsView& t,
                      const MutableRows& x) const noexcept = 0;
  /// One router decision a row: probabilities [rows, experts] in place of the scores (softmax over all; the chosen
  /// weights and 0 elsewhere for kTopThenSoftmax; sigmoids), ids [rows * chosen] by falling value and equal values by
  /// rising id, weights [rows * chosen].
  virtual void route(const RoutingArguments& arguments, const MutableRows& scores, std::span<std::int32_t> ids,
                     std::span<float> weights) const noexcept = 0;
  /// out[t] = c[t] * (bias + sum over i < taps of kernel[i] * (b * x)[t + i]), channel by channel: `bx` holds b * x
  /// with taps - 1 rows of history before its first. kernel [width, taps], bias [width] or null. out in the operand's
  /// type.
  virtual void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                                 const RowsView& c, const MutableRows& out) const noexcept = 0;
  /// out = a * b, element by element.
  virtual void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept = 0;
  /// Bytes of a page of KeyValuePages with so many key heads.
  [[nodiscard]] virtual std::size_t page_bytes(std::int64_t kv_heads, std::int64_t d_qk,
                                               std::int64_t d_v) const noexcept = 0;
  /// The rows k and v become the last of arguments.cache's tokens.
  virtual void remember(const AttentionArguments& arguments, Scratch& scratch) const = 0;
  /// Every call by itself, in any order.
  virtual void attend(std::span<const AttentionCall> calls, Scratch& scratch) const {
    for (const AttentionCall& call : calls) {
      if (call.remember) remember(call.arguments, scratch);
      attention(call.arguments, call.z, scratch);
    }
  }
  /// z: [queries, heads * d_v] in the stream's or the operand's type. Never holds more than a tile of scores.
  virtual void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch& scratch) const = 0;
  /// The probabilities themselves: queries first_query ... of one head, [n, keys] in the stream's type, masked entries
  /// exactly 0.
  virtual void attention_probabilities(const AttentionArguments& arguments, std::int64_t head, std::int64_t first_query,
                                       const MutableRows& probabilities, Scratch& scratch) const = 0;
  /// out = in, in another type (round to nearest even).
  virtual void convert(const RowsView& in, const MutableRows& out) const noexcept = 0;
  /// False if any element is NaN or infinite.
  [[nodiscard]] virtual bool all_finite(const RowsView& rows) const noexcept = 0;
};

enum class Precision : std::uint8_t { kF32, kBF16 };

struct CpuOptions {
  Precision precision = Precision::kF32;
  std::string
      isa;  ///< empty: the best of this machine; otherwise one of cpu_isas(), as --isa and LAYERSCOPE_ISA name them
};

/// Instruction sets that this machine can run and this build has, best first: "avx512_bf16", "avx512", "avx2", "sse4".
[[nodiscard]] std::vector<std::string> cpu_isas();

/// The CPU backend. Errors: kUsage for an instruction set that is unknown or that the machine lacks (listing the
/// others).
[[nodiscard]] Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options);

/// Plain loops that state what every operation means, all in `dtype` (kF32 or kF64): for tests, and as the yardstick of
/// rounding errors.
[[nodiscard]] std::unique_ptr<Backend> make_reference_backend(DType dtype);

}  // namespace layerscope
