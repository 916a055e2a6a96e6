#include "cli/model_view.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/json.h"
#include "cli/display_text.h"
#include "session/model_state.h"

namespace layerscope::cli {
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

}  // namespace layerscope::cli
