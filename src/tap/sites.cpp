#include "tap/sites.h"

#include <algorithm>

namespace layerscope {
namespace {

class Enumerator {
 public:
  Enumerator(SiteTable& table, StackId stack, std::string prefix, std::int64_t width)
      : table_(table), stack_(stack), prefix_(std::move(prefix)), width_(width) {}

  void stack(const Stack& stack) {
    const int layers = static_cast<int>(stack.blocks.size());
    table_.layers[static_cast<std::size_t>(stack_)] = layers;
    add(SiteKind::kEmbed, "embed", -1, -1, width_).hf_index = 0;
    for (int i = 0; i < layers; ++i) {
      const Block& block = stack.blocks[static_cast<std::size_t>(i)];
      const std::string at = "block." + std::to_string(i) + ".";
      for (int s = 0; s < static_cast<int>(block.steps.size()); ++s)
        step(block.steps[static_cast<std::size_t>(s)], at, i, s);
      Site& out = add(SiteKind::kBlockOut, at + "out", i, -1, width_);
      if (i + 1 < layers || (!stack.top && !stack.projection)) out.hf_index = i + 1;
    }
    add(SiteKind::kFinal, "final", -1, -1, stack.final_width(width_)).hf_index = layers;
  }

 private:
  Site& add(SiteKind kind, const std::string& name, int block, int step, std::int64_t width, std::int64_t heads = 0) {
    table_.sites.push_back({.name = prefix_ + name,
                            .stack = stack_,
                            .block = block,
                            .step = step,
                            .kind = kind,
                            .width = width,
                            .heads = heads});
    return table_.sites.back();
  }

  void step(const Step& step, const std::string& block, int i, int s) {
    const std::string at = block + step.slot + ".";
    add(SiteKind::kStepIn, at + "in", i, s, width_);
    if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
      const bool cross = attention->keys == KeySource::kEncoder;
      add(SiteKind::kQueries, at + "q", i, s, attention->heads * attention->d_qk, attention->heads);
      add(SiteKind::kKeys, at + "k", i, s, attention->kv_heads * attention->d_qk, attention->kv_heads).cross = cross;
      add(SiteKind::kValues, at + "v", i, s, attention->kv_heads * attention->d_v, attention->kv_heads).cross = cross;
      add(SiteKind::kProbs, at + "probs", i, s, 0, attention->heads).cross = cross;
      add(SiteKind::kHeads, at + "z", i, s, attention->heads * attention->d_v, attention->heads);
    } else if (const auto* mlp = std::get_if<Mlp>(&step.mixer)) {
      add(SiteKind::kAct, at + "act", i, s, mlp->hidden);
    } else if (const auto* experts = std::get_if<Experts>(&step.mixer)) {
      add(SiteKind::kRouter, at + "router", i, s, experts->router.experts);
    }
    add(SiteKind::kStepOut, at + "out", i, s, width_);
    if (step.after) add(SiteKind::kStepPresum, at + "presum", i, s, width_);
    add(SiteKind::kStepSum, at + "sum", i, s, width_);
  }

  SiteTable& table_;
  StackId stack_;
  std::string prefix_;
  std::int64_t width_;
};

}  // namespace

SiteTable enumerate_sites(const ModelSpec& spec) {
  SiteTable table;
  const bool both = spec.two_stacks();
  if (spec.encoder) Enumerator(table, StackId::kEncoder, both ? "enc." : "", spec.width).stack(*spec.encoder);
  if (spec.decoder) Enumerator(table, StackId::kDecoder, both ? "dec." : "", spec.width).stack(*spec.decoder);
  if (spec.head) {
    table.sites.push_back(
        {.name = "logits", .stack = spec.head_stack(), .kind = SiteKind::kLogits, .width = spec.scores()});
  }
  return table;
}

const Site* SiteTable::find(std::string_view name) const noexcept {
  const auto found = std::find_if(sites.begin(), sites.end(), [&](const Site& site) { return site.name == name; });
  return found == sites.end() ? nullptr : &*found;
}

std::string site_names(const SiteTable& table) {
  std::string text;
  for (const Site& site : table.sites) {
    if (site.block > 0) continue;
    std::string name = site.name;
    const std::size_t zero = name.find("block.0.");
    if (zero != std::string::npos) name.replace(zero, 8, "block.{i}.");
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

bool glob_matches(std::string_view pattern, std::string_view name) noexcept {
  // The last star may take one more character whenever a later part fails; `**` outlives a `*` after it that met a dot.
  std::size_t p = 0, n = 0;
  std::size_t single_p = std::string_view::npos, single_n = 0;
  std::size_t double_p = std::string_view::npos, double_n = 0;
  while (true) {
    if (p < pattern.size() && pattern[p] == '*') {
      if (pattern.substr(p).starts_with("**")) {
        p += 2;
        double_p = p;
        double_n = n;
        single_p = std::string_view::npos;
      } else {
        ++p;
        single_p = p;
        single_n = n;
      }
      continue;
    }
    if (p == pattern.size() && n == name.size()) return true;
    if (p < pattern.size() && n < name.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
      continue;
    }
    if (single_p != std::string_view::npos && single_n < name.size() && name[single_n] != '.') {
      p = single_p;
      n = ++single_n;
    } else if (double_p != std::string_view::npos && double_n < name.size()) {
      p = double_p;
      n = ++double_n;
      single_p = std::string_view::npos;
    } else {
      return false;
    }
  }
}

}  // namespace layerscope
