#include "session/embedder.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "base/utf8.h"
#include "session/model_state.h"
#include "session/modules.h"
#include "session/pooling_sink.h"
#include "session/vector_modules.h"

namespace layerscope {

struct Embedder::State {
  std::string folder;
  std::unique_ptr<Model> model;
  SentenceModules modules;
  EmbedOptions options;
  TapPlan plan;  // one stored site: the states that are pooled
  StackId stack = StackId::kEncoder;
  std::string prompt;
  std::int64_t skip = 0;  // tokens of the prompt that pooling leaves out
  std::int64_t width = 0;

  [[nodiscard]] std::vector<float> finished(std::span<const float> pooled) const;
};

namespace {

Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

// A list of layers in front of which "enc:" stands where the model has two stacks: the encoder is what is pooled.
std::string of_encoder(const Model& model, const std::string& list) {
  return model.info().two_stacks && !list.starts_with("enc:") && !list.starts_with("dec:") ? "enc:" + list : list;
}

Result<TapPlan> plan_states(const Model& model, const EmbedOptions& options) {
  if (!options.layers.empty() && !options.mix.empty()) return usage("--layer and --mix: only one of them can hold");
  TapRequest request;
  if (!options.mix.empty())
    request.mix = of_encoder(model, options.mix);
  else
    request.layers = of_encoder(model, options.layers.empty() ? "-1" : options.layers);
  LAYERSCOPE_ASSIGN(TapPlan plan, TapPlan::compile(model.sites(), request));
  if (plan.stored().size() != 1) {
    return usage("--layer \"" + printable(options.layers) + "\" names " + std::to_string(plan.stored().size()) +
                 " layers, expected one (--mix makes one of several)");
  }
  return plan;
}

// Widths from pooling to the last module.
Result<std::int64_t> check_widths(const SentenceModules& modules, std::int64_t hidden, const EmbedOptions& options) {
  const PoolingModule& pooling = modules.pooling;
  if (pooling.dimension && *pooling.dimension != hidden) {
    return Error{ErrorCode::kModel, pooling.config + ": the embedding dimension is " +
                                        std::to_string(*pooling.dimension) + ", the model's states have " +
                                        std::to_string(hidden) + " elements"};
  }
  std::int64_t width = hidden * static_cast<std::int64_t>(pooling.modes.size());
  const auto fits = [&](const std::string& file, const char* field, std::int64_t expected) -> Status {
    if (expected == width) return {};
    const std::string message = file + ": \"" + field + "\" is " + std::to_string(expected) +
                                ", the vector before it has " + std::to_string(width) + " elements";
    return Error{options.pool ? ErrorCode::kUsage : ErrorCode::kModel, message + (options.pool ? " with --pool" : "")};
  };
  for (const VectorModule& module : modules.after) {
    if (const auto* dense = std::get_if<DenseModule>(&module)) {
      LAYERSCOPE_TRY(fits(dense->config, "in_features", dense->inputs));
      width = dense->outputs;
    } else if (const auto* norm = std::get_if<LayerNormModule>(&module)) {
      LAYERSCOPE_TRY(fits(norm->config, "dimension", static_cast<std::int64_t>(norm->weight.size())));
    }
  }
  return width;
}

Result<std::string> choose_prompt(const std::string& folder, const SentenceModules& modules,
                                  const EmbedOptions& options) {
  if (options.prompt && options.prompt_name) return usage("--prompt and --prompt-name: only one of them can hold");
  if (options.prompt) return *options.prompt;
  if (!options.prompt_name) return modules.default_prompt.value_or("");
  std::string known;
  for (const auto& [name, text] : modules.prompts) {
    if (name == *options.prompt_name) return text;
    known += (known.empty() ? "" : ", ") + printable(name);
  }
  // sentence-transformers knows these two in every folder; where it says nothing else they are empty.
  if (*options.prompt_name == "query" || *options.prompt_name == "document") return std::string();
  return usage(folder + ": no prompt \"" + printable(*options.prompt_name) +
               "\" in config_sentence_transformers.json, " + (known.empty() ? "it has none" : "it has " + known));
}

// sentence_transformers 6.2, base/modules/transformer.py, _get_prompt_length: the prompt's own tokens, cut as a text
// is, less a special one at the end.
Result<std::int64_t> prompt_tokens(const Embedder& embedder) {
  LAYERSCOPE_ASSIGN(const ModelRow row, embedder.tokenize(TextRow{.text = ""}));
  const std::vector<std::int32_t>& ids = row.main.ids;
  const auto& tokenizer = embedder.model().state().tokenizer;
  const bool closed = !ids.empty() && tokenizer != nullptr && tokenizer->is_special(ids.back());
  return static_cast<std::int64_t>(ids.size()) - (closed ? 1 : 0);
}

}  // namespace

std::vector<float> Embedder::State::finished(std::span<const float> pooled) const {
  std::vector<float> vector(pooled.begin(), pooled.end());
  for (const VectorModule& module : modules.after) {
    if (std::holds_alternative<NormalizeModule>(module) && !options.normalize.value_or(true)) continue;
    std::visit([&](const auto& step) { apply_module(step, vector); }, module);
  }
  vector.resize(static_cast<std::size_t>(width));
  if (options.normalize.value_or(false)) apply_module(NormalizeModule{}, vector);
  return vector;
}

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Embedder::~Embedder() = default;

Result<std::unique_ptr<Embedder>> Embedder::open(const std::string& folder, const OpenOptions& open,
                                                 const EmbedOptions& options) {
  auto state = std::make_unique<State>();
  LAYERSCOPE_ASSIGN(state->modules, read_modules(folder));
  SentenceModules& modules = state->modules;
  state->folder = folder;
  state->options = options;
  if (options.pool == Pooling::kNone) return usage("--pool none: a vector of a text needs a pooling");
  if (options.pool) modules.pooling.modes = {*options.pool};
  if (!modules.chat_template.empty() && !options.pool) {
    return Error{ErrorCode::kModel, modules.chat_template +
                                        ": holds a chat template, in which sentence-transformers wraps every text and "
                                        "which is not supported; --pool mean or --pool last reads texts as they are"};
  }
  OpenOptions opening = open;
  opening.lower_case = modules.lower_case;
  LAYERSCOPE_ASSIGN(state->model, Model::open(modules.model_folder, opening));
  const Model& model = *state->model;
  LAYERSCOPE_ASSIGN(state->plan, plan_states(model, options));
  const StoredSite& site = state->plan.stored().front();
  state->stack = site.stack;
  LAYERSCOPE_ASSIGN(state->width, check_widths(modules, site.width, options));
  if (options.truncate_dim && (*options.truncate_dim < 1 || *options.truncate_dim > state->width)) {
    return usage("--truncate-dim " + std::to_string(*options.truncate_dim) + ": expected 1 to " +
                 std::to_string(state->width) + ", the elements of a vector");
  }
  const std::optional<std::int64_t> cut = options.truncate_dim ? options.truncate_dim : modules.truncate_dim;
  state->width = std::min(state->width, cut.value_or(state->width));
  LAYERSCOPE_ASSIGN(state->prompt, choose_prompt(folder, modules, options));
  std::unique_ptr<Embedder> embedder(new Embedder(std::move(state)));
  if (!modules.pooling.include_prompt && !embedder->state_->prompt.empty()) {
    LAYERSCOPE_ASSIGN(embedder->state_->skip, prompt_tokens(*embedder));
  }
  return embedder;
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
  if (recipe.object() == nullptr) return usage(folder + ": the run does not say how its vectors were made");
  options.prompt = prompt;
  options.prompt_name = prompt_name;
  if (!prompt && !prompt_name) options.prompt = text("prompt");
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

const Model& Embedder::model() const noexcept { return *state_->model; }
const std::string& Embedder::folder() const noexcept { return state_->folder; }
std::int64_t Embedder::width() const noexcept { return state_->width; }
const std::string& Embedder::similarity() const noexcept { return state_->modules.similarity; }
const std::vector<std::string>& Embedder::files() const noexcept { return state_->modules.files; }
const TokenizeOptions& Embedder::tokenize_options() const noexcept { return state_->options.tokenize; }

Json Embedder::recipe() const {
  const EmbedOptions& options = state_->options;
  const auto text = [](std::string_view value) { return Json(std::string(value)); };
  Json::Array pooling;
  for (const Pooling mode : state_->modules.pooling.modes) pooling.push_back(text(pooling_name(mode)));
  Json::Array after;
  for (const VectorModule& module : state_->modules.after) {
    after.push_back(text(std::holds_alternative<DenseModule>(module)       ? "dense"
                         : std::holds_alternative<LayerNormModule>(module) ? "layer_norm"
                                                                           : "normalize"));
  }
  const std::optional<std::int64_t>& limit = state_->modules.max_length;
  const auto number = [](const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(); };
  return Json(Json::Object{
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
  });
}

Result<ModelRow> Embedder::tokenize(const TextRow& row) const {
  TokenizeOptions options = state_->options.tokenize;
  if (!row.text) return state_->model->tokenize(row, options);
  if (!options.max_length) options.max_length = state_->modules.max_length;
  if (state_->prompt.empty()) return state_->model->tokenize(row, options);
  TextRow prompted = row;
  prompted.text = state_->prompt + *row.text;
  return state_->model->tokenize(prompted, options);
}

Status Embedder::run(const Batch& batch, Sink& sink) const {
  const auto take = [&](std::uint64_t tag, std::span<const float> pooled) -> Status {
    const std::vector<float> vector = state_->finished(pooled);
    if (!std::all_of(vector.begin(), vector.end(), [](float value) { return std::isfinite(value); }))
      return Error{ErrorCode::kRuntime, "site \"embedding\" holds a value that is not finite"};
    return sink.accept({.site = 0,
                        .tag = tag,
                        .first_row = 0,
                        .rows = {.dtype = DType::kF32,
                                 .data = reinterpret_cast<const std::byte*>(vector.data()),
                                 .rows = 1,
                                 .width = state_->width,
                                 .stride = state_->width}});
  };
  PoolingSink pooling(state_->modules.pooling.modes, state_->skip, batch, state_->stack, take);
  return state_->model->run(batch, state_->plan, pooling);
}

}  // namespace layerscope
