#include "diff/chain.h"

#include <algorithm>
#include <cmath>

#include "analysis/difference.h"
#include "base/try.h"
#include "kernels/scalar.h"
#include "session/model_state.h"
#include "session/score_tiles.h"
#include "session/workers.h"

namespace layerscope {
namespace {

// What honest engines' states differ by stays below kNudge; an outcome that moves by kJump for it is no rounding.
constexpr double kNudge = 1e-5, kJump = 1e-3;

std::string prefixed(const Model& model, StackId stack, const std::string& site) {
  if (!model.info().two_stacks) return site;
  return (stack == StackId::kEncoder ? "enc." : "dec.") + site;
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool has_experts(const Block& block) {
  return std::ranges::any_of(block.steps, [](const Step& step) { return std::holds_alternative<Experts>(step.mixer); });
}

/// finals or streams [n, width] -> out [n, other width], both in the stream's type.
using RowsWork = std::function<Status(const RowsView&, const MutableRows&)>;

/// `work` over rows, one block each.
Result<std::vector<std::vector<SideBlock>>> by_rows(const Model& model, std::span<const std::vector<SideBlock>> states,
                                                    std::size_t input, std::int64_t width, int threads,
                                                    const RowsWork& work) {
  const DType dtype = model.state().engine->backend().info().stream;
  std::vector<std::vector<SideBlock>> results(states.size(), std::vector<SideBlock>(1));
  const auto row = [&](std::size_t i) -> Status {
    const SideBlock& in = states[i][input];
    SideBlock& out = results[i].front();
    out.rows = in.rows;
    out.width = width;
    std::vector<std::byte> from(in.values.size() * dtype_size(dtype)),
        to(static_cast<std::size_t>(out.rows * width) * dtype_size(dtype));
    for (std::size_t j = 0; j < in.values.size(); ++j)
      store_element(dtype, from.data(), static_cast<std::int64_t>(j), in.values[j]);
    LAYERSCOPE_TRY(work({dtype, from.data(), in.rows, in.width, in.width}, {dtype, to.data(), out.rows, width, width}));
    out.values.resize(static_cast<std::size_t>(out.rows * width));
    for (std::size_t j = 0; j < out.values.size(); ++j)
      out.values[j] = load_element<double>(dtype, to.data(), static_cast<std::int64_t>(j));
    return {};
  };
  LAYERSCOPE_TRY(for_each_index(model, states.size(), threads, row));
  return results;
}

void add_stack(const Model& model, StackId stack, std::span<const std::string> known,
               std::span<const std::string> wanted, std::vector<ChainLink>& chain) {
  const std::vector<Block>& blocks = model.state().spec.stack(stack).blocks;
  const auto count = static_cast<int>(blocks.size());
  const std::string final = prefixed(model, stack, "final"), encoder = prefixed(model, StackId::kEncoder, "final");
  const std::string top = prefixed(model, stack, "block." + std::to_string(count - 1) + ".out");
  const bool ends_alone =
      contains(known, top) && contains(known, final) && contains(wanted, top) && contains(wanted, final);
  for (int i = 0; i < count; ++i) {
    const Block& block = blocks[static_cast<std::size_t>(i)];
    ChainLink link{.stack = stack, .block = i, .experts = has_experts(block)};
    link.input = prefixed(model, stack, i == 0 ? "embed" : "block." + std::to_string(i - 1) + ".out");
    if (std::ranges::any_of(block.steps, reads_encoder)) link.encoded = encoder;
    if (!contains(known, link.input) || (!link.encoded.empty() && !contains(known, link.encoded))) continue;
    for (const Site& site : model.sites().sites) {
      const bool mine = site.stack == stack && site.block == i && site.kind != SiteKind::kLogits;
      if (mine && contains(known, site.name) && contains(wanted, site.name)) link.outputs.push_back(site.name);
    }
    if (i + 1 == count && !ends_alone && contains(known, final) && contains(wanted, final)) {
      link.through_end = true;
      link.outputs.push_back(final);
    }
    if (!link.outputs.empty()) chain.push_back(std::move(link));
  }
  if (ends_alone) chain.push_back({.stack = stack, .block = count, .input = top, .outputs = {final}});
}

/// Every element moved by kNudge of itself, up or down by a fixed pattern.
SideBlock nudged(const SideBlock& block, int pattern) {
  SideBlock moved = block;
  for (std::size_t i = 0; i < moved.values.size(); ++i) {
    const std::uint64_t bits =
        (i + 1) * 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(pattern / 2) * 0xbf58476d1ce4e5b9ULL;
    const bool up = ((bits >> 37 & 1U) != 0) == (pattern % 2 == 0);
    moved.values[i] *= up ? 1 + kNudge : 1 - kNudge;
  }
  return moved;
}

}  // namespace

std::size_t index_of(std::span<const std::string> names, std::string_view site) {
  return static_cast<std::size_t>(std::ranges::find(names, site) - names.begin());
}

std::vector<ChainLink> chain_of(const Model& model, std::span<const std::string> known,
                                std::span<const std::string> wanted) {
  std::vector<ChainLink> chain;
  const ModelSpec& spec = model.state().spec;
  if (spec.encoder) add_stack(model, StackId::kEncoder, known, wanted, chain);
  if (spec.decoder) add_stack(model, StackId::kDecoder, known, wanted, chain);
  const std::string final = prefixed(model, spec.head_stack(), "final");
  if (spec.head && contains(known, final) && contains(known, "logits") && contains(wanted, "logits"))
    chain.push_back({.stack = spec.head_stack(), .head = true, .input = final, .outputs = {"logits"}});
  return chain;
}

Result<std::vector<std::vector<SideBlock>>> run_link(const Model& model, const ChainLink& link,
                                                     std::span<const SideRow> rows,
                                                     std::span<const std::vector<SideBlock>> states,
                                                     std::span<const std::string> names, const LiveOptions& options) {
  const ModelState& state = model.state();
  const std::size_t input = index_of(names, link.input);
  if (link.head) {
    return by_rows(model, states, input, score_count(model), options.threads,
                   [&](const RowsView& in, const MutableRows& out) { return state.engine->logits(in, out); });
  }
  const Stack& stack = state.spec.stack(link.stack);
  if (link.block == static_cast<int>(stack.blocks.size())) {
    const auto finish = [&](const RowsView& in, const MutableRows& out) {
      return state.engine->finish(link.stack, in, out);
    };
    return by_rows(model, states, input, stack.final_width(state.spec.width), options.threads, finish);
  }
  LivePart part{.stack = link.stack, .block = link.block};
  for (const std::vector<SideBlock>& row : states) {
    part.inputs.push_back(&row[input]);
    if (!link.encoded.empty()) part.encoded.push_back(&row[index_of(names, link.encoded)]);
  }
  return run_live(model, rows, link.outputs, options, &part);
}

Result<std::vector<std::vector<std::uint8_t>>> undecided_tokens(const Model& model, const ChainLink& link,
                                                                std::span<const SideRow> rows,
                                                                std::span<const std::vector<SideBlock>> states,
                                                                std::span<const std::string> names,
                                                                const LiveOptions& options) {
  std::vector<std::vector<std::uint8_t>> undecided;
  const std::size_t input = index_of(names, link.input);
  for (const std::vector<SideBlock>& row : states) undecided.emplace_back(static_cast<std::size_t>(row[input].rows));
  if (!link.experts) return undecided;
  ChainLink outcome = link;
  outcome.outputs = {link.outputs.back()};
  LAYERSCOPE_ASSIGN(const auto plain, run_link(model, outcome, rows, states, names, options));
  std::vector<std::vector<SideBlock>> moved(states.begin(), states.end());
  for (int pattern = 0; pattern < 6; ++pattern) {
    for (std::size_t i = 0; i < states.size(); ++i) moved[i][input] = nudged(states[i][input], pattern);
    LAYERSCOPE_ASSIGN(const auto other, run_link(model, outcome, rows, moved, names, options));
    for (std::size_t i = 0; i < states.size(); ++i) {
      const SideBlock &a = other[i].front(), &b = plain[i].front();
      for (std::size_t t = 0; t < undecided[i].size(); ++t) {
        const std::size_t width = static_cast<std::size_t>(b.width), at = t * width;
        const double jump =
            relative_error(std::span(a.values).subspan(at, width), std::span(b.values).subspan(at, width));
        if (jump > kJump) undecided[i][t] = 1;
      }
    }
  }
  return undecided;
}

}  // namespace layerscope
