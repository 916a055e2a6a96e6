#include "session/inspect.h"

#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "spec/print.h"

namespace layerscope {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

template <class Items, class Write>
std::string list(const Items& items, const Write& write) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out + ']';
}

std::string strings(const std::vector<std::string>& texts) { return list(texts, quoted); }

template <class Number>
std::string or_null(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "null";
}

std::string stack_json(std::string_view name, const Stack& stack, std::int64_t width) {
  const auto step = [](const Step& s) {
    return "{\"slot\":" + quoted(s.slot) + ",\"text\":" + quoted(step_text(s)) + "}";
  };
  const auto block = [&](const Block& b) { return "{\"steps\":" + list(b.steps, step) + "}"; };
  return "{\"name\":" + quoted(name) + ",\"layers\":" + std::to_string(stack.blocks.size()) +
         ",\"width\":" + std::to_string(width) + ",\"blocks\":" + list(stack.blocks, block) +
         ",\"program\":" + strings(block_program(stack)) + "}";
}

std::string site_json(const Site& site) {
  return "{\"name\":" + quoted(site.name) + ",\"hf_index\":" + or_null(site.hf_index) +
         ",\"width\":" + (site.kind == SiteKind::kProbs ? "null" : std::to_string(site.width)) +
         ",\"heads\":" + (site.heads > 0 ? std::to_string(site.heads) : "null") + "}";
}

std::string tensor_json(const Binding& binding) {
  return "{\"slot\":" + quoted(binding.slot.name) + ",\"source\":" + quoted(binding.tensor->name) +
         ",\"cut\":" + quoted(binding.cut.text()) +
         ",\"shape\":" + list(binding.slot.shape.dims(), [](std::int64_t dim) { return std::to_string(dim); }) +
         ",\"dtype\":" + quoted(dtype_name(binding.tensor->view.dtype)) + "}";
}

}  // namespace

std::string inspect_json(const ModelState& state) {
  const ModelSpec& spec = state.spec;
  std::vector<std::string> stacks;
  if (spec.encoder) stacks.push_back(stack_json("encoder", *spec.encoder, spec.width));
  if (spec.decoder) stacks.push_back(stack_json("decoder", *spec.decoder, spec.width));
  std::string out = "{\"model_type\":" + quoted(state.info.model_type) +
                    ",\"parameters\":" + std::to_string(state.info.parameters) +
                    ",\"stacks\":" + list(stacks, [](const std::string& text) { return text; }) +
                    ",\"head\":" + (spec.head ? quoted(head_text(*spec.head)) : "null");
  if (spec.labels)
    out += ",\"label_head\":" + quoted(labels_text(*spec.labels)) + ",\"labels\":" + strings(spec.labels->names);
  return out + ",\"sites\":" + list(state.sites.sites, site_json) +
         ",\"tensors\":" + list(state.bindings.bound, tensor_json) + ",\"ignored\":" + strings(state.bindings.ignored) +
         ",\"vocabulary_size\":" + std::to_string(state.info.vocabulary_size) +
         ",\"max_tokens\":" + or_null(state.info.max_tokens) +
         ",\"tokenizer\":" + (state.info.has_tokenizer ? "true" : "false") + "}\n";
}

}  // namespace layerscope
