// Products of single-token steps over weights that the library has packed: its panels are those of our kernels.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "backend/onednn_linear.h"
#include "backend/sample.h"

namespace layerscope {
namespace {

/// A blocked layout as the library describes it: inner blocks, outermost first, and the strides of the blocks.
struct Blocks {
  dnnl::memory::dims sizes, dimensions, strides;
};

Blocks blocks_of(const dnnl::memory::desc& layout) {
#if DNNL_VERSION_MAJOR >= 3
  if (layout.get_format_kind() != dnnl::memory::format_kind::blocked) return {};
  return {layout.get_inner_blks(), layout.get_inner_idxs(), layout.get_strides()};
#else
  if (layout.data.format_kind != dnnl_blocked || layout.data.extra.flags != 0 || layout.data.offset0 != 0) return {};
  const dnnl_blocking_desc_t& blocking = layout.data.format_desc.blocking;
  const auto list = [](const dnnl_dim_t* values, int count) { return dnnl::memory::dims(values, values + count); };
  return {list(blocking.inner_blks, blocking.inner_nblks), list(blocking.inner_idxs, blocking.inner_nblks),
          list(blocking.strides, layout.data.ndims)};
#endif
}

}  // namespace

std::optional<PanelsView> OneDnnProduct::panels(const Linear& linear) const {
  const Blocks blocks = blocks_of(linear.weights.get_desc());
  const bool pairs = operand_ == DType::kBF16;
  const std::size_t levels = pairs ? 3 : 2;
  if (blocks.sizes.size() != levels) return std::nullopt;
  // inputs, outputs across a panel and, for pairs, the two inputs of one; blocks of inputs one behind the other
  const std::int64_t depth = blocks.sizes[0] * (pairs ? blocks.sizes[2] : 1);
  const bool ours = blocks.dimensions[0] == 0 && blocks.dimensions[1] == 1 && blocks.sizes[1] == kernels_.panel &&
                    (!pairs || (blocks.dimensions[2] == 0 && blocks.sizes[2] == 2)) &&
                    blocks.strides[0] == depth * kernels_.panel;
  if (!ours) return std::nullopt;
  return PanelsView{.data = static_cast<const std::byte*>(linear.weights.get_data_handle()),
                    .dtype = operand_,
                    .pairs = pairs,
                    .inputs = linear.inputs,
                    .outputs = linear.outputs,
                    .panel_bytes = blocks.strides[1] * static_cast<std::int64_t>(dtype_size(operand_)),
                    .chain = linear.inputs};
}

std::int64_t OneDnnProduct::chain(std::int64_t inputs) const {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = chains_.find(inputs); found != chains_.end()) return found->second;
  }
  const std::int64_t found = find_chain(inputs).value_or(inputs);
  const std::unique_lock lock(mutex_);
  return chains_.try_emplace(inputs, found).first->second;
}

std::optional<std::int64_t> OneDnnProduct::find_chain(std::int64_t inputs) const {
  constexpr std::int64_t kRows = 4;
  const std::int64_t outputs = kernels_.panel;
  const std::vector<float> weights = sample(static_cast<std::size_t>(inputs * outputs), 5);
  const std::vector<float> values = sample(static_cast<std::size_t>(kRows * inputs), 6);
  const MatrixView matrix{DType::kF32, reinterpret_cast<const std::byte*>(weights.data()), outputs, inputs, inputs, 1};
  const std::unique_ptr<Linear> linear = packed(std::span(&matrix, 1), {}, Activation::kNone);
  std::optional<PanelsView> view = panels(*linear);
  if (!view) return std::nullopt;

  AlignedBuffer rows;
  const MutableRows in{operand_, rows.reserve(static_cast<std::size_t>(kRows * inputs) * dtype_size(operand_)), kRows,
                       inputs, inputs};
  kernels_.convert({DType::kF32, reinterpret_cast<const std::byte*>(values.data()), kRows, inputs, inputs}, in);
  std::vector<float> expected(static_cast<std::size_t>(kRows * outputs)), found(expected.size());
  const auto to = [&](std::vector<float>& floats) {
    return MutableRows{DType::kF32, reinterpret_cast<std::byte*>(floats.data()), kRows, outputs, outputs};
  };
  OneDnnScratch scratch;
  if (!this->linear(*linear, in.view(), to(expected), scratch)) return std::nullopt;
  for (std::int64_t length : {inputs, std::int64_t{2048}, std::int64_t{1024}, std::int64_t{512}, std::int64_t{256}}) {
    if (length > inputs) continue;
    view->chain = length;
    kernels_.multiply_steps(*view, {0, outputs}, nullptr, Activation::kNone, in.view(), to(found), scratch.steps);
    if (std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0) return length;
  }
  return std::nullopt;
}

Status OneDnnProduct::linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in,
                                   const MutableRows& out, OneDnnScratch& scratch) const {
  const auto& linear = static_cast<const Linear&>(weights);
  if (!linear.panels) return this->linear(weights, in, out, scratch);
  const auto* bias = linear.has_bias() ? reinterpret_cast<const float*>(linear.bias.data()) : nullptr;
  kernels_.multiply_steps(*linear.panels, outputs, bias, linear.activation, in, out, scratch.steps);
  return {};
}

}  // namespace layerscope
