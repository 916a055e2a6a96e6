#include "backend/onednn_linear.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include <omp.h>

namespace layerscope {
namespace {

constexpr std::int64_t kTileRows = 256;  // one product's height: its inputs and outputs stay in the second-level cache
constexpr std::int64_t kTailStep = 16;   // heights of the last tile are multiples of this, so that primitives stay few

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type library_type(DType dtype) {
  return dtype == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

/// `then_squared`: another function follows.
struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha;
  bool then_squared = false;
};

Eltwise eltwise(Activation activation) {
  switch (activation) {
    case Activation::kGeluErf: return {dnnl::algorithm::eltwise_gelu_erf, 0};
    case Activation::kGeluTanh: return {dnnl::algorithm::eltwise_gelu_tanh, 0};
    case Activation::kSilu: return {dnnl::algorithm::eltwise_swish, 1};
    case Activation::kQuickGelu: return {dnnl::algorithm::eltwise_swish, 1.702F};
    case Activation::kTanh: return {dnnl::algorithm::eltwise_tanh, 0};
    case Activation::kSigmoid: return {dnnl::algorithm::eltwise_logistic, 0};
    case Activation::kReluSquared: return {dnnl::algorithm::eltwise_relu, 0, true};
    case Activation::kNone:
    case Activation::kRelu: break;
  }
  return {dnnl::algorithm::eltwise_relu, 0};
}

dnnl::matmul::primitive_desc describe(const dnnl::memory::desc& src, const dnnl::memory::desc& weights,
                                      const dnnl::memory::desc& bias, const dnnl::memory::desc& dst,
                                      Activation activation) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (activation != Activation::kNone) {
    const Eltwise op = eltwise(activation);
    dnnl::post_ops post;
    const auto append = [&post](dnnl::algorithm algorithm, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
      post.append_eltwise(algorithm, alpha, 0);
#else
      post.append_eltwise(1, algorithm, alpha, 0);
#endif
    };
    append(op.algorithm, op.alpha);
    if (op.then_squared) append(dnnl::algorithm::eltwise_square, 0);
    attributes.set_post_ops(post);
  }
#if DNNL_VERSION_MAJOR >= 3
  return bias.is_zero() ? dnnl::matmul::primitive_desc(cpu_engine(), src, weights, dst, attributes)
                        : dnnl::matmul::primitive_desc(cpu_engine(), src, weights, bias, dst, attributes);
#else
  const dnnl::matmul::desc operation =
      bias.is_zero() ? dnnl::matmul::desc(src, weights, dst) : dnnl::matmul::desc(src, weights, bias, dst);
  return {operation, attributes, cpu_engine()};
#endif
}

/// One thread for the library while this stands: a start-up check or a packing must not fill other workers' cores.
class SingleThread {
 public:
  SingleThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThread() { omp_set_num_threads(before_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int before_;
};

Error failure(const char* what, const dnnl::error& error) {
  const ErrorCode code = error.status == dnnl_out_of_memory ? ErrorCode::kResource : ErrorCode::kRuntime;
  return {code, std::string("oneDNN: ") + what + ": " + error.what()};
}

}  // namespace

struct OneDnnProduct::Primitive {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul matmul;
  std::size_t scratchpad_bytes = 0;
};

struct OneDnnProduct::Key {
  std::int64_t height = 0, in_stride = 0, out_stride = 0;
  DType out_type = DType::kF32;
};

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

bool onednn_has_invariant_kernels(DType operand) {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed =
      static_cast<unsigned>(operand == DType::kBF16 ? dnnl::cpu_isa::avx512_core_bf16 : dnnl::cpu_isa::avx512_core);
  return (isa & needed) == needed;
}

void onednn_enter_worker() noexcept { omp_set_num_threads(1); }

Result<std::unique_ptr<PackedLinear>> OneDnnProduct::pack(std::span<const MatrixView> parts,
                                                          std::span<const float> bias, Activation activation) const
    try {
  const SingleThread single;
  std::unique_ptr<Linear> linear = packed(parts, bias, activation);
  linear->panels = panels(*linear);
  if (linear->panels) linear->panels->chain = chain(linear->inputs);
  linear->grain = linear->panels ? kernels_.panel : linear->outputs;
  return std::unique_ptr<PackedLinear>(std::move(linear));
} catch (const dnnl::error& error) {
  return failure("packing a weight matrix", error);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "packing a weight matrix: out of memory"};
}

std::unique_ptr<OneDnnProduct::Linear> OneDnnProduct::packed(std::span<const MatrixView> parts,
                                                             std::span<const float> bias, Activation activation) const {
  auto linear = std::make_unique<Linear>();
  linear->activation = activation;
  for (const MatrixView& part : parts) {
    linear->inputs = part.inputs;
    linear->outputs += part.outputs;
  }
  const std::int64_t inputs = linear->inputs, outputs = linear->outputs;
  if (!bias.empty()) {
    std::byte* copy = linear->bias.reserve(bias.size_bytes());
    std::memcpy(copy, bias.data(), bias.size_bytes());
  }

  const auto type = library_type(operand_);
  const dnnl::memory::desc any_weights({inputs, outputs}, type, dnnl::memory::format_tag::any);
  const dnnl::memory::desc src({kTileRows, inputs}, type, dnnl::memory::format_tag::ab);
  const dnnl::memory::desc dst({kTileRows, outputs}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const dnnl::memory::desc row =
      bias.empty() ? dnnl::memory::desc()
                   : dnnl::memory::desc({1, outputs}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const dnnl::memory::desc packed = describe(src, any_weights, row, dst, activation).weights_desc();

  AlignedBuffer plain;
  const auto element = static_cast<std::int64_t>(dtype_size(operand_));
  std::byte* to = plain.reserve(static_cast<std::size_t>(inputs * outputs * element));
  bool transposed = true;
  for (const MatrixView& part : parts) transposed = transposed && part.input_stride != 1 && part.output_stride == 1;
  std::int64_t first = 0;
  for (const MatrixView& part : parts) {
    if (transposed) {  // rows of the source are inputs
      kernels_.convert({part.dtype, part.data, inputs, part.outputs, part.input_stride},
                       {operand_, to + first * element, inputs, part.outputs, outputs});
    } else if (part.input_stride == 1) {
      kernels_.convert({part.dtype, part.data, part.outputs, inputs, part.output_stride},
                       {operand_, to + first * inputs * element, part.outputs, inputs, inputs});
    } else {
      const std::int64_t size = static_cast<std::int64_t>(dtype_size(part.dtype));
      for (std::int64_t o = 0; o < part.outputs; ++o) {  // one element a row
        kernels_.convert({part.dtype, part.data + o * part.output_stride * size, inputs, 1, part.input_stride},
                         {operand_, to + (first + o) * inputs * element, inputs, 1, 1});
      }
    }
    first += part.outputs;
  }
  const dnnl::memory::desc source({inputs, outputs}, type,
                                  transposed ? dnnl::memory::format_tag::ab : dnnl::memory::format_tag::ba);
  dnnl::memory from(source, cpu_engine(), plain.data());
  linear->weights = dnnl::memory(packed, cpu_engine());
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(from, linear->weights).execute(stream, from, linear->weights);
  stream.wait();
  linear->bytes = packed.get_size() + linear->bias.bytes();
  return linear;
}

std::shared_ptr<const OneDnnProduct::Primitive> OneDnnProduct::primitive(const Linear& linear, const Key& key) const {
  const auto index = std::make_tuple(key.height, linear.inputs, linear.outputs, key.in_stride, key.out_stride,
                                     key.out_type, linear.activation, linear.has_bias());
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = primitives_.find(index); found != primitives_.end()) return found->second;
  }
  const dnnl::memory::desc src({key.height, linear.inputs}, library_type(operand_), {key.in_stride, 1});
  const dnnl::memory::desc dst({key.height, linear.outputs}, library_type(key.out_type), {key.out_stride, 1});
  const dnnl::memory::desc bias =
      linear.has_bias()
          ? dnnl::memory::desc({1, linear.outputs}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab)
          : dnnl::memory::desc();
  auto made = std::make_shared<Primitive>();
  made->description = describe(src, linear.weights.get_desc(), bias, dst, linear.activation);
  made->matmul = dnnl::matmul(made->description);
  made->scratchpad_bytes = made->description.scratchpad_desc().get_size();
  const std::unique_lock lock(mutex_);
  return primitives_.try_emplace(index, std::move(made)).first->second;
}

void OneDnnProduct::multiply_tile(const Linear& linear, const RowsView& in, const MutableRows& out, std::int64_t height,
                                  OneDnnScratch& scratch) const {
  const std::shared_ptr<const Primitive> chosen = primitive(linear, {height, in.stride, out.stride, out.dtype});
  const auto& description = chosen->description;
  static thread_local dnnl::stream stream(cpu_engine());
  // The library takes pointers to mutable memory; it writes to the destination and its scratchpad only.
  dnnl::memory src(description.src_desc(), cpu_engine(), const_cast<std::byte*>(in.data));
  dnnl::memory dst(description.dst_desc(), cpu_engine(), out.data);
  dnnl::memory pad(description.scratchpad_desc(), cpu_engine(), scratch.library.reserve(chosen->scratchpad_bytes));
  std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, linear.weights}, {DNNL_ARG_DST, dst}, {DNNL_ARG_SCRATCHPAD, pad}};
  if (linear.has_bias()) {
    arguments.emplace(DNNL_ARG_BIAS, dnnl::memory(description.bias_desc(), cpu_engine(), linear.bias.data()));
  }
  chosen->matmul.execute(stream, arguments);
  stream.wait();
}

