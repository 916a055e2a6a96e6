#include "layerscope/model.h"

#include <algorithm>
#include <filesystem>
#include <new>

#include "base/try.h"
#include "base/utf8.h"
#include "engine/head.h"
#include "family/registry.h"
#include "session/model_state.h"
#include "session/rows.h"
#include "session/run_rows.h"
#include "spec/labels.h"
#include "spec/validate.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

std::string supported_types() {
  std::string text;
  for (const Family* family : families()) {
    for (const std::string_view type : family->model_types) text += (text.empty() ? "" : ", ") + std::string(type);
  }
  return text;
}

// Ids that config.json itself calls special.
std::set<std::int32_t> named_ids(const Json& config) {
  std::set<std::int32_t> ids;
  const auto add = [&](const Json& value) {
    if (value.integer() != nullptr && *value.integer() >= 0 && *value.integer() <= kMaxConfigSize)
      ids.insert(static_cast<std::int32_t>(*value.integer()));
  };
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "cls_token_id", "sep_token_id",
                          "mask_token_id", "unk_token_id", "decoder_start_token_id"}) {
    const Json* value = config.find(key);
    if (value == nullptr) continue;
    add(*value);
    for (const Json& item : value->array() == nullptr ? Json::Array() : *value->array()) add(item);
  }
  return ids;
}

Result<std::unique_ptr<Backend>> make_backend(const OpenOptions& options) {
  if (options.dtype == "f32") return make_cpu_backend({.precision = Precision::kF32, .isa = options.isa});
  if (options.dtype == "bf16") return make_cpu_backend({.precision = Precision::kBF16, .isa = options.isa});
  if (options.dtype == "f64") return make_reference_backend(DType::kF64);
  return Error{ErrorCode::kUsage, "dtype \"" + options.dtype + "\" is unknown, expected f32, bf16 or f64"};
}

Status read_config(const std::string& path, ModelState& state, const Family*& family) {
  LAYERSCOPE_ASSIGN(Config config, Config::open(path));
  state.info.model_type = config.model_type();
  family = family_of(state.info.model_type);
  if (family == nullptr && !state.info.model_type.empty()) {
    return Error{ErrorCode::kModel, path + ": \"model_type\" is \"" + printable(state.info.model_type) +
                                        "\", supported are: " + supported_types()};
  }
  if (family != nullptr) state.spec = describe_model(*family, config);
  LAYERSCOPE_TRY(config.finish());
  LAYERSCOPE_TRY(validate(state.spec, path));
  state.special_ids = named_ids(config.json());
  const std::string architecture = config.architecture();
  const std::string named = path + ": \"architectures\" names " +
                            (architecture.empty() ? "nothing" : "\"" + printable(architecture) + "\"") + ", expected ";
  if (!state.spec.head)
    state.no_head = named +
                    "a model with a head over the vocabulary (such as ForCausalLM, ForMaskedLM, "
                    "ForConditionalGeneration)";
  if (!state.spec.labels)
    state.no_labels = named + "a model with a head over labels (ForSequenceClassification, ForTokenClassification)";
  return {};
}

Status load_engine(const OpenOptions& options, ModelState& state) {
  if (options.device != "cpu")
    return Error{ErrorCode::kUsage, "device \"" + options.device + "\" is not built in, expected cpu"};
  LAYERSCOPE_ASSIGN(std::unique_ptr<Backend> backend, make_backend(options));
  const BackendInfo& info = backend->info();
  state.info.device = info.device;
  state.info.isa = info.isa;
  state.info.library = info.library;
  state.info.determinism = info.determinism;
  state.info.dtype = options.dtype;
  if (!options.weights) return {};
  LAYERSCOPE_ASSIGN(ModelWeights weights, load_weights(state.spec, state.bindings, *backend));
  state.engine = std::make_unique<Engine>(state.spec, std::move(weights), std::move(backend));
  state.info.packed_bytes = state.engine->packed_bytes();
  return {};
}

