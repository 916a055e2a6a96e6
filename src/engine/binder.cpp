#include "engine/binder.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "base/try.h"
#include "base/utf8.h"
#include "spec/labels.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

class Binder {
 public:
  Binder(const ModelSpec& spec, const Family& family, const TensorSource& source, std::string folder,
         const std::vector<std::string>& others)
      : spec_(spec), family_(family), source_(source), folder_(std::move(folder)), others_(others) {
    choose_prefix();
  }

  Result<Bindings> run() {
    Bindings bindings;
    for (Slot& slot : slots_of(spec_)) {
      LAYERSCOPE_ASSIGN(Binding binding, fill(slot, bindings));
      if (!binding.views.empty()) bindings.bound.push_back(std::move(binding));
    }
    LAYERSCOPE_TRY(check_copies());
    for (const SourceTensor& tensor : source_.tensors()) {
      if (is_float(tensor.view.dtype)) bindings.parameters += static_cast<std::uint64_t>(tensor.view.shape.elements());
      if (claimed_.contains(tensor.name)) continue;
      if (!ignorable(tensor.name))
        return refuse(tensor.file,
                      "tensor \"" + tensor.name + "\" " + tensor.view.shape.text() + " has no place in this model");
      bindings.ignored.push_back(tensor.name);
    }
    return bindings;
  }

