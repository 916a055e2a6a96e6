#include "spec/print.h"

#include <array>

namespace layerscope {
namespace {

std::string norm_text(const Norm& norm) {
  return std::string(norm.kind == NormKind::kRms ? "rms_norm" : "layer_norm") + (norm.offset != 0 ? "+1" : "");
}

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
    case Activation::kReluSquared: return "relu2";
  }
  return "none";
}

std::string number(double value) {
  std::array<char, 32> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.6g", value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

std::string score_text(const Attention& attention) {
  struct Text {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const Alibi&) const { return ", alibi"; }
    std::string operator()(const BucketBias& bias) const {
      return ", bias of " + std::to_string(bias.buckets) + " distance buckets" + (bias.own_table ? " of its own" : "");
    }
    std::string operator()(const Disentangled& relative) const {
      return ", relative positions " + std::to_string(relative.span) + " each side" +
             (relative.content_to_position ? ", content to position" : "") +
             (relative.position_to_content ? ", position to content" : "");
    }
  };
  return std::visit(Text{}, attention.score);
}

std::string head_norm_text(const Attention& attention) {
  if (!attention.q_norm && !attention.k_norm) return "";
  const HeadNorm::Span span = attention.q_norm ? attention.q_norm->span : attention.k_norm->span;
  std::string text = span == HeadNorm::Span::kRow ? ", norm over q and k" : ", norm over q and k heads";
  if (span == HeadNorm::Span::kEachHead) text += ", each its own";
  return text + (attention.norm_rotated ? ", after rotation" : "");
}

std::string mixer_text(const Attention& attention) {
  std::string text = std::to_string(attention.heads) + " heads of " + std::to_string(attention.d_qk);
  if (attention.d_v != attention.d_qk) text += " (values " + std::to_string(attention.d_v) + ")";
  if (attention.kv_heads != attention.heads) text += ", " + std::to_string(attention.kv_heads) + " key heads";
  if (attention.latent) text += ", keys and values of rank " + std::to_string(attention.latent->kv_rank);
  switch (attention.keys) {
    case KeySource::kSelf: break;
    case KeySource::kSelfCausal: text += ", causal"; break;
    case KeySource::kEncoder: text += ", keys from the encoder"; break;
  }
  if (attention.window) text += ", window " + std::to_string(*attention.window);
  if (attention.rope) {
    text += ", rope " + attention.rope->type + (attention.rope->interleaved ? " interleaved" : "");
    if (2 * attention.rope->pairs < attention.d_qk) text += " on " + std::to_string(2 * attention.rope->pairs);
  }
  text += score_text(attention) + head_norm_text(attention);
  if (attention.clip) text += ", clipped at " + number(*attention.clip);
  if (attention.softcap) text += ", soft cap " + number(*attention.softcap);
  if (attention.sinks) text += ", sinks";
  return text + ", scale " + number(attention.scale);
}

std::string mixer_text(const Mlp& mlp) {
  return "down(" + (mlp.xielu ? "xielu" : activation_text(mlp.activation)) +
         (mlp.gated ? "(gate(x)) * up(x))" : "(up(x)))") + ", " + std::to_string(mlp.hidden) + " wide";
}

std::string mixer_text(const Experts& experts) {
  const Router& router = experts.router;
  std::string text = std::to_string(router.chosen) + " of " + std::to_string(router.experts) + " experts by ";
  switch (router.rule) {
    case Router::Rule::kSoftmaxThenTop: text += "softmax"; break;
    case Router::Rule::kTopThenSoftmax: text += "softmax of the chosen"; break;
    case Router::Rule::kSigmoidGroups: text += "sigmoid in " + std::to_string(router.groups) + " groups"; break;
  }
  if (router.renormalise) text += ", renormalised";
  text += ", " + (experts.clamped ? "clamped gate" : activation_text(experts.activation)) + ", " +
          std::to_string(experts.hidden) + " wide";
  if (experts.shared) text += ", a shared one " + std::to_string(experts.shared->hidden) + " wide";
  return text;
}

std::string mixer_text(const ShortConv& conv) { return "out(c * conv(b * x)), " + std::to_string(conv.taps) + " taps"; }

std::string mixer_text(const TokenConv& conv) {
  return activation_text(conv.activation) + "(conv(x)), " + std::to_string(conv.taps) + " taps";
}

std::string program(const Step& step) {
  const std::string x = step.reads == Step::Reads::kBlockInput ? "x0" : "x";
  const std::string read = step.pre ? norm_text(*step.pre) + "(" + x + ")" : x;
  std::string branch = step.slot + "(" + read + ")";
  if (step.post) branch = norm_text(*step.post) + "(" + branch + ")";
  if (step.scale != 1) branch = number(static_cast<double>(step.scale)) + " * " + branch;
  const std::string sum = (step.carries_pre ? read : "x") + " + " + branch;
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
  using At = EmbeddingProjection::At;
  std::string text = "token[" + std::to_string(embedding.vocabulary_size) + "]";
  if (embedding.scale != 1) text = number(static_cast<double>(embedding.scale)) + " * " + text;
  const auto projected = [&](At at) {
    if (embedding.projection && embedding.projection->at == at) text = "projection(" + text + ")";
  };
  projected(At::kTokens);
  if (embedding.types > 0) text += " + type[" + std::to_string(embedding.types) + "]";
  const std::optional<PositionTable>& table = embedding.positions;
  const std::string positions = table ? " + position[" + std::to_string(table->rows) + "]" : "";
  if (table && !table->behind_norm) text += positions;
  if (embedding.tasks > 0) text += " + task 0";
  projected(At::kSum);
  if (embedding.norm) text = norm_text(*embedding.norm) + "(" + text + ")";
  if (table && table->behind_norm) text += positions;
  projected(At::kNormed);
  return "x = " + text;
}

namespace {

std::string scores_text(const Head& head, std::string text) {
  const auto scaled = [&](float factor) {
    if (factor != 1) text = number(static_cast<double>(factor)) + " * " + text;
  };
  scaled(head.input_scale);
  if (head.transform) {
    text = activation_text(head.transform->activation) + "(transform(" + text + "))";
    if (head.transform->norm) text = norm_text(*head.transform->norm) + "(" + text + ")";
  }
  text = "out(" + text + ")";
  scaled(head.scale);
  if (head.softcap) text += ", soft cap " + number(static_cast<double>(*head.softcap));
  return text;
}

}  // namespace

std::string head_text(const Head& head) {
  return "logits: " + scores_text(head, "final") + (head.tied ? ", out = token table" : "");
}

std::string labels_text(const LabelHead& labels) {
  const auto read = [&] {
    switch (labels.reads) {
      case LabelHead::Reads::kFirst: return "final of the first token";
      case LabelHead::Reads::kLast: return "final of the last token";
      case LabelHead::Reads::kEnd: return "final under the last end token";
      case LabelHead::Reads::kMean: return "mean of final";
      case LabelHead::Reads::kEach:
      case LabelHead::Reads::kEachThenMean: break;
    }
    return "final";
  };
  std::string text = scores_text(labels.head, read());
  if (labels.reads == LabelHead::Reads::kEachThenMean) text = "mean of " + text;
  return "labels: " + text + ", " + std::to_string(labels.names.size()) + " of them";
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
  std::string final = stack.top ? norm_text(*stack.top) + "(x)" : "x";
  if (stack.projection) final = "projection(" + final + ")";
  lines.push_back("final: " + final);
  return lines;
}

}  // namespace layerscope
