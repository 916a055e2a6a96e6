// How vectors are made, as a run's manifest holds it, and back.
#include "session/embedder_state.h"

namespace layerscope {

Json Embedder::recipe() const {
  const EmbedOptions& options = state_->options;
  const auto text = [](std::string_view value) { return Json(std::string(value)); };
  Json::Array pooling;
  const bool dense = kind() == VectorKind::kDense;
  for (const Pooling mode : dense ? state_->modules.pooling.modes : std::vector<Pooling>())
    pooling.push_back(text(pooling_name(mode)));
  Json::Array after;
  for (const VectorModule& module : dense ? state_->modules.after : state_->modules.tokens.steps) {
    after.push_back(text(std::holds_alternative<DenseModule>(module)       ? "dense"
                         : std::holds_alternative<LayerNormModule>(module) ? "layer_norm"
                                                                           : "normalize"));
  }
  const std::optional<std::int64_t>& limit = state_->modules.max_length;
  const auto number = [](const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(); };
  Json::Object recipe = {
      {"site", text(state_->plan.stored().front().name)},
      {"layer", text(options.layers)},
      {"mix", text(options.mix)},
      {"pooling", Json(std::move(pooling))},
      {"pool", options.pool ? text(pooling_name(*options.pool)) : Json()},
      {"include_prompt", Json(state_->modules.pooling.include_prompt)},
      {"modules", Json(std::move(after))},
      {"truncate_dim", number(options.truncate_dim)},
      {"normalize", options.normalize ? Json(*options.normalize) : Json()},
      {"prompt", text(state_->prompt)},
      {"lower_case", Json(state_->modules.lower_case)},
      {"max_seq_length", number(limit)},
      {"max_length", number(options.tokenize.max_length)},
      {"on_long", text(options.tokenize.truncate ? "truncate" : "error")},
      {"add_special_tokens", Json(options.tokenize.add_special_tokens)},
      {"similarity", text(state_->modules.similarity)},
  };
  if (kind() != VectorKind::kDense) recipe.emplace_back("vectors", text(vector_kind_name(kind())));
  if (options.task) recipe.emplace_back("task", text(*options.task == TextTask::kQuery ? "query" : "document"));
  return Json(std::move(recipe));
}

Result<std::unique_ptr<Embedder>> Embedder::reopen(const std::string& folder, const OpenOptions& open,
                                                   const Json& recipe, const std::optional<std::string>& prompt,
                                                   const std::optional<std::string>& prompt_name) {
  EmbedOptions options;
  const auto text = [&](const char* key) {
    const Json* value = recipe.find(key);
    return value == nullptr || value->string() == nullptr ? std::string() : *value->string();
  };
  const auto number = [&](const char* key) -> std::optional<std::int64_t> {
    const Json* value = recipe.find(key);
    return value == nullptr || value->integer() == nullptr ? std::nullopt : std::optional(*value->integer());
  };
  const auto choice = [&](const char* key) -> std::optional<bool> {
    const Json* value = recipe.find(key);
    return value == nullptr || value->boolean() == nullptr ? std::nullopt : std::optional(*value->boolean());
  };
  if (recipe.object() == nullptr)
    return Error{ErrorCode::kUsage, folder + ": the run does not say how its vectors were made"};
  options.prompt = prompt;
  options.prompt_name = prompt_name;
  if (!prompt && !prompt_name) options.prompt = text("prompt");
  if (const std::string kind = text("vectors"); !kind.empty()) options.kind = vector_kind_from_name(kind);
  if (const std::string task = text("task"); !task.empty())
    options.task = task == "query" ? TextTask::kQuery : TextTask::kDocument;
  options.layers = text("layer");
  options.mix = text("mix");
  if (const std::string pool = text("pool"); !pool.empty()) options.pool = pooling_from_name(pool);
  options.truncate_dim = number("truncate_dim");
  options.normalize = choice("normalize");
  options.tokenize.add_special_tokens = choice("add_special_tokens").value_or(true);
  options.tokenize.truncate = text("on_long") != "error";
  options.tokenize.max_length = number("max_length");
  return Embedder::open(folder, open, options);
}

}  // namespace layerscope
