#include "diff/lab_backend.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "base/try.h"
#include "diff/lab_attention.h"
#include "engine/workspace.h"
#include "kernels/scalar.h"

namespace layerscope {

float rounded(Rounding rounding, float value) noexcept {
  switch (rounding) {
    case Rounding::kNone: return value;
    case Rounding::kBF16: return bf16_to_float(float_to_bf16(value));
    case Rounding::kF16: return f16_to_float(float_to_f16(value));
  }
  return value;
}

std::string rounding_name(Rounding rounding) { return rounding == Rounding::kF16 ? "f16" : "bf16"; }

SlotValues* BlockSetup::change(const std::string& slot) {
  const auto found = weights.find(slot);
  if (found == weights.end()) return nullptr;
  auto copy = std::make_shared<SlotValues>(*found->second);
  SlotValues* values = copy.get();
  found->second = std::move(copy);
  return values;
}

namespace {

// A product whose activation is done behind it, so that something may come between the two.
struct LabLinear final : PackedLinear {
  std::unique_ptr<PackedLinear> product;  // null in float64:
  std::vector<double> transposed;         // [inputs, outputs]
  std::vector<float> bias;
  Activation activation = Activation::kNone;
};

double at(const RowsView& rows, std::int64_t row, std::int64_t column) {
  return load_element<double>(rows.dtype, rows.data, row * rows.stride + column);
}
void put(const MutableRows& rows, std::int64_t row, std::int64_t column, double value) {
  store_element<double>(rows.dtype, rows.data, row * rows.stride + column, value);
}

void round_rows(Rounding rounding, const MutableRows& rows) {
  if (rounding == Rounding::kNone) return;
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    for (std::int64_t j = 0; j < rows.width; ++j)
      put(rows, i, j, rounded(rounding, double_to_float_odd(at(rows.view(), i, j))));
  }
}

// Rows of our own, in the type of others.
class RowsCopy {
 public:
  explicit RowsCopy(const RowsView& rows)
      : memory_(static_cast<std::size_t>(rows.rows * rows.width) * dtype_size(rows.dtype)),
        rows_{rows.dtype, memory_.data(), rows.rows, rows.width, rows.width} {
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      for (std::int64_t j = 0; j < rows.width; ++j) put(rows_, i, j, at(rows, i, j));
    }
  }
  [[nodiscard]] const MutableRows& rows() const noexcept { return rows_; }

 private:
  std::vector<std::byte> memory_;
  MutableRows rows_;
};

std::vector<double> transposed(std::span<const MatrixView> parts, std::int64_t inputs, std::int64_t outputs) {
  std::vector<double> values(static_cast<std::size_t>(inputs * outputs));
  std::int64_t first = 0;
  for (const MatrixView& part : parts) {
    for (std::int64_t o = 0; o < part.outputs; ++o) {
      for (std::int64_t i = 0; i < part.inputs; ++i)
        values[static_cast<std::size_t>(i * outputs + first + o)] =
            load_element<double>(part.dtype, part.data, o * part.output_stride + i * part.input_stride);
    }
    first += part.outputs;
  }
  return values;
}

// Output beside output, so that the compiler may do several at once.
void product(const LabLinear& weights, const RowsView& in, const MutableRows& out) {
  const auto outputs = static_cast<std::size_t>(weights.outputs);
  std::vector<double> sums(outputs);
  for (std::int64_t row = 0; row < in.rows; ++row) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t i = 0; i < in.width; ++i) {
      const double value = at(in, row, i);
      const double* column = weights.transposed.data() + static_cast<std::size_t>(i) * outputs;
      for (std::size_t o = 0; o < outputs; ++o) sums[o] += value * column[o];
    }
    for (std::size_t o = 0; o < outputs; ++o)
      put(out, row, static_cast<std::int64_t>(o), weights.bias.empty() ? sums[o] : sums[o] + weights.bias[o]);
  }
}

