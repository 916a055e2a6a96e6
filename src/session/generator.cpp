#include "session/generator.h"

#include <algorithm>
#include <limits>

#include "base/try.h"
#include "session/generation_pass.h"
#include "session/model_state.h"
#include "session/rows.h"
#include "session/sampling.h"
#include "session/workers.h"

namespace layerscope {
namespace {

constexpr std::size_t kScoredRows = 16;  // rows whose scores over the vocabulary are held at a time

/// The lengths at which a rotation's frequencies change for good, and whether any depend on the length at all.
struct Rotations {
  std::vector<std::int64_t> switches;
  bool by_length = false;
};

Rotations rotations_of(const Stack& stack) {
  Rotations found;
  for (const Block& block : stack.blocks) {
    for (const Step& step : block.steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention == nullptr || !attention->rope || length_independent(*attention->rope)) continue;
      found.by_length = true;
      if (const auto* two = std::get_if<LongFrequencies>(&attention->rope->frequencies))
        found.switches.push_back(two->trained);
    }
  }
  return found;
}

bool sees_later_tokens(const Stack& stack) {
  return std::ranges::any_of(stack.blocks, [](const Block& block) {
    return std::ranges::any_of(block.steps, [](const Step& step) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      return attention != nullptr && attention->keys == KeySource::kSelf;
    });
  });
}

}  // namespace

struct Generator::State {
  const Model& model;
  GenerationOptions options;
  TokenSampler sampler;
  GenerationPass pass;
  GenerationObserver* observer;
  Rotations rotations;
  std::int64_t vocabulary = 0;
  std::unique_ptr<Team> team;
  std::vector<std::unique_ptr<GrowingRow>> joined, growing;

  [[nodiscard]] const Stack& decoder() const { return *model.state().spec.decoder; }
  /// Tokens of a row that have states beside the prompt's.
  [[nodiscard]] std::int64_t new_states() const { return options.max_new_tokens - (options.last_state ? 0 : 1); }
  [[nodiscard]] std::optional<std::int64_t> limit() const;
  [[nodiscard]] Status check_length(std::int64_t prompt_tokens) const;
  [[nodiscard]] bool restarts(const GrowingRow& row) const;
  Status prefill(std::span<GrowingRow* const> rows) const;
  Status advance_all(std::span<GrowingRow* const> rows) const;
  Status choose(std::span<GrowingRow* const> rows, const RunOptions& how) const;
  Status accept(GrowingRow& row, std::int32_t id) const;
  [[nodiscard]] GeneratedRow finished(GrowingRow& row) const;
};

std::optional<std::int64_t> Generator::State::limit() const {
  const std::optional<std::int64_t> own = position_limit(decoder());
  return own && options.max_length ? std::min(own, options.max_length) : own ? own : options.max_length;
}

Status Generator::State::check_length(std::int64_t prompt_tokens) const {
  const std::optional<std::int64_t> most = limit();
  if (!most || prompt_tokens + new_states() <= *most) return {};
  const std::int64_t fitting = options.max_new_tokens - (prompt_tokens + new_states() - *most);
  return Error{ErrorCode::kInput, "the row is too long: " + std::to_string(prompt_tokens) +
                                      " tokens of the prompt and " + std::to_string(options.max_new_tokens) +
                                      " new ones take " + std::to_string(prompt_tokens + new_states()) +
                                      " positions, at most " + std::to_string(*most) +
                                      (fitting > 0 ? "; --max-new-tokens " + std::to_string(fitting) + " fits" : "")};
}

bool Generator::State::restarts(const GrowingRow& row) const {
  const auto length = static_cast<std::int64_t>(row.ids.size());
  return std::ranges::any_of(rotations.switches, [&](std::int64_t trained) {
    return row.cache.tokens() > 0 && row.cache.tokens() <= trained && length > trained;
  });
}

Status Generator::State::prefill(std::span<GrowingRow* const> rows) const {
  // Short prompts share a batch; a longer one runs by itself, in pieces whose borders it alone decides. Where angles
  // depend on the whole length it cannot be cut.
  std::vector<std::vector<GrowingRow*>> groups;
  std::int64_t tokens = 0;
  for (GrowingRow* row : rows) {
    const std::int64_t own =
        row->waiting() + (row->prompt.decoder ? static_cast<std::int64_t>(row->prompt.main.ids.size()) : 0);
    if (groups.empty() || tokens + own > kBatchTokens) {
      groups.emplace_back();
      tokens = 0;
    }
    groups.back().push_back(row);
    tokens += own;
  }
  const auto run = [&](const std::vector<GrowingRow*>& group, Team* helpers) -> Status {
    while (std::ranges::any_of(group, [](const GrowingRow* row) { return row->waiting() > 0; })) {
      const std::int64_t most = rotations.by_length ? std::numeric_limits<std::int64_t>::max() : kBatchTokens;
      LAYERSCOPE_TRY(pass.run(group, most, helpers, false));
    }
    return choose(group, {.team = helpers});
  };
  if (groups.size() == 1) return run(groups.front(), team.get());
  return for_each_index(model, groups.size(), options.threads,
                        [&](std::size_t index) { return run(groups[index], nullptr); });
}

