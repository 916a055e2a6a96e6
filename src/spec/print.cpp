#include "spec/print.h"

#include <array>

namespace layerscope {
namespace {

std::string norm_text(const Norm& norm) { return norm.kind == NormKind::kRms ? "rms_norm" : "layer_norm"; }

std::string activation_text(Activation activation) {
  switch (activation) {
    case Activation::kNone: return "none";
    case Activation::kRelu: return "relu";
    case Activation::kGeluErf: return "gelu";
    case Activation::kGeluTanh: return "gelu_tanh";
    case Activation::kSilu: return "silu";
    case Activation::kQuickGelu: return "quick_gelu";
    case Activation::kTanh: return "tanh";
    case Activation::kSigmoid: return "sigmoid";
  }
  return "none";
}

std::string number(double value) {
  std::array<char, 32> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.6g", value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

std::string mixer_text(const Attention& attention) {
  std::string text = std::to_string(attention.heads) + " heads of " + std::to_string(attention.d_qk);
  if (attention.d_v != attention.d_qk) text += " (values " + std::to_string(attention.d_v) + ")";
  if (attention.kv_heads != attention.heads) text += ", " + std::to_string(attention.kv_heads) + " key heads";
  switch (attention.keys) {
    case KeySource::kSelf: break;
    case KeySource::kSelfCausal: text += ", causal"; break;
    case KeySource::kEncoder: text += ", keys from the encoder"; break;
  }
  if (attention.window) text += ", window " + std::to_string(*attention.window);
  if (attention.rope) text += ", rope " + attention.rope->type + (attention.rope->interleaved ? " interleaved" : "");
  if (attention.score) text += ", bias of " + std::to_string(attention.score->buckets) + " distance buckets";
  if (attention.q_norm || attention.k_norm) text += ", norm over q and k heads";
  return text + ", scale " + number(attention.scale);
}

std::string mixer_text(const Mlp& mlp) {
  return "down(" + activation_text(mlp.activation) + (mlp.gated ? "(gate(x)) * up(x))" : "(up(x)))") + ", " +
         std::to_string(mlp.hidden) + " wide";
}

std::string program(const Step& step) {
  std::string branch = step.slot + "(" + (step.pre ? norm_text(*step.pre) + "(x)" : "x") + ")";
  if (step.post) branch = norm_text(*step.post) + "(" + branch + ")";
  const std::string sum = "x + " + branch;
  return "x = " + (step.after ? norm_text(*step.after) + "(" + sum + ")" : sum);
}

std::string program(const Block& block) {
  std::string text;
  for (const Step& step : block.steps) text += (text.empty() ? "" : "; ") + program(step);
  for (const Step& step : block.steps) text += "\n  " + step_text(step);
  return text;
}

}  // namespace

std::string step_text(const Step& step) {
  return step.slot + ": " + std::visit([](const auto& mixer) { return mixer_text(mixer); }, step.mixer);
}

std::string embedding_text(const Embedding& embedding) {
  std::string text = "token[" + std::to_string(embedding.vocabulary_size) + "]";
  if (embedding.types > 0) text += " + type[" + std::to_string(embedding.types) + "]";
  if (embedding.positions) text += " + position[" + std::to_string(embedding.positions->rows) + "]";
  return "x = " + (embedding.norm ? norm_text(*embedding.norm) + "(" + text + ")" : text);
}

std::vector<std::string> block_program(const Stack& stack) {
  std::vector<std::string> lines = {"embed: " + embedding_text(stack.embedding)};
  for (std::size_t first = 0; first < stack.blocks.size();) {
    const std::string text = program(stack.blocks[first]);
    std::size_t end = first + 1;
    while (end < stack.blocks.size() && program(stack.blocks[end]) == text) ++end;
    const std::string range =
        end - first == 1 ? std::to_string(first) : std::to_string(first) + ".." + std::to_string(end - 1);
    std::string line = "block " + range + ": " + text;
    for (std::size_t cut = line.find('\n'); cut != std::string::npos; cut = line.find('\n')) {
      lines.push_back(line.substr(0, cut));
      line.erase(0, cut + 1);
    }
    lines.push_back(line);
    first = end;
  }
  lines.push_back(stack.top ? "final: " + norm_text(*stack.top) + "(x)" : "final: x");
  return lines;
}

}  // namespace layerscope
