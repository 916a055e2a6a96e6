#include "view/model_view.h"

#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "base/json.h"
#include "session/model_state.h"
#include "view/display_text.h"

namespace layerscope {
namespace {

std::optional<std::string> vocabulary_entry(const Model& model, std::int32_t id) {
  const Tokenizer* const tokenizer = model.state().tokenizer.get();
  return tokenizer == nullptr ? std::nullopt : tokenizer->token(id);
}

}  // namespace

std::string token_label(const Model& model, std::int32_t id) {
  const std::optional<std::string> entry = vocabulary_entry(model, id);
  return entry ? visible(*entry) : fmt::format("#{}", id);
}

void append_tokens_json(std::string& out, const Model& model, const std::vector<std::int32_t>& ids) {
  out += '[';
  for (const std::int32_t id : ids) {
    if (out.back() != '[') out += ',';
    const std::optional<std::string> entry = vocabulary_entry(model, id);
    if (entry) {
      append_json_string(out, *entry);
    } else {
      out += "null";
    }
  }
  out += ']';
}

void append_input_ids_json(std::string& out, const Model& model, const ModelRow& row) {
  out += "\"input_ids\":";
  if (!model.info().two_stacks) return append_numbers_json(out, row.main.ids);
  out += "{\"enc\":";
  append_numbers_json(out, row.main.ids);
  out += ",\"dec\":";
  append_numbers_json(out, tokens_of(model, row, StackId::kDecoder).ids);
  out += '}';
}

void append_top_json(std::string& out, const Model& model, const std::vector<ScoredId>& top, const Distribution& of,
                     bool logits) {
  out += '[';
  for (const ScoredId& scored : top) {
    if (out.back() != '[') out += ',';
    out += fmt::format("{{\"id\":{},\"token\":", scored.id);
    if (const std::optional<std::string> entry = vocabulary_entry(model, scored.id)) {
      append_json_string(out, *entry);
    } else {
      out += "null";
    }
    if (logits) {
      out += ",\"logit\":";
      append_json_number(out, scored.score);
    }
    out += ",\"p\":";
    append_json_number(out, static_cast<float>(of.probability(scored.score)));
    out += '}';
  }
  out += ']';
}

std::vector<std::int32_t> kept_positions(const TapPlan& plan, std::int64_t row, const Tokens& tokens) {
  if (plan.has_picks()) return plan.picks(row, static_cast<std::int64_t>(tokens.ids.size()));
  std::vector<std::int32_t> all(tokens.ids.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::optional<std::int32_t> mask_id(const Model& model) {
  const Tokenizer* const tokenizer = model.state().tokenizer.get();
  if (tokenizer == nullptr) return std::nullopt;
  for (const std::string_view name : {"[MASK]", "<mask>"}) {
    if (const auto id = tokenizer->id(name)) return id;
  }
  return std::nullopt;
}

std::string quoted(const InputRow& row, std::size_t columns) {
  if (!row.row.text) return fmt::format("row {}", row.number);
  std::string text = visible(*row.row.text);
  if (row.row.pair) text += " | " + visible(*row.row.pair);
  return "“" + clipped_middle(text, columns - 2) + "”";
}

const Tokens& tokens_of(const Model& model, const ModelRow& row, StackId stack) {
  return model.info().two_stacks && stack == StackId::kDecoder && row.decoder ? *row.decoder : row.main;
}

std::array<std::int64_t, 2> token_counts(const Model& model, const ModelRow& row) {
  const auto main = static_cast<std::int64_t>(row.main.ids.size());
  if (model.info().two_stacks) return {main, row.decoder ? static_cast<std::int64_t>(row.decoder->ids.size()) : 0};
  return model.state().spec.encoder ? std::array<std::int64_t, 2>{main, 0} : std::array<std::int64_t, 2>{0, main};
}

std::string model_title(const Model& model) {
  const ModelInfo& info = model.info();
  std::filesystem::path path(info.path);
  if (!path.has_filename()) path = path.parent_path();
  const SiteTable& sites = model.sites();
  const std::string blocks = info.two_stacks ? fmt::format("{} + {}", sites.layers[0], sites.layers[1])
                                             : std::to_string(sites.layers[0] + sites.layers[1]);
  return fmt::format("{} · {}, {} blocks of {}", visible(path.filename().string()), info.model_type, blocks,
                     model.state().spec.width);
}

}  // namespace layerscope