Status OneDnnProduct::linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                             OneDnnScratch& scratch) const try {
  const auto& linear = static_cast<const Linear&>(weights);
  const auto tile = [&](std::int64_t first, std::int64_t height) {
    const auto in_offset = first * in.stride * static_cast<std::int64_t>(dtype_size(in.dtype));
    const auto out_offset = first * out.stride * static_cast<std::int64_t>(dtype_size(out.dtype));
    multiply_tile(linear, {in.dtype, in.data + in_offset, height, in.width, in.stride},
                  {out.dtype, out.data + out_offset, height, out.width, out.stride}, height, scratch);
  };
  const std::size_t in_row = static_cast<std::size_t>(in.width) * dtype_size(in.dtype);
  const std::size_t out_row = static_cast<std::size_t>(out.width) * dtype_size(out.dtype);
  const auto copied = [&](std::int64_t first, std::int64_t count, std::int64_t height) {
    std::byte* rows = scratch.rows.reserve(static_cast<std::size_t>(height) * in_row);
    std::byte* results = scratch.results.reserve(static_cast<std::size_t>(height) * out_row);
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(rows + static_cast<std::size_t>(i) * in_row,
                  in.data + (first + i) * in.stride * static_cast<std::int64_t>(dtype_size(in.dtype)), in_row);
    }
    std::memset(rows + static_cast<std::size_t>(count) * in_row, 0, static_cast<std::size_t>(height - count) * in_row);
    multiply_tile(linear, {in.dtype, rows, height, in.width, in.width},
                  {out.dtype, results, height, out.width, out.width}, height, scratch);
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(out.data + (first + i) * out.stride * static_cast<std::int64_t>(dtype_size(out.dtype)),
                  results + static_cast<std::size_t>(i) * out_row, out_row);
    }
  };
  // The library sums in another order where rows do not lie end to end; tails are copied, so all of those must be.
  const bool dense = in.stride == in.width && out.stride == out.width;
  std::int64_t row = 0;
  for (; row + kTileRows <= in.rows; row += kTileRows) dense ? tile(row, kTileRows) : copied(row, kTileRows, kTileRows);
  const std::int64_t tail = in.rows - row;
  if (tail == 0) return {};
  const std::int64_t height = (tail + kTailStep - 1) / kTailStep * kTailStep;
  // Where it can, the last tile reaches back over rows that are done: they come out the same again.
  dense&& height <= in.rows ? tile(in.rows - height, height) : copied(row, tail, height);
  return {};
} catch (const dnnl::error& error) {
  return failure("a matrix product", error);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "a matrix product: out of memory"};
}

}  // namespace layerscope