Status open_folder(const std::string& folder, const OpenOptions& options, ModelState& state) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return Error{ErrorCode::kModel, folder + ": is no folder"};
  state.info.path = folder;
  const Family* family = nullptr;
  LAYERSCOPE_TRY(read_config(folder + "/config.json", state, family));
  LAYERSCOPE_ASSIGN(state.checkpoint, open_checkpoint(folder));
  LAYERSCOPE_ASSIGN(state.bindings, bind(state.spec, *family, *state.checkpoint, folder, options.other_tensors));
  if (state.spec.head) {
    const std::string missing = missing_of_head(state.spec, state.bindings);
    if (!missing.empty()) {
      state.no_head = folder + ": has no head over the vocabulary: " + printable(missing, 600);
      state.spec.head.reset();
    }
  }
  if (state.spec.labels) {
    const std::string missing = missing_of_labels(state.spec, state.bindings);
    if (!missing.empty()) {
      state.no_labels = folder + ": has no head over labels: " + printable(missing, 600);
      state.spec.labels.reset();
    }
  }

  state.info.files = {folder + "/config.json"};
  state.info.files.insert(state.info.files.end(), state.checkpoint->files().begin(), state.checkpoint->files().end());
  LAYERSCOPE_ASSIGN(FolderTokenizer tokenizer, Tokenizer::open_folder(folder));
  state.tokenizer = std::move(tokenizer.tokenizer);
  state.no_tokenizer = std::move(tokenizer.missing);
  if (state.tokenizer) {
    if (options.lower_case) {
      LAYERSCOPE_TRY(state.tokenizer->lower_first());
    }
    for (const std::string& token : options.whole_tokens) LAYERSCOPE_TRY(state.tokenizer->keep_whole(token));
    state.info.files.insert(state.info.files.end(), tokenizer.files.begin(), tokenizer.files.end());
    state.info.tokenizer_hash = state.tokenizer->hash();
    state.info.has_tokenizer = true;
  }
  const Embedding& embedding = state.main_stack().embedding;
  state.info.parameters = state.bindings.parameters;
  state.info.has_type_ids = embedding.types > 0;
  state.info.two_stacks = state.spec.two_stacks();
  state.info.vocabulary_size = embedding.vocabulary_size;
  if (embedding.positions) state.info.max_tokens = embedding.positions->rows - embedding.positions->offset;
  if (const auto& rotation = state.main_stack().rotation; rotation && rotation->rows > 0)
    state.info.max_tokens = rotation->rows;
  state.info.has_pooler =
      state.bindings.find("pooler.weight") != nullptr && state.bindings.find("pooler.bias") != nullptr;
  state.info.has_head = state.spec.head.has_value();
  if (const auto& labels = state.spec.labels)
    state.info.labels = Labels{
        .names = labels->names, .problem = labels->problem, .each_token = labels->reads == LabelHead::Reads::kEach};
  state.sites = enumerate_sites(state.spec);
  state.sites.no_logits = state.no_head;
  return load_engine(options, state);
}

}  // namespace

Model::Model(std::unique_ptr<ModelState> state) : state_(std::move(state)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::open(const std::string& folder, const OpenOptions& options) {
  auto state = std::make_unique<ModelState>();
  try {
    LAYERSCOPE_TRY(open_folder(folder, options, *state));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, folder + ": out of memory while opening the model"};
  }
  return std::unique_ptr<Model>(new Model(std::move(state)));
}

const ModelInfo& Model::info() const noexcept { return state_->info; }
const SiteTable& Model::sites() const noexcept { return state_->sites; }

Result<ModelRow> Model::tokenize(const TextRow& row, const TokenizeOptions& options) const {
  return make_row(*state_, row, options);
}

