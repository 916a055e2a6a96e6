#include "diff/live_run.h"

#include <algorithm>
#include <new>

#include "base/try.h"
#include "kernels/scalar.h"
#include "session/model_state.h"
#include "session/rows.h"
#include "session/workers.h"

namespace layerscope {
namespace {

/// Writes what the engine shows of one batch into the blocks of its rows.
class Kept final : public Observer {
 public:
  /// blocks: by sequence of the batch, by site.
  Kept(const Batch& batch, const TapPlan& plan, std::vector<int> places, std::span<std::vector<SideBlock>> blocks)
      : batch_(batch), plan_(plan), places_(std::move(places)), blocks_(blocks) {}

  Status observe(const Frame& frame) override {
    const auto observed = static_cast<std::size_t>(frame.observed);
    const Site& site = plan_.observed()[observed];
    const int place = places_[observed];
    if (place < 0) return {};
    const bool probs = site.kind == SiteKind::kProbs;  // rows of queries, whoever's the keys are
    const std::vector<std::int64_t>& offsets =
        batch_.inputs[site.cross && !probs ? 0 : static_cast<std::size_t>(site.stack)].offsets;
    if (probs) {
      const auto sequence = static_cast<std::size_t>(frame.sequence);
      const std::int64_t queries = offsets[sequence + 1] - offsets[sequence];
      SideBlock& block = blocks_[sequence][static_cast<std::size_t>(place)];
      block.width = frame.rows.width;
      block.rows = std::max(block.rows, site.heads * queries);
      copy(frame.rows, 0, frame.rows.rows, frame.head * queries + frame.first, block);
      return {};
    }
    auto sequence = static_cast<std::size_t>(std::ranges::upper_bound(offsets, frame.first) - offsets.begin()) - 1;
    const std::int64_t end = frame.first + frame.rows.rows;
    for (std::int64_t token = frame.first; token < end; ++sequence) {
      const std::int64_t next = std::min(offsets[sequence + 1], end);
      if (next > token) {
        SideBlock& block = blocks_[sequence][static_cast<std::size_t>(place)];
        block.width = frame.rows.width;
        block.rows = offsets[sequence + 1] - offsets[sequence];
        copy(frame.rows, token - frame.first, next - token, token - offsets[sequence], block);
      }
      token = next;
    }
    return {};
  }

 private:
  static void copy(const RowsView& from, std::int64_t first, std::int64_t count, std::int64_t at, SideBlock& block) {
    block.values.resize(static_cast<std::size_t>(block.rows * block.width));
    for (std::int64_t i = 0; i < count; ++i) {
      double* const out = block.values.data() + (at + i) * block.width;
      for (std::int64_t j = 0; j < block.width; ++j)
        out[j] = load_element<double>(from.dtype, from.data, (first + i) * from.stride + j);
    }
  }

  const Batch& batch_;
  const TapPlan& plan_;
  std::vector<int> places_;  // by observed site: index into the sites asked for, or -1
  std::span<std::vector<SideBlock>> blocks_;
};

/// Rows end to end in one matrix of the stream's type.
struct Stacked {
  std::vector<std::byte> bytes;
  RowsView view;
};
Stacked stacked(std::span<const SideBlock* const> blocks, DType dtype) {
  Stacked all;
  all.view = {.dtype = dtype, .width = blocks.front()->width, .stride = blocks.front()->width};
  for (const SideBlock* block : blocks) all.view.rows += block->rows;
  all.bytes.resize(static_cast<std::size_t>(all.view.rows * all.view.width) * dtype_size(dtype));
  all.view.data = all.bytes.data();
  std::int64_t at = 0;
  for (const SideBlock* block : blocks) {
    for (const double value : block->values) store_element(dtype, all.bytes.data(), at++, value);
  }
  return all;
}

/// Rows [first, first + count) run together.
struct Group {
  std::size_t first = 0, count = 0;
};
std::vector<Group> groups_of(std::span<const SideRow> rows) {
  std::vector<Group> groups;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto added = static_cast<std::int64_t>(rows[i].tokens.main.ids.size());
    if (groups.empty() || tokens + added > kBatchTokens) {
      groups.push_back({i, 0});
      tokens = 0;
    }
    ++groups.back().count;
    tokens += added;
  }
  return groups;
}

}  // namespace

const Tokens& tokens_of(const Model& model, const SideRow& row, StackId stack) {
  return model.info().two_stacks && stack == StackId::kDecoder ? *row.tokens.decoder : row.tokens.main;
}

Result<std::vector<std::vector<SideBlock>>> run_live(const Model& model, std::span<const SideRow> rows,
                                                     std::span<const std::string> sites, const LiveOptions& options,
                                                     const LivePart* part) try {
  std::string names;
  for (const std::string& site : sites) names += (names.empty() ? "" : ",") + site;
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(model.sites(), {.sites = names}));
  std::vector<int> places;
  for (const Site& site : plan.observed()) {
    const auto found = std::ranges::find(sites, site.name);
    places.push_back(found == sites.end() ? -1 : static_cast<int>(found - sites.begin()));
  }
  const ModelState& state = model.state();
  const DType stream = state.engine->backend().info().stream;
  std::vector<std::vector<SideBlock>> blocks(rows.size(), std::vector<SideBlock>(sites.size()));
  const std::vector<Group> groups = groups_of(rows);
  const auto run = [&](std::size_t index) -> Status {
    const Group& group = groups[index];
    Batch batch;
    for (std::size_t i = group.first; i < group.first + group.count; ++i)
      model.append(batch, rows[i].tokens, rows[i].number, i - group.first);
    LAYERSCOPE_TRY(check_batch(state, batch));
    Kept kept(batch, plan, places, std::span(blocks).subspan(group.first, group.count));
    RunOptions run_options{.edits = options.edits};
    Stacked input, encoded;
    if (part != nullptr) {
      input = stacked(std::span(part->inputs).subspan(group.first, group.count), stream);
      run_options.start = {.stack = part->stack, .block = part->block, .step = 0, .stream = input.view};
      if (!part->encoded.empty()) {
        encoded = stacked(std::span(part->encoded).subspan(group.first, group.count), stream);
        run_options.encoded = encoded.view;
      }
    }
    return state.engine->run(batch, plan, kept, run_options);
  };
  if (const Status status = for_each_index(model, groups.size(), options.threads, run); !status)
    return Error{status.error().code, model.info().path + ": " + status.error().message};
  return blocks;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource,
               model.info().path + ": out of memory while running " + std::to_string(rows.size()) + " rows"};
}

}  // namespace layerscope
