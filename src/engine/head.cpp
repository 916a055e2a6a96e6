#include "engine/head.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kScoreBytes = std::int64_t{32} << 20;

void scale_all(const Backend& backend, float factor, const MutableRows& rows) {
  if (factor != 1) backend.scale_rows(std::vector<float>(static_cast<std::size_t>(rows.rows), factor), rows);
}

// What the first product reads: input_scale * finals as operands.
RowsView operands(const Backend& backend, const Head& head, const RowsView& finals, Workspace& workspace) {
  const BackendInfo& info = backend.info();
  const MutableRows in = workspace.tile_in.rows(info.operand, finals.rows, finals.width);
  if (head.input_scale == 1) {
    backend.convert(finals, in);
    return in.view();
  }
  const MutableRows scaled = workspace.tile_out.rows(info.stream, finals.rows, finals.width);
  backend.convert(finals, scaled);
  scale_all(backend, head.input_scale, scaled);
  backend.convert(scaled.view(), in);
  return in.view();
}

Result<RowsView> transformed(const Backend& backend, const PackedHead& weights, const RowsView& in,
                             Workspace& workspace) {
  const BackendInfo& info = backend.info();
  const std::int64_t width = weights.transform->outputs;
  const MutableRows result = workspace.tile_act.rows(info.operand, in.rows, width);
  if (weights.norm == nullptr) {
    LAYERSCOPE_TRY(backend.linear(*weights.transform, in, result, *workspace.scratch));
    return result.view();
  }
  const MutableRows wide = workspace.tile_wide.rows(info.stream, in.rows, width);
  LAYERSCOPE_TRY(backend.linear(*weights.transform, in, wide, *workspace.scratch));
  backend.norm(weights.norm->view, wide.view(), result);
  return result.view();
}

}  // namespace

namespace {

std::string missing_slot(const ModelSpec& spec, const Bindings& bindings, const std::string& prefix) {
  for (const Slot& slot : slots_of(spec)) {
    if (!slot.name.starts_with(prefix) || slot.name == prefix + "out.bias" || bindings.find(slot.name) != nullptr)
      continue;
    if (slot.name != "head.out.weight" || !spec.head->tied) {
      const auto tensor = bindings.empty.find(slot.name);
      return "tensor \"" + (tensor == bindings.empty.end() ? slot.name : tensor->second) + "\" is missing";
    }
    const Binding* tokens = bindings.find(stack_prefix(spec, spec.head_stack()) + "embed.token.weight");
    if (tokens == nullptr || !(tokens->slot.shape == slot.shape)) {
      return "its scores are tied to the token table, expected " + slot.shape.text() +
             (tokens == nullptr ? "" : ", which is " + tokens->slot.shape.text());
    }
  }
  return "";
}

}  // namespace

std::string missing_of_head(const ModelSpec& spec, const Bindings& bindings) {
  return missing_slot(spec, bindings, "head.");
}
std::string missing_of_labels(const ModelSpec& spec, const Bindings& bindings) {
  return missing_slot(spec, bindings, "labels.");
}

Result<const PackedHead*> LazyHead::get(const Head& head, const HeadTensors& tensors, const Backend& backend) {
  const std::lock_guard lock(mutex_);
  if (!packed_) {
    LAYERSCOPE_ASSIGN(PackedHead packed, pack_head(head, tensors, backend));
    packed_ = std::make_unique<const PackedHead>(std::move(packed));
  }
  return packed_.get();
}

Result<PackedHead> pack_head(const Head& head, const HeadTensors& tensors, const Backend& backend) {
  PackedHead packed{.norm = tensors.norm.get()};
  if (head.transform) {
    LAYERSCOPE_ASSIGN(packed.transform,
                      backend.pack(tensors.transform, tensors.transform_bias, head.transform->activation));
  }
  if (!tensors.out.empty()) {
    LAYERSCOPE_ASSIGN(packed.out, backend.pack(tensors.out, tensors.out_bias, Activation::kNone));
  }
  return packed;
}

std::int64_t score_rows(std::int64_t vocabulary) noexcept {
  const std::int64_t rows = kScoreBytes / (static_cast<std::int64_t>(sizeof(float)) * vocabulary);
  return std::clamp<std::int64_t>(rows, 1, kTileRows);
}

Status score(const Backend& backend, const Head& head, const PackedHead& weights, const RowsView& finals,
             const MutableRows& out, Workspace& workspace) {
  for (std::int64_t first = 0; first < finals.rows; first += kTileRows) {
    const std::int64_t count = std::min(kTileRows, finals.rows - first);
    const MutableRows scores = slice(out, first, count);
    RowsView in = operands(backend, head, slice(finals, first, count), workspace);
    if (weights.transform) {
      LAYERSCOPE_ASSIGN(in, transformed(backend, weights, in, workspace));
    }
    LAYERSCOPE_TRY(backend.linear(*weights.out, in, scores, *workspace.scratch));
    scale_all(backend, head.scale, scores);
    if (!head.softcap) continue;
    scale_all(backend, 1 / *head.softcap, scores);
    backend.activate(Activation::kTanh, scores.view(), scores);
    scale_all(backend, *head.softcap, scores);
  }
  return {};
}

Status pool_rows(const Backend& backend, const PackedHead& weights, const RowsView& finals, const MutableRows& out,
                 Workspace& workspace) {
  for (std::int64_t first = 0; first < finals.rows; first += kTileRows) {
    const std::int64_t count = std::min(kTileRows, finals.rows - first);
    const MutableRows in = workspace.tile_in.rows(backend.info().operand, count, finals.width);
    backend.convert(slice(finals, first, count), in);
    LAYERSCOPE_TRY(backend.linear(*weights.transform, in.view(), slice(out, first, count), *workspace.scratch));
  }
  return {};
}

Status finish_rows(const Backend& backend, const StackWeights& weights, const RowsView& stream, const MutableRows& out,
                   Workspace& workspace) {
  const auto normed = [&](const RowsView& in, const MutableRows& to) {
    if (weights.top)
      backend.norm(weights.top->view, in, to);
    else if (in.data != to.data)
      backend.convert(in, to);
  };
  if (!weights.top_projection) {
    normed(stream, out);
    return {};
  }
  for (std::int64_t first = 0; first < stream.rows; first += kTileRows) {
    const std::int64_t count = std::min(kTileRows, stream.rows - first);
    const MutableRows in = workspace.tile_in.rows(backend.info().operand, count, stream.width);
    normed(slice(stream, first, count), in);
    LAYERSCOPE_TRY(backend.linear(*weights.top_projection, in.view(), slice(out, first, count), *workspace.scratch));
  }
  return {};
}

}  // namespace layerscope