Status Generator::State::advance_all(std::span<GrowingRow* const> rows) const {
  if (rows.empty()) return {};
  LAYERSCOPE_TRY(pass.run(rows, 1, team.get(), true));
  return choose(rows, {.team = team.get(), .steps = true});
}

Status Generator::State::choose(std::span<GrowingRow* const> rows, const RunOptions& how) const {
  std::vector<GrowingRow*> open;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(open), [](const GrowingRow* row) { return !row->ended; });
  const auto width = static_cast<std::size_t>(pass.final_width()), wide = static_cast<std::size_t>(vocabulary);
  std::vector<float> finals, scores;
  const Engine& engine = *model.state().engine;
  for (std::size_t first = 0; first < open.size(); first += kScoredRows) {
    const std::size_t count = std::min(kScoredRows, open.size() - first);
    finals.clear();
    for (std::size_t i = first; i < first + count; ++i)
      finals.insert(finals.end(), open[i]->final.begin(), open[i]->final.end());
    scores.resize(count * wide);
    const auto rows_of = static_cast<std::int64_t>(count);
    const MutableRows out{.dtype = DType::kF32,
                          .data = reinterpret_cast<std::byte*>(scores.data()),
                          .rows = rows_of,
                          .width = vocabulary,
                          .stride = vocabulary};
    LAYERSCOPE_TRY(engine.logits({.dtype = DType::kF32,
                                  .data = reinterpret_cast<const std::byte*>(finals.data()),
                                  .rows = rows_of,
                                  .width = static_cast<std::int64_t>(width),
                                  .stride = static_cast<std::int64_t>(width)},
                                 out, how));
    if (!engine.backend().all_finite(out.view()))
      return Error{ErrorCode::kRuntime, "site \"logits\" holds NaN or infinity"};
    for (std::size_t i = 0; i < count; ++i) {
      GrowingRow& row = *open[first + i];
      const std::int32_t id = sampler.choose(
          std::span(scores).subspan(i * wide, wide),
          {.number = row.number, .ids = row.ids, .prompt_tokens = row.prompt_tokens, .source = row.prompt.main.ids});
      LAYERSCOPE_TRY(accept(row, id));
    }
  }
  return {};
}

Status Generator::State::accept(GrowingRow& row, std::int32_t id) const {
  row.ids.push_back(id);
  LAYERSCOPE_ASSIGN(row.stopped, row.text.add(id));
  const std::vector<std::int32_t>& ends = options.config.eos_token_id;
  row.stopped = row.stopped || std::find(ends.begin(), ends.end(), id) != ends.end();
  row.ended = row.stopped || static_cast<std::int64_t>(row.ids.size()) - row.prompt_tokens == options.max_new_tokens;
  if (!row.ended) return {};
  LAYERSCOPE_ASSIGN(const bool stop, row.text.finish());
  row.stopped = row.stopped || stop;
  return {};
}

GeneratedRow Generator::State::finished(GrowingRow& row) const {
  GeneratedRow result{.tag = row.tag, .number = row.number, .prompt = std::move(row.prompt), .output_ids = {}};
  result.output_ids.assign(row.ids.begin() + row.prompt_tokens, row.ids.end());
  result.stopped = row.stopped;
  result.text = row.text.text();
  result.states = row.cache.tokens();
  return result;
}

Generator::Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Generator::~Generator() = default;

Result<std::unique_ptr<Generator>> Generator::create(const Model& model, GenerationOptions options,
                                                     const TapPlan* observed, GenerationObserver* observer) {
  const ModelSpec& spec = model.state().spec;
  const auto unfit = [&](const std::string& why) { return Error{ErrorCode::kModel, model.info().path + ": " + why}; };
  if (!spec.decoder) return unfit("is an encoder alone, which writes no text");
  if (sees_later_tokens(*spec.decoder)) return unfit("its tokens see later ones, so it cannot write on behind a text");
  if (options.max_new_tokens < 1) {
    return Error{ErrorCode::kUsage,
                 "the number of new tokens is " + std::to_string(options.max_new_tokens) + ", expected at least 1"};
  }
  if (!options.config.stop_strings.empty() && !model.state().tokenizer)
    return Error{ErrorCode::kUsage, "a stop text for a model without text: " + model.state().no_tokenizer};
  LAYERSCOPE_TRY(model.load_head());
  const TapPlan* shown = observer == nullptr ? nullptr : observed;
  LAYERSCOPE_ASSIGN(GenerationPass pass, GenerationPass::create(model, shown, observer, options.edits));
  const Backend& backend = model.state().engine->backend();
  model.enter_worker();
  auto state = std::unique_ptr<State>(new State{.model = model,
                                                .options = options,
                                                .sampler = {options.config, options.max_new_tokens, options.seed},
                                                .pass = std::move(pass),
                                                .observer = observer,
                                                .rotations = rotations_of(*spec.decoder),
                                                .vocabulary = model.sites().find("logits")->width,
                                                .team = std::make_unique<Team>(backend, options.threads),
                                                .joined = {},
                                                .growing = {}});
  return std::unique_ptr<Generator>(new Generator(std::move(state)));
}

