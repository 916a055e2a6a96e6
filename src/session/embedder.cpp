#include "session/embedder.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "base/utf8.h"
#include "session/embedder_state.h"
#include "session/model_state.h"
#include "session/pooling_sink.h"
#include "session/sparse_sink.h"
#include "session/token_sink.h"
#include "session/vector_modules.h"

namespace layerscope {

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

// The width behind modules that follow each other; `--pool` may be why they do not fit.
Result<std::int64_t> check_steps(const std::vector<VectorModule>& steps, std::int64_t width, bool pooled) {
  const auto fits = [&](const std::string& file, const char* field, std::int64_t expected) -> Status {
    if (expected == width) return {};
    const std::string message = file + ": \"" + field + "\" is " + std::to_string(expected) +
                                ", the vector before it has " + std::to_string(width) + " elements";
    return Error{pooled ? ErrorCode::kUsage : ErrorCode::kModel, message + (pooled ? " with --pool" : "")};
  };
  for (const VectorModule& module : steps) {
    if (const auto* dense = std::get_if<DenseModule>(&module)) {
      LAYERSCOPE_TRY(fits(dense->config, "in_features", dense->inputs));
      width = dense->outputs;
    } else if (const auto* norm = std::get_if<LayerNormModule>(&module)) {
      LAYERSCOPE_TRY(fits(norm->config, "dimension", static_cast<std::int64_t>(norm->weight.size())));
    }
  }
  return width;
}

// Elements of a finished vector.
Result<std::int64_t> check_widths(const SentenceModules& modules, std::int64_t hidden, const Model& model,
                                  const EmbedOptions& options) {
  if (modules.kind == VectorKind::kTokens) return check_steps(modules.tokens.steps, hidden, false);
  if (modules.kind == VectorKind::kSparse) {
    const std::int64_t vocabulary = model.info().vocabulary_size;
    const auto differs = [](const std::string& config, std::int64_t stated, std::int64_t found, const char* of) {
      return Error{ErrorCode::kModel,
                   config + ": has " + std::to_string(stated) + " elements, " + of + " " + std::to_string(found)};
    };
    if (const auto* lexical = std::get_if<LexicalHead>(&modules.sparse.head)) {
      const auto inputs = static_cast<std::int64_t>(lexical->weight.size());
      if (inputs != hidden) return differs(lexical->config, inputs, hidden, "the model's states have");
    } else if (const auto& head = std::get<SpladeHead>(modules.sparse.head); head.dimension) {
      if (*head.dimension != vocabulary) return differs(head.config, *head.dimension, vocabulary, "the vocabulary has");
    }
    return vocabulary;
  }
  const PoolingModule& pooling = modules.pooling;
  if (pooling.dimension && *pooling.dimension != hidden) {
    return Error{ErrorCode::kModel, pooling.config + ": the embedding dimension is " +
                                        std::to_string(*pooling.dimension) + ", the model's states have " +
                                        std::to_string(hidden) + " elements"};
  }
  return check_steps(modules.after, hidden * static_cast<std::int64_t>(pooling.modes.size()), options.pool.has_value());
}

// Options that have no meaning for the kind of vectors.
Status check_kind(VectorKind kind, const EmbedOptions& options) {
  if (kind == VectorKind::kDense) return {};
  const bool sparse = kind == VectorKind::kSparse;
  const char* option = nullptr;
  if (options.pool) option = "--pool";
  if (options.truncate_dim) option = "--truncate-dim";
  if (sparse && options.normalize) option = "--normalize and --no-normalize";
  if (sparse && (!options.layers.empty() || !options.mix.empty())) option = "--layer and --mix";
  if (option == nullptr) return {};
  return usage(std::string(option) + ": not for " + std::string(vector_kind_name(kind)) + " vectors");
}

// What can be said of options before a model is opened.
Status check_options(const SentenceModules& modules, const EmbedOptions& options) {
  LAYERSCOPE_TRY(check_kind(modules.kind, options));
  if (options.pool == Pooling::kNone) return usage("--pool none: a vector of a text needs a pooling");
  if (modules.chat_template.empty() || options.pool) return {};
  return Error{ErrorCode::kModel, modules.chat_template +
                                      ": holds a chat template, in which sentence-transformers wraps every text and "
                                      "which is not supported; --pool mean or --pool last reads texts as they are"};
}

Result<std::string> choose_prompt(const std::string& folder, const SentenceModules& modules,
                                  const EmbedOptions& options) {
  if (options.prompt && options.prompt_name) return usage("--prompt and --prompt-name: only one of them can hold");
  if (options.prompt) return *options.prompt;
  std::optional<std::string> wanted = options.prompt_name;
  if (!wanted && options.task) wanted = *options.task == TextTask::kQuery ? "query" : "document";
  if (!wanted) return modules.default_prompt.value_or("");
  std::string known;
  for (const auto& [name, text] : modules.prompts) {
    if (name == *wanted) return text;
    known += (known.empty() ? "" : ", ") + printable(name);
  }
  // sentence-transformers knows these two in every folder; where it says nothing else they are empty.
  if (*wanted == "query" || *wanted == "document") return std::string();
  return usage(folder + ": no prompt \"" + printable(*wanted) + "\" in config_sentence_transformers.json, " +
               (known.empty() ? "it has none" : "it has " + known));
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

// What of the words and tokens that the folder names is in the vocabulary.
Status resolve_tokens(const SentenceModules& modules, const EmbedOptions& options, const Model& model,
                      std::set<std::int32_t>& skipped, std::int32_t& expansion_id) {
  const TokenVectors& tokens = modules.tokens;
  const Tokenizer* tokenizer = model.state().tokenizer.get();
  const bool query = options.task == TextTask::kQuery;
  if (query ? tokens.skip_in_queries : tokens.skip_in_documents) {
    for (const std::string& word : tokens.skipped_words) {
      const std::optional<std::int32_t> id = tokenizer == nullptr ? std::nullopt : tokenizer->id(word);
      if (id) skipped.insert(*id);
    }
  }
  if (!query || !tokens.expansion) return {};
  const QueryExpansion& expansion = *tokens.expansion;
  const auto refused = [&](const std::string& what) {
    return Error{ErrorCode::kModel, expansion.config + ": queries are expanded, " + what};
  };
  const std::string& token = expansion.token.empty() ? modules.mask_token : expansion.token;
  const std::optional<std::int32_t> id = tokenizer == nullptr ? std::nullopt : tokenizer->id(token);
  if (token.empty() || !id) return refused("but the tokenizer has no token \"" + printable(token) + "\" to do it with");
  if (modules.pads_left)
    return refused("but the tokenizer's padding_side is left, which puts the copies before the text");
  const std::optional<std::int64_t>& most = model.info().max_tokens;
  if (most && expansion.length > *most)
    return refused("to " + std::to_string(expansion.length) + " tokens, but the model has " + std::to_string(*most) +
                   " positions");
  if (options.tokenize.max_length && expansion.cut)
    return usage("--max-length: queries of this folder have " + std::to_string(expansion.length) + " tokens each");
  expansion_id = *id;
  return {};
}

}  // namespace

bool Embedder::State::applies(const VectorModule& module) const {
  return !std::holds_alternative<NormalizeModule>(module) || options.normalize.value_or(true);
}

std::vector<float> Embedder::State::finished(std::span<const float> pooled) const {
  std::vector<float> vector(pooled.begin(), pooled.end());
  for (const VectorModule& module : modules.kind == VectorKind::kDense ? modules.after : modules.tokens.steps) {
    if (applies(module)) std::visit([&](const auto& step) { apply_module(step, vector); }, module);
  }
  vector.resize(static_cast<std::size_t>(width));
  if (options.normalize.value_or(false)) apply_module(NormalizeModule{}, vector);
  return vector;
}

std::int64_t Embedder::State::unattended(std::span<const std::int32_t> ids) const {
  if (expansion_id < 0 || modules.tokens.expansion->attend) return 0;
  const auto last = std::find_if(ids.rbegin(), ids.rend(), [&](std::int32_t id) { return id != expansion_id; });
  return last - ids.rbegin();
}

std::vector<std::int32_t> Embedder::State::places(std::span<const std::int32_t> ids) const {
  std::vector<std::int32_t> kept;
  for (std::size_t i = modules.tokens.first_token ? 0 : 1; i < ids.size(); ++i) {
    if (!skipped_ids.contains(ids[i])) kept.push_back(static_cast<std::int32_t>(i));
  }
  return kept;
}

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Embedder::~Embedder() = default;

Result<std::unique_ptr<Embedder>> Embedder::open(const std::string& folder, const OpenOptions& open,
                                                 const EmbedOptions& options) {
  auto state = std::make_unique<State>();
  LAYERSCOPE_ASSIGN(state->modules, read_modules(folder, options.kind));
  const SentenceModules& modules = state->modules;
  state->folder = folder;
  LAYERSCOPE_TRY(check_options(modules, options));
  OpenOptions opening = open;
  opening.lower_case = modules.lower_case;
  opening.whole_tokens = modules.tokens.markers;
  opening.other_tensors = modules.other_tensors;
  LAYERSCOPE_ASSIGN(std::unique_ptr<Model> model, Model::open(modules.model_folder, opening));
  state->model = std::move(model);
  return make(std::move(state), options);
}

Result<std::unique_ptr<Embedder>> Embedder::with(const EmbedOptions& options) const {
  auto state = std::make_unique<State>();
  state->modules = state_->modules;
  state->modules.pooling.modes = state_->own_pooling;
  state->own_pooling = state_->own_pooling;
  state->folder = state_->folder;
  state->model = state_->model;
  if (options.kind && *options.kind != kind())
    return usage("another kind of vectors than " + std::string(vector_kind_name(kind())) +
                 ": the folder has to be opened for it");
  LAYERSCOPE_TRY(check_options(state->modules, options));
  return make(std::move(state), options);
}

Result<std::unique_ptr<Embedder>> Embedder::make(std::unique_ptr<State> state, const EmbedOptions& options) {
  SentenceModules& modules = state->modules;
  const Model& model = *state->model;
  state->options = options;
  if (modules.kind == VectorKind::kTokens && !options.task) state->options.task = TextTask::kDocument;
  state->own_pooling = modules.pooling.modes;
  if (options.pool) modules.pooling.modes = {*options.pool};
  LAYERSCOPE_ASSIGN(state->plan, plan_states(model, options));
  const StoredSite& site = state->plan.stored().front();
  state->stack = site.stack;
  LAYERSCOPE_ASSIGN(state->width, check_widths(modules, site.width, model, options));
  if (options.truncate_dim && (*options.truncate_dim < 1 || *options.truncate_dim > state->width)) {
    return usage("--truncate-dim " + std::to_string(*options.truncate_dim) + ": expected 1 to " +
                 std::to_string(state->width) + ", the elements of a vector");
  }
  const std::optional<std::int64_t> cut = options.truncate_dim ? options.truncate_dim : modules.truncate_dim;
  state->width = std::min(state->width, cut.value_or(state->width));
  LAYERSCOPE_ASSIGN(state->prompt, choose_prompt(state->folder, modules, state->options));
  if (modules.kind == VectorKind::kTokens)
    LAYERSCOPE_TRY(resolve_tokens(modules, state->options, model, state->skipped_ids, state->expansion_id));
  if (modules.kind == VectorKind::kSparse && std::holds_alternative<SpladeHead>(modules.sparse.head))
    LAYERSCOPE_TRY(model.load_head());
  std::unique_ptr<Embedder> embedder(new Embedder(std::move(state)));
  if (!modules.pooling.include_prompt && !embedder->state_->prompt.empty()) {
    LAYERSCOPE_ASSIGN(embedder->state_->skip, prompt_tokens(*embedder));
  }
  return embedder;
}

const Model& Embedder::model() const noexcept { return *state_->model; }
const std::string& Embedder::folder() const noexcept { return state_->folder; }
VectorKind Embedder::kind() const noexcept { return state_->modules.kind; }
std::int64_t Embedder::width() const noexcept { return state_->width; }
const std::string& Embedder::similarity() const noexcept { return state_->modules.similarity; }
const std::vector<std::string>& Embedder::files() const noexcept { return state_->modules.files; }
const TokenizeOptions& Embedder::tokenize_options() const noexcept { return state_->options.tokenize; }

Result<ModelRow> Embedder::tokenize(const TextRow& row) const {
  const State& state = *state_;
  TokenizeOptions options = state.options.tokenize;
  if (!row.text) return state.model->tokenize(row, options);
  const TokenVectors& tokens = state.modules.tokens;
  const bool for_tokens = state.modules.kind == VectorKind::kTokens, query = state.options.task == TextTask::kQuery;
  const QueryExpansion* expansion = state.expansion_id >= 0 ? &*tokens.expansion : nullptr;
  if (!options.max_length) {
    options.max_length = state.modules.max_length;
    const std::optional<std::int64_t>& own = query ? tokens.query_length : tokens.document_length;
    if (for_tokens && own) options.max_length = *own;
    if (expansion != nullptr && expansion->cut) options.max_length = expansion->length;
  }
  TextRow prompted = row;
  prompted.text = state.prompt + *row.text;
  LAYERSCOPE_ASSIGN(ModelRow ready, state.model->tokenize(prompted, options));
  if (expansion == nullptr) return ready;
  const auto length = static_cast<std::size_t>(expansion->length);
  Tokens& main = ready.main;
  if (main.ids.size() < length) {
    if (!main.type_ids.empty()) main.type_ids.resize(length, 0);
    main.ids.resize(length, state.expansion_id);
    main.special.resize(length, state.model->state().tokenizer->is_special(state.expansion_id) ? 1 : 0);
  }
  return ready;
}

std::vector<std::int32_t> Embedder::vector_places(const ModelRow& row) const { return state_->places(row.main.ids); }

void Embedder::append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const {
  state_->model->append(batch, row, row_number, tag);
  if (state_->expansion_id < 0) return;
  batch.inputs[static_cast<std::size_t>(state_->stack)].unattended.push_back(state_->unattended(row.main.ids));
}

Status Embedder::run(const Batch& batch, Sink& sink) const {
  const State& state = *state_;
  const auto give = [&](int site, std::uint64_t tag, DType dtype, const auto& values, std::int64_t width) -> Status {
    const auto rows = static_cast<std::int64_t>(values.size()) / std::max<std::int64_t>(width, 1);
    return sink.accept({.site = site,
                        .tag = tag,
                        .first_row = 0,
                        .rows = {dtype, reinterpret_cast<const std::byte*>(values.data()), rows, width, width}});
  };
  const auto finite = [](std::span<const float> values) -> Status {
    if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) return {};
    return Error{ErrorCode::kRuntime, "site \"embedding\" holds a value that is not finite"};
  };
  if (state.modules.kind == VectorKind::kTokens) {
    const auto take = [&](std::uint64_t tag, std::span<const float> vectors) -> Status {
      LAYERSCOPE_TRY(finite(vectors));
      return give(0, tag, DType::kF32, vectors, state.width);
    };
    const auto places = [&](std::span<const std::int32_t> ids) { return state.places(ids); };
    TokenSink tokens(
        batch, state.stack, places, [&](std::span<const float> row) { return state.finished(row); }, take);
    return state.model->run(batch, state.plan, tokens);
  }
  if (state.modules.kind == VectorKind::kSparse) {
    const auto take = [&](std::uint64_t tag, std::span<const std::int32_t> ids,
                          std::span<const float> weights) -> Status {
      LAYERSCOPE_TRY(finite(weights));
      LAYERSCOPE_TRY(give(0, tag, DType::kI32, ids, static_cast<std::int64_t>(ids.size())));
      return give(1, tag, DType::kF32, weights, static_cast<std::int64_t>(weights.size()));
    };
    SparseSink sparse(*state.model, state.modules.sparse, batch, state.stack, take);
    return state.model->run(batch, state.plan, sparse);
  }
  const auto take = [&](std::uint64_t tag, std::span<const float> pooled) -> Status {
    const std::vector<float> vector = state.finished(pooled);
    LAYERSCOPE_TRY(finite(vector));
    return give(0, tag, DType::kF32, vector, state.width);
  };
  PoolingSink pooling(state.modules.pooling.modes, state.skip, batch, state.stack, take);
  return state.model->run(batch, state.plan, pooling);
}

}  // namespace layerscope
