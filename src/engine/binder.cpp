#include "engine/binder.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/try.h"
#include "base/utf8.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

class Binder {
 public:
  Binder(const ModelSpec& spec, const Family& family, const TensorSource& source, std::string folder)
      : spec_(spec), family_(family), source_(source), folder_(std::move(folder)) {
    choose_prefix();
  }

  Result<Bindings> run() {
    Bindings bindings;
    for (Slot& slot : slots_of(spec_)) {
      LAYERSCOPE_ASSIGN(Binding binding, fill(slot));
      bindings.bound.push_back(std::move(binding));
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

  // "block.7.attn.q" against "block.{i}.attn.q": the block's number, or nothing.
  static bool match(std::string_view row, std::string_view module, std::string& number) {
    number.clear();
    const std::size_t hole = row.find("{i}");
    if (hole == std::string_view::npos) return row == module;
    const std::string_view head = row.substr(0, hole), tail = row.substr(hole + 3);
    if (!module.starts_with(head) || !module.ends_with(tail) || module.size() < head.size() + tail.size() + 1)
      return false;
    number = module.substr(head.size(), module.size() - head.size() - tail.size());
    return number.find('.') == std::string::npos;
  }

  // Slots of a model with one stack carry no prefix, rows of a family that also has two do.
  [[nodiscard]] std::string_view row_slot(const Bind& row) const {
    if (spec_.two_stacks()) return row.slot;
    if (spec_.encoder && row.slot.starts_with("enc.")) return row.slot.substr(4);
    if (spec_.decoder && row.slot.starts_with("dec.")) return row.slot.substr(4);
    return row.slot;
  }

  static std::string source_name(const Bind& row, const std::string& number) {
    std::string name(row.source);
    const std::size_t hole = name.find("{i}");
    if (hole != std::string::npos) name.replace(hole, 3, number);
    return name;
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

  Result<Binding> fill(const Slot& slot) {
    const std::size_t dot = slot.name.rfind('.');
    const std::string_view module = std::string_view(slot.name).substr(0, dot);
    const std::string leaf = slot.name.substr(dot);
    const std::string old_leaf = leaf == ".weight" ? ".gamma" : ".beta";
    std::string wanted, number;
    for (const Bind& row : family_.binds) {
      if (!match(row_slot(row), module, number)) continue;
      const std::string name = prefix_ + source_name(row, number);
      const SourceTensor* tensor = source_.find(name + leaf);
      if (tensor == nullptr && slot.kind == SlotKind::kVector) tensor = source_.find(name + old_leaf);
      if (tensor != nullptr) return cut(slot, *tensor, row);
      if (wanted.empty()) wanted = name + leaf;
    }
    return Error{ErrorCode::kModel, folder_ + ": tensor \"" + wanted + "\" is missing (slot " + slot.name +
                                        ", expected " + slot.shape.text() + ")"};
  }

  Result<Binding> cut(const Slot& slot, const SourceTensor& tensor, const Bind& row) {
    const Cut& cut = row.cut;
    const bool vector = slot.kind == SlotKind::kVector;
    const bool transposed = cut.transposed && !vector;
    const std::int64_t outputs = slot.shape[0] * cut.parts;
    Shape stored = vector ? Shape{outputs} : transposed ? Shape{slot.shape[1], outputs} : Shape{outputs, slot.shape[1]};
    const std::string what = "tensor \"" + tensor.name + "\" ";
    if (!is_float(tensor.view.dtype)) {
      return refuse(tensor.file, what + "has dtype " + std::string(dtype_name(tensor.view.dtype)) +
                                     ", expected F32, F16 or BF16 (slot " + slot.name + ")");
    }
    if (!(tensor.view.shape == stored)) {
      return refuse(tensor.file, what + "has shape " + tensor.view.shape.text() + ", expected " + stored.text() +
                                     " (slot " + slot.name + ")");
    }
    const std::string claim = slot.name.substr(slot.name.rfind('.')) + "#" + std::to_string(cut.part);
    if (!claims_.insert(tensor.name + claim).second && !row.shared)
      return refuse(tensor.file, what + "is claimed by two slots, one of them " + slot.name);
    claimed_.insert(tensor.name);

    Binding binding{.slot = slot, .tensor = &tensor, .cut = cut};
    const std::int64_t inputs = vector ? 1 : slot.shape[1];
    binding.view = {.dtype = tensor.view.dtype,
                    .data = tensor.view.data,
                    .outputs = slot.shape[0],
                    .inputs = inputs,
                    .output_stride = transposed ? 1 : inputs,
                    .input_stride = transposed ? outputs : 1};
    binding.view.data +=
        static_cast<std::size_t>(cut.part * slot.shape[0] * binding.view.output_stride) * dtype_size(tensor.view.dtype);
    return binding;
  }

  Status check_copies() {
    for (const std::string_view pair : family_.copies) {
      const std::size_t equals = pair.find('=');
      const SourceTensor* copy = source_.find(pair.substr(0, equals));
      const SourceTensor* original = source_.find(pair.substr(equals + 1));
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
                      const std::string& folder) {
  return Binder(spec, family, source, folder).run();
}

}  // namespace layerscope