void Model::append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const {
  const auto add = [](Batch::Input& input, const Tokens& tokens) {
    if (!tokens.type_ids.empty()) {
      input.type_ids.resize(input.ids.size(), 0);
      input.type_ids.insert(input.type_ids.end(), tokens.type_ids.begin(), tokens.type_ids.end());
    }
    input.ids.insert(input.ids.end(), tokens.ids.begin(), tokens.ids.end());
    if (!input.type_ids.empty()) input.type_ids.resize(input.ids.size(), 0);
    input.offsets.push_back(static_cast<std::int64_t>(input.ids.size()));
  };
  add(batch.inputs[state_->spec.encoder ? 0 : 1], row.main);
  if (row.decoder) add(batch.inputs[1], *row.decoder);
  batch.rows.push_back(row_number);
  batch.tags.push_back(tag);
}

Status Model::run(const Batch& batch, const TapPlan& plan, Sink& sink, const EditPlan* edits) const {
  return run_batch(*this, batch, plan, sink, edits, nullptr);
}

namespace {

Status expect_rows(const char* what, DType dtype, std::int64_t width, std::int64_t expected) {
  if (dtype == DType::kF32 && width == expected) return {};
  return Error{ErrorCode::kUsage, std::string(what) + " are " + std::to_string(width) + " " +
                                      std::string(dtype_name(dtype)) + " wide, expected " + std::to_string(expected) +
                                      " F32"};
}

}  // namespace

Status Model::load_head() const {
  if (!state_->no_head.empty()) return Error{ErrorCode::kModel, state_->no_head};
  if (!state_->engine) return Error{ErrorCode::kUsage, "the model was opened without its weights"};
  return state_->engine->load_head();
}

Status Model::logits(const RowsView& finals, const MutableRows& out) const try {
  LAYERSCOPE_TRY(load_head());
  const ModelSpec& spec = state_->spec;
  const Stack& stack = spec.stack(spec.head_stack());
  LAYERSCOPE_TRY(expect_rows("final states", finals.dtype, finals.width, stack.final_width(spec.width)));
  LAYERSCOPE_TRY(expect_rows("scores", out.dtype, out.width, spec.scores()));
  if (out.rows != finals.rows) return Error{ErrorCode::kUsage, "as many rows of scores as of final states expected"};
  LAYERSCOPE_TRY(state_->engine->logits(finals, out));
  if (state_->engine->backend().all_finite(out.view())) return {};
  return Error{ErrorCode::kRuntime, "site \"logits\" holds NaN or infinity"};
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while computing scores over the vocabulary"};
}

Status Model::finish(StackId stack, const RowsView& stream, const MutableRows& out) const try {
  if (!state_->engine) return Error{ErrorCode::kUsage, "the model was opened without its weights"};
  const ModelSpec& spec = state_->spec;
  const bool encoder = stack == StackId::kEncoder;
  if (!(encoder ? spec.encoder : spec.decoder))
    return Error{ErrorCode::kUsage, encoder ? "the model has no encoder" : "the model has no decoder"};
  LAYERSCOPE_TRY(expect_rows("rows of the stream", stream.dtype, stream.width, spec.width));
  LAYERSCOPE_TRY(expect_rows("final states", out.dtype, out.width, spec.stack(stack).final_width(spec.width)));
  if (out.rows != stream.rows) return Error{ErrorCode::kUsage, "as many final states as rows of the stream expected"};
  return state_->engine->finish(stack, stream, out);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while finishing a stack"};
}

Status Model::pool(const RowsView& firsts, const MutableRows& out) const try {
  if (!state_->info.has_pooler) return Error{ErrorCode::kModel, state_->info.path + ": has no pooler"};
  if (!state_->engine) return Error{ErrorCode::kUsage, "the model was opened without its weights"};
  LAYERSCOPE_TRY(expect_rows("first states", firsts.dtype, firsts.width, state_->spec.width));
  LAYERSCOPE_TRY(expect_rows("pooled states", out.dtype, out.width, state_->spec.width));
  if (out.rows != firsts.rows) return Error{ErrorCode::kUsage, "as many pooled states as first ones expected"};
  return state_->engine->pool(firsts, out);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while pooling"};
}

void Model::enter_worker() const {
  if (state_->engine) state_->engine->backend().enter_worker();
}

}  // namespace layerscope