Result<ModelRow> Generator::tokenize(const TextRow& row, const TokenizeOptions& options) const {
  TokenizeOptions own = options;
  const bool two_stacks = state_->model.info().two_stacks;
  if (const auto most = state_->limit(); options.truncate && most && !two_stacks)
    own.max_length = std::max<std::int64_t>(1, *most - state_->new_states());
  LAYERSCOPE_ASSIGN(ModelRow ready, state_->model.tokenize(row, own));
  const GenerationConfig& config = state_->options.config;
  const std::optional<std::int32_t> start =
      config.decoder_start_token_id ? config.decoder_start_token_id : config.bos_token_id;
  if (two_stacks && start && !row.decoder_ids && !row.target) ready.decoder->ids.front() = *start;
  LAYERSCOPE_TRY(
      state_->check_length(static_cast<std::int64_t>((two_stacks ? *ready.decoder : ready.main).ids.size())));
  return ready;
}

RowContext Generator::context(const ModelRow& prompt) const {
  const bool two_stacks = prompt.decoder.has_value();
  const auto main = static_cast<std::int64_t>(prompt.main.ids.size());
  RowContext context;
  context.tokens = (two_stacks ? static_cast<std::int64_t>(prompt.decoder->ids.size()) : main) + state_->new_states();
  context.source_tokens = two_stacks ? main : 0;
  context.cache_bytes = cache_bytes(state_->model.state().spec, state_->model.state().engine->backend(), context.tokens,
                                    context.source_tokens);
  return context;
}

std::uint64_t Generator::token_bytes(bool source) const noexcept {
  constexpr std::int64_t kTokens = KeyValuePages::kTokens;  // a page
  const ModelState& model = state_->model.state();
  const auto bytes = [&](std::int64_t tokens, std::int64_t source_tokens) {
    return cache_bytes(model.spec, model.engine->backend(), tokens, source_tokens);
  };
  // The difference of two lengths, since there are bytes that every row takes.
  return (source ? bytes(0, kTokens) : bytes(2 * kTokens, 0) - bytes(kTokens, 0)) / kTokens;
}

std::size_t Generator::rows() const noexcept { return state_->joined.size() + state_->growing.size(); }

void Generator::join(std::uint64_t tag, std::int64_t number, ModelRow prompt) {
  std::vector<std::int32_t> ids = prompt.decoder ? prompt.decoder->ids : prompt.main.ids;
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const State& state = *state_;
  state_->joined.push_back(std::unique_ptr<GrowingRow>(
      new GrowingRow{.tag = tag,
                     .number = number,
                     .prompt = std::move(prompt),
                     .ids = std::move(ids),
                     .prompt_tokens = tokens,
                     .cache = {},
                     .final = {},
                     .text = {state.model.state().tokenizer.get(), state.options.config.stop_strings}}));
}

Result<std::vector<GeneratedRow>> Generator::step(const Told& told) {
  State& state = *state_;
  std::vector<GrowingRow*> whole, single;
  for (auto& row : state.joined) whole.push_back(row.get());
  for (const auto& row : state.growing) {
    if (!state.joined.empty()) break;
    if (state.restarts(*row)) {
      row->cache = {};
      if (state.observer != nullptr) state.observer->restart(row->tag);
    }
    (row->cache.tokens() == 0 ? whole : single).push_back(row.get());
  }
  std::move(state.joined.begin(), state.joined.end(), std::back_inserter(state.growing));
  state.joined.clear();
  LAYERSCOPE_TRY(state.prefill(whole));
  LAYERSCOPE_TRY(state.advance_all(single));
  std::vector<GeneratedRow> finished;
  for (const auto& row : state.growing) {
    if (told) {
      const std::string piece = row->text.take();
      if (!piece.empty()) told(row->tag, piece);
    }
    const bool closes = row->ended && (!state.options.last_state || row->waiting() == 0);
    if (closes) finished.push_back(state.finished(*row));
  }
  std::erase_if(state.growing,
                [&](const auto& row) { return row->ended && (!state.options.last_state || row->waiting() == 0); });
  return finished;
}

}  // namespace layerscope