// A norm with a change, in float64. Input and output may be the same memory.
void changed_norm(const NormView& norm, const NormChange& change, const RowsView& in, const MutableRows& out) {
  const auto width = static_cast<double>(in.width);
  std::vector<double> row(static_cast<std::size_t>(in.width));
  for (std::int64_t i = 0; i < in.rows; ++i) {
    double mean = 0, squares = 0;
    for (std::int64_t j = 0; j < in.width; ++j) {
      double& value = row[static_cast<std::size_t>(j)];
      value = at(in, i, j);
      if (change.input != Rounding::kNone) value = rounded(change.input, double_to_float_odd(value));
      mean += value / width;
    }
    if (norm.kind == NormKind::kRms) mean = 0;
    for (const double value : row) squares += (value - mean) * (value - mean);
    const double variance = squares / (change.unbiased ? width - 1 : width);
    const double root = change.outside ? std::sqrt(variance) + norm.epsilon : std::sqrt(variance + norm.epsilon);
    for (std::int64_t j = 0; j < in.width; ++j) {
      const double scaled = (row[static_cast<std::size_t>(j)] - mean) / root;
      put(out, i, j,
          scaled * (norm.weight != nullptr ? norm.weight[j] : 1.0F) + (norm.bias != nullptr ? norm.bias[j] : 0.0F));
    }
  }
  round_rows(change.output, out);
}

}  // namespace

LabBackend::LabBackend(const Backend& inner, const BlockSetup& setup) : ForwardingBackend(inner), setup_(setup) {}

void LabBackend::name(const Stack& stack, const StackWeights& weights) {
  const auto product = [&](const std::unique_ptr<PackedLinear>& packed, const std::string& module) {
    if (packed) modules_[packed.get()] = module;
  };
  const auto norm = [&](const std::unique_ptr<NormWeights>& loaded, const std::string& module) {
    if (loaded) modules_[&loaded->view] = module;
  };
  norm(weights.top, "top");
  norm(weights.embed_norm, "embed.norm");
  product(weights.embed_projection, "embed.projection");
  product(weights.top_projection, "top_projection");
  for (std::size_t s = 0; !stack.blocks.empty() && s < stack.blocks.front().steps.size(); ++s) {
    const Step& step = stack.blocks.front().steps[s];
    const StepWeights& loaded = weights.blocks.front()[s];
    const std::string at = step.slot + ".";
    norm(loaded.pre, at + "pre");
    norm(loaded.post, at + "post");
    norm(loaded.after, at + "after");
    product(loaded.attention.in, at + "in");
    product(loaded.attention.memory, at + "memory");
    product(loaded.attention.out, at + "out");
    norm(loaded.attention.q_norm, at + "q_norm");
    norm(loaded.attention.k_norm, at + "k_norm");
    if (loaded.attention.latent) {
      product(loaded.attention.latent->in, at + "in");
      product(loaded.attention.latent->q_up, at + "q_up");
      product(loaded.attention.latent->kv_up, at + "kv_up");
    }
    product(loaded.mlp.in, at + "in");
    product(loaded.mlp.down, at + "down");
    if (loaded.experts) {
      product(loaded.experts->router, at + "router");
      for (const MlpWeights& expert : loaded.experts->experts) {
        product(expert.in, at + "in");
        product(expert.down, at + "down");
      }
      product(loaded.experts->shared.in, at + "in");
      product(loaded.experts->shared.down, at + "down");
    }
    if (loaded.short_conv) {
      product(loaded.short_conv->in, at + "in");
      product(loaded.short_conv->out, at + "out");
    }
    if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
      attentions_.push_back(step.slot);
      crosses_.push_back(attention->keys == KeySource::kEncoder);
    }
  }
}