 private:
  static bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16; }

  [[nodiscard]] Error refuse(const std::string& file, const std::string& message) const {
    return Error{ErrorCode::kModel, folder_ + "/" + file + ": " + printable(message, 600)};
  }

  // "block.7.attn.q" against "block.{i}.attn.q": holes stand for anything without a dot.
  static bool match(std::string_view row, std::string_view name) {
    const std::size_t hole = row.find('{');
    if (hole == std::string_view::npos) return row == name;
    if (!name.starts_with(row.substr(0, hole))) return false;
    name.remove_prefix(hole);
    const std::size_t end = std::min(name.find('.'), name.size());
    return end > 0 && match(row.substr(hole + 3), name.substr(end));
  }

  // Slots of a model with one stack carry no prefix, rows of a family that also has two do.
  [[nodiscard]] std::string_view row_slot(const Bind& row) const {
    if (spec_.two_stacks()) return row.slot;
    if (spec_.encoder && row.slot.starts_with("enc.")) return row.slot.substr(4);
    if (spec_.decoder && row.slot.starts_with("dec.")) return row.slot.substr(4);
    return row.slot;
  }

  static void fill_hole(std::string& name, std::string_view hole, const std::string& value) {
    const std::size_t at = name.find(hole);
    if (at != std::string::npos) name.replace(at, hole.size(), value);
  }

  [[nodiscard]] const SourceTensor* find(const std::string& name) const {
    const SourceTensor* tensor = source_.find(prefix_ + name);
    return tensor != nullptr ? tensor : source_.find(name);
  }

  void choose_prefix() {
    prefix_ = family_.prefixes.empty() ? "" : std::string(family_.prefixes.front());
    for (const std::string_view prefix : family_.prefixes) {
      if (source_.find(std::string(prefix) + std::string(family_.binds.front().source) + ".weight") == nullptr)
        continue;
      prefix_ = prefix;
      return;
    }
  }

  // The binding of a slot; one without views where the slot is optional and nothing fills it.
  Result<Binding> fill(const Slot& slot, Bindings& bindings) {
    const std::size_t dot = slot.name.rfind('.');
    const std::string_view module = std::string_view(slot.name).substr(0, dot);
    const std::string leaf = slot.name.substr(dot);
    std::string wanted;
    const bool label = slot.name.starts_with("labels.");
    for (const Bind& row : label ? kLabelBinds : family_.binds) {
      const std::string_view name = row_slot(row);
      if (!match(name, module) && !match(name, slot.name)) continue;
      std::string source(row.source);
      fill_hole(source, "{i}", slot.source);
      fill_hole(source, "{e}", std::to_string(slot.expert));
      const bool whole_name = source.ends_with('!');
      if (whole_name) source.pop_back();
      if (!whole_name) source += leaf;
      const SourceTensor* tensor = look(slot, source, leaf);
      if (tensor != nullptr && row.source.find("{h}") != std::string_view::npos) return stacked(slot, source, row);
      if (tensor != nullptr) return cut(slot, *tensor, row);
      if (wanted.empty()) wanted = slot.optional ? source : prefix_ + source;  // heads stand outside of the prefix
    }
    if (slot.optional) {
      bindings.empty.emplace(slot.name, wanted);
      return Binding{.slot = slot};
    }
    return Error{ErrorCode::kModel, folder_ + ": tensor \"" + wanted + "\" is missing (slot " + slot.name +
                                        ", expected " + slot.shape.text() + ")"};
  }

  // The tensor of a source, under its own name or, for norms, the one of old.
  [[nodiscard]] const SourceTensor* look(const Slot& slot, std::string name, const std::string& leaf) const {
    fill_hole(name, "{h}", "0");
    const SourceTensor* tensor = find(name);
    if (tensor != nullptr || slot.kind != SlotKind::kVector || !name.ends_with(leaf)) return tensor;
    name.resize(name.size() - leaf.size());
    return find(name + (leaf == ".weight" ? ".gamma" : ".beta"));
  }

  [[nodiscard]] Error bad_dtype(const Slot& slot, const SourceTensor& tensor) const {
    return refuse(tensor.file, "tensor \"" + tensor.name + "\" has dtype " +
                                   std::string(dtype_name(tensor.view.dtype)) + ", expected F32, F16 or BF16 (slot " +
                                   slot.name + ")");
  }
  [[nodiscard]] Error bad_shape(const Slot& slot, const SourceTensor& tensor, const Shape& expected) const {
    return refuse(tensor.file, "tensor \"" + tensor.name + "\" has shape " + tensor.view.shape.text() + ", expected " +
                                   expected.text() + " (slot " + slot.name + ")");
  }

  // A slot whose rows are tensors by themselves.
  Result<Binding> stacked(const Slot& slot, const std::string& source, const Bind& row) {
    Binding binding{.slot = slot, .cut = row.cut};
    for (std::int64_t h = 0; h < slot.shape[0]; ++h) {
      std::string name = source;
      fill_hole(name, "{h}", std::to_string(h));
      const SourceTensor* tensor = find(name);
      if (tensor == nullptr)
        return Error{ErrorCode::kModel, folder_ + ": tensor \"" + name + "\" is missing (slot " + slot.name + ")"};
      if (!is_float(tensor->view.dtype)) return bad_dtype(slot, *tensor);
      if (!(tensor->view.shape == Shape{slot.shape[1]})) return bad_shape(slot, *tensor, Shape{slot.shape[1]});
      claimed_.insert(tensor->name);
      if (binding.tensor == nullptr) binding.tensor = tensor;
      binding.views.push_back({.dtype = tensor->view.dtype,
                               .data = tensor->view.data,
                               .outputs = 1,
                               .inputs = slot.shape[1],
                               .output_stride = slot.shape[1],
                               .input_stride = 1});
    }
    return binding;
  }

  // How a slot's outputs lie among those of its tensor.
  struct Layout {
    std::int64_t groups = 1, first = 0, taken = 0,
                 group = 0;  // a group has `group` outputs, the slot's from `first` on
  };
  static std::optional<Layout> layout_of(const Slot& slot, const Cut& cut) {
    const std::int64_t rows = slot.shape[0];
    Layout layout;
    switch (cut.groups) {
      case Cut::Groups::kOne: layout.groups = 1; break;
      case Cut::Groups::kKeyHeads: layout.groups = slot.key_heads; break;
      case Cut::Groups::kFour: layout.groups = 4; break;
      case Cut::Groups::kRows: layout.groups = rows; break;
    }
    if (layout.groups < 1 || rows % layout.groups != 0) return std::nullopt;
    layout.taken = rows / layout.groups;
    if (!cut.qkv) {
      layout.first = cut.part * layout.taken;
      layout.group = cut.parts * layout.taken;
      return layout;
    }
    if (slot.key_heads % layout.groups != 0) return std::nullopt;
    for (int part = 0; part < 3; ++part) {
      const std::int64_t size = slot.qkv[static_cast<std::size_t>(part)] * (slot.key_heads / layout.groups);
      if (part < cut.part) layout.first += size;
      layout.group += size;
    }
    return layout;
  }

  static Shape stored_shape(const Slot& slot, const Cut& cut, std::int64_t outputs) {
    Shape shape;
    if (cut.expert) shape.push_back(slot.experts);
    const std::int64_t inputs = slot.shape.rank() > 1 ? slot.shape[1] : 1;
    switch (slot.kind) {
      case SlotKind::kVector: shape.push_back(outputs); break;
      case SlotKind::kChannels:
        for (const std::int64_t dim : {outputs, std::int64_t{1}, inputs}) shape.push_back(dim);
        break;
      case SlotKind::kTaps:
        for (const std::int64_t dim : {outputs, inputs / slot.taps, slot.taps}) shape.push_back(dim);
        break;
      case SlotKind::kMatrix:
      case SlotKind::kTable:
        shape.push_back(cut.transposed ? inputs : outputs);
        shape.push_back(cut.transposed ? outputs : inputs);
        break;
    }
    return shape;
  }

  Result<Binding> cut(const Slot& slot, const SourceTensor& tensor, const Bind& row) {
    const Cut& cut = row.cut;
    if (!is_float(tensor.view.dtype)) return bad_dtype(slot, tensor);
    const std::optional<Layout> layout = layout_of(slot, cut);
    if (!layout) return refuse(tensor.file, "tensor \"" + tensor.name + "\" cannot be cut for slot " + slot.name);
    const std::int64_t outputs = layout->groups * layout->group;
    const Shape stored = stored_shape(slot, cut, outputs);
    const bool scalar = tensor.view.shape.rank() == 0 && stored == Shape{1};
    const bool buffer = row.source.ends_with('!') && slot.kind == SlotKind::kVector;
    const bool one_row = buffer && tensor.view.shape == Shape{1, outputs};
    if (!(tensor.view.shape == stored) && !scalar && !one_row) return bad_shape(slot, tensor, stored);
    const std::string claim = slot.name.substr(slot.name.rfind('.')) + "#" + std::to_string(cut.part) + "#" +
                              (cut.expert ? std::to_string(slot.expert) : "");
    if (!claims_.insert(tensor.name + claim).second && !row.shared)
      return refuse(tensor.file, "tensor \"" + tensor.name + "\" is claimed by two slots, one of them " + slot.name);
    claimed_.insert(tensor.name);

    Binding binding{.slot = slot, .tensor = &tensor, .cut = cut};
    const bool transposed = cut.transposed && slot.kind != SlotKind::kVector;
    const std::int64_t inputs = slot.shape.rank() > 1 ? slot.shape[1] : 1;
    MatrixView view{.dtype = tensor.view.dtype,
                    .data = tensor.view.data,
                    .outputs = layout->taken,
                    .inputs = inputs,
                    .output_stride = transposed ? 1 : inputs,
                    .input_stride = transposed ? outputs : 1};
    const auto bytes = [&](std::int64_t elements) {
      return static_cast<std::size_t>(elements) * dtype_size(view.dtype);
    };
    if (cut.expert) view.data += bytes(slot.expert * outputs * inputs);
    view.data += bytes(layout->first * view.output_stride);
    if (layout->taken == 1 && layout->groups > 1) {  // single rows apart: one view with a longer stride
      view.outputs = layout->groups;
      view.output_stride *= layout->group;
      binding.views.push_back(view);
      return binding;
    }
    for (std::int64_t group = 0; group < layout->groups; ++group) {
      binding.views.push_back(view);
      view.data += bytes(layout->group * view.output_stride);
    }
    return binding;
  }

  Status check_copies() {
    for (const std::string_view pair : family_.copies) {
      const std::size_t equals = pair.find('=');
      const SourceTensor* copy = find(std::string(pair.substr(0, equals)));
      const SourceTensor* original = find(std::string(pair.substr(equals + 1)));
      if (copy == nullptr || original == nullptr) continue;
      const bool same = copy->view.dtype == original->view.dtype && copy->view.shape == original->view.shape &&
                        std::memcmp(copy->view.data, original->view.data, original->view.bytes()) == 0;
      if (!same)
        return refuse(copy->file, "tensor \"" + copy->name + "\" differs from \"" + original->name +
                                      "\", of which it must be a copy");
      claimed_.insert(copy->name);
    }
    return {};
  }

  [[nodiscard]] bool ignorable(const std::string& name) const {
    if (std::ranges::find(others_, name) != others_.end()) return true;
    std::string_view bare = name;
    if (!prefix_.empty() && bare.starts_with(prefix_)) bare.remove_prefix(prefix_.size());
    return std::any_of(family_.ignored.begin(), family_.ignored.end(), [&](std::string_view pattern) {
      return glob_matches(pattern, bare) || glob_matches(pattern, name);
    });
  }

  const ModelSpec& spec_;
  const Family& family_;
  const TensorSource& source_;
  std::string folder_;
  const std::vector<std::string>& others_;
  std::string prefix_;
  std::set<std::string> claimed_, claims_;
};

}  // namespace

const Binding* Bindings::find(std::string_view slot) const noexcept {
  const auto found =
      std::find_if(bound.begin(), bound.end(), [&](const Binding& binding) { return binding.slot.name == slot; });
  return found == bound.end() ? nullptr : &*found;
}

Result<Bindings> bind(const ModelSpec& spec, const Family& family, const TensorSource& source,
                      const std::string& folder, const std::vector<std::string>& others) {
  return Binder(spec, family, source, folder, others).run();
}

}  // namespace layerscope
