#include "session/generation_pass.h"

#include <algorithm>

#include "base/try.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

/// Appends ids first ... first + count, and their types where the prompt has some.
void append_tokens(Batch::Input& input, std::span<const std::int32_t> ids, const std::vector<std::uint8_t>& types,
                   std::int64_t first, std::int64_t count) {
  const auto part = ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  if (!types.empty()) {
    input.type_ids.resize(input.ids.size(), 0);
    for (auto at = static_cast<std::size_t>(first); at < static_cast<std::size_t>(first + count); ++at)
      input.type_ids.push_back(at < types.size() ? types[at] : 0);
  }
  input.ids.insert(input.ids.end(), part.begin(), part.end());
  if (!input.type_ids.empty()) input.type_ids.resize(input.ids.size(), 0);
  input.offsets.push_back(static_cast<std::int64_t>(input.ids.size()));
}

}  // namespace

/// Splits what the engine shows of a batch into its rows.
class GenerationPass::Shown final : public Observer {
 public:
  Shown(const GenerationPass& pass, std::span<GrowingRow* const> rows, const Batch& batch)
      : pass_(pass), rows_(rows), batch_(batch) {}

  Status observe(const Frame& frame) override {
    const Site& site = pass_.plan_.observed()[static_cast<std::size_t>(frame.observed)];
    const bool source = site.cross || site.stack == StackId::kEncoder;
    if (site.kind == SiteKind::kFinal && !source) keep_final(frame);
    const int wanted = pass_.wanted_[static_cast<std::size_t>(frame.observed)];
    if (wanted < 0) return {};
    Frame part = frame;
    part.observed = wanted;
    if (site.kind == SiteKind::kProbs) {
      const GrowingRow& row = *rows_[static_cast<std::size_t>(frame.sequence)];
      part.first += site.stack == StackId::kEncoder ? 0 : row.cache.tokens();
      return pass_.observer_->observe(row.tag, part);
    }
    const std::vector<std::int64_t>& offsets = batch_.inputs[source ? 0 : 1].offsets;
    const std::int64_t end = frame.first + frame.rows.rows;
    auto sequence =
        static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), frame.first) - offsets.begin()) - 1;
    for (std::int64_t token = frame.first; token < end; ++sequence) {
      const std::int64_t next = std::min(offsets[sequence + 1], end);
      if (next > token) {
        const GrowingRow& row = *rows_[sequence];
        part.first = token - offsets[sequence] + (source ? 0 : row.cache.tokens());
        part.rows = slice(frame.rows, token - frame.first, next - token);
        LAYERSCOPE_TRY(pass_.observer_->observe(row.tag, part));
      }
      token = next;
    }
    return {};
  }

 private:
  void keep_final(const Frame& frame) {
    const std::vector<std::int64_t>& offsets = batch_.inputs[1].offsets;
    for (std::size_t s = 0; s < rows_.size(); ++s) {
      const std::int64_t last = offsets[s + 1] - 1 - frame.first;
      if (last < 0 || last >= frame.rows.rows) continue;
      const float* row = frame.rows.row<float>(last);
      rows_[s]->final.assign(row, row + frame.rows.width);
    }
  }

  const GenerationPass& pass_;
  std::span<GrowingRow* const> rows_;
  const Batch& batch_;
};

Result<GenerationPass> GenerationPass::create(const Model& model, const TapPlan* observed, GenerationObserver* observer,
                                              const EditPlan* edits) {
  GenerationPass pass(model, observer, edits);
  const std::string top = model.info().two_stacks ? "dec.final" : "final";
  std::string names = top;
  for (const Site& site : observed != nullptr ? observed->observed() : std::vector<Site>()) {
    if (site.name != top) names += "," + site.name;
  }
  LAYERSCOPE_ASSIGN(pass.plan_, TapPlan::compile(model.sites(), {.sites = names}));
  for (const Site& site : pass.plan_.observed()) {
    if (site.name == top) pass.final_width_ = site.width;
    pass.wanted_.push_back(-1);
    for (std::size_t i = 0; observed != nullptr && i < observed->observed().size(); ++i) {
      if (observed->observed()[i].name == site.name) pass.wanted_.back() = static_cast<int>(i);
    }
  }
  return pass;
}

Status GenerationPass::run(std::span<GrowingRow* const> rows, std::int64_t most, Team* team, bool steps) const {
  Batch batch;
  std::vector<KvCache*> caches;
  std::vector<std::int64_t> prompts;
  const bool two_stacks = model_.info().two_stacks;
  for (GrowingRow* row : rows) {
    if (two_stacks) {
      const Tokens& source = row->prompt.main;
      const auto count = row->cache.tokens() == 0 ? static_cast<std::int64_t>(source.ids.size()) : 0;
      append_tokens(batch.inputs[0], source.ids, source.type_ids, 0, count);
    }
    const Tokens& prompt = two_stacks ? *row->prompt.decoder : row->prompt.main;
    append_tokens(batch.inputs[1], row->ids, prompt.type_ids, row->cache.tokens(), std::min(most, row->waiting()));
    batch.rows.push_back(row->number);
    batch.tags.push_back(row->tag);
    caches.push_back(&row->cache);
    prompts.push_back(row->prompt_tokens);
  }
  Shown shown(*this, rows, batch);
  const RunOptions options{.caches = caches, .edits = edits_, .edited_lengths = prompts, .team = team, .steps = steps};
  return model_.state().engine->run(batch, plan_, shown, options);
}

}  // namespace layerscope