Result<std::unique_ptr<PackedLinear>> LabBackend::pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                                       Activation activation) const {
  auto packed = std::make_unique<LabLinear>();
  packed->activation = activation;
  packed->inputs = parts.empty() ? 0 : parts.front().inputs;
  for (const MatrixView& part : parts) packed->outputs += part.outputs;
  if (info().stream == DType::kF64) {
    packed->bias.assign(bias.begin(), bias.end());
    packed->transposed = transposed(parts, packed->inputs, packed->outputs);
  } else {
    LAYERSCOPE_ASSIGN(packed->product, inner_.pack(parts, bias, Activation::kNone));
  }
  return std::unique_ptr<PackedLinear>(std::move(packed));
}

Status LabBackend::linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                          Scratch& scratch) const {
  const auto& packed = static_cast<const LabLinear&>(weights);
  const auto module = modules_.find(&weights);
  const auto change = module == modules_.end() ? setup_.products.end() : setup_.products.find(module->second);
  const auto multiply = [&](const RowsView& from) -> Status {
    if (packed.product) return inner_.linear(*packed.product, from, out, scratch);
    product(packed, from, out);
    return {};
  };
  if (change == setup_.products.end()) {
    LAYERSCOPE_TRY(multiply(in));
    if (packed.activation != Activation::kNone) inner_.activate(packed.activation, out.view(), out);
    return {};
  }
  const ProductChange& changed = change->second;
  const std::int64_t first = changed.first, count = changed.count == 0 ? out.width : changed.count;
  const MutableRows part = columns(out, first, count);
  if (changed.input != Rounding::kNone) {
    const RowsCopy input(in);
    round_rows(changed.input, input.rows());
    LAYERSCOPE_TRY(multiply(input.rows().view()));
    const RowsCopy kept(part.view());
    if (count < out.width) LAYERSCOPE_TRY(multiply(in));
    inner_.convert(kept.rows().view(), part);
  } else {
    LAYERSCOPE_TRY(multiply(in));
  }
  round_rows(changed.output, part);
  if (packed.activation != Activation::kNone) inner_.activate(packed.activation, out.view(), out);
  return {};
}

void LabBackend::gate(Activation activation, const RowsView& gate, const RowsView& up,
                      const MutableRows& out) const noexcept {
  if (setup_.gates == Rounding::kNone) return inner_.gate(activation, gate, up, out);
  const RowsCopy activated(gate);
  inner_.activate(activation, gate, activated.rows());
  round_rows(setup_.gates, activated.rows());
  inner_.gate(Activation::kNone, activated.rows().view(), up, out);
}

Status LabBackend::linear_steps(const PackedLinear&, OutputRange, const RowsView&, const MutableRows&, Scratch&) const {
  return Error{ErrorCode::kUsage, "a laboratory has no single-token steps"};
}

void LabBackend::norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept {
  const auto module = modules_.find(&norm);
  const auto change = module == modules_.end() ? setup_.norms.end() : setup_.norms.find(module->second);
  if (change == setup_.norms.end()) return inner_.norm(norm, in, out);
  changed_norm(norm, change->second, in, out);
  if (change->second.twice) changed_norm(norm, change->second, out.view(), out);
}

void LabBackend::add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept {
  inner_.add(x, t, scale, nullptr);
  if (after != nullptr) norm(*after, x.view(), x);
  round_rows(setup_.stream, x);
}

void LabBackend::attend(std::span<const AttentionCall> calls, Scratch& scratch) const {
  const auto& changes = setup_.attentions;
  const auto found = attended_ < attentions_.size() ? changes.find(attentions_[attended_]) : changes.end();
  ++attended_;
  const AttentionChange change = found == changes.end() ? AttentionChange() : found->second;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const bool own = attended_ > crosses_.size() || !crosses_[attended_ - 1];
    const RowExtent extent = own && i < setup_.extents.size() ? setup_.extents[i] : RowExtent();
    const bool plain = change == AttentionChange() && extent.hidden_first == 0 && extent.hidden_last == 0;
    if (plain || calls[i].arguments.positions != nullptr)
      inner_.attention(calls[i].arguments, calls[i].z, scratch);
    else
      lab_attention(calls[i].arguments, change, extent, calls[i].z);
  }
}

}  // namespace layerscope
