#include <algorithm>
#include <array>
#include <map>

#include "diff/hypotheses.h"
#include "diff/slot_changes.h"

namespace layerscope {
namespace {

void add(Hypotheses& out, const std::string& site, const char* kind, const std::string& says,
         std::function<void(BlockSetup&)> apply) {
  out.variants.push_back({.site = site, .kind = kind, .says = says, .apply = std::move(apply)});
}

// The modules of a step that are matrices, "q", "k", ..., "down".
std::vector<std::string> matrices(const BlockLab& lab, const std::string& at) {
  std::vector<std::string> modules;
  for (const char* module : {"q", "k", "v", "out", "q_down", "q_up", "kv_down", "kv_up", "gate", "up", "down", "router",
                             "shared.gate", "shared.up", "shared.down", "in", "position_k", "position_q"}) {
    if (lab.base().weights.contains(at + module + ".weight")) modules.emplace_back(module);
  }
  return modules;
}

const SlotValues& values_of(const BlockLab& lab, const std::string& slot) { return *lab.base().weights.at(slot); }

void suspect_one(const BlockLab& lab, const std::string& at, const std::string& module, Hypotheses& out) {
  const std::string slot = at + module + ".weight", site = site_of_slot(slot), name = slot_text(at + module);
  const SlotValues& values = values_of(lab, slot);
  const bool square = values.outputs == values.inputs;
  add(out, site, "transposed",
      square ? "the matrix " + name + " is transposed"
             : "the matrix " + name + " is read as if it were stored the other way round",
      [slot, square](BlockSetup& setup) { square ? transpose(setup, slot) : reread(setup, slot); });
  if (!square)
    add(out, site, "transposed", "the matrix " + name + " is stored the other way round than it is read",
        [slot](BlockSetup& setup) { reread_back(setup, slot); });
  if (lab.base().weights.contains(at + module + ".bias"))
    add(out, site, "bias", "the bias of " + name + " is left out",
        [bias = at + module + ".bias"](BlockSetup& setup) { fill(setup, bias, 0); });
  add(out, site, "weights", "the matrix " + name + " is all zeros",
      [slot](BlockSetup& setup) { fill(setup, slot, 0); });
  out.scalars.push_back({.site = site,
                         .kind = "weights",
                         .name = "the factor on the matrix " + name,
                         .ours = 1,
                         .tried = {0.5, 2, -1, 0.9},
                         .apply = [slot](BlockSetup& setup, double factor) { multiply(setup, slot, factor); }});
}

void suspect_pairs(const BlockLab& lab, const std::string& at, const std::vector<std::string>& modules,
                   Hypotheses& out) {
  for (std::size_t a = 0; a < modules.size(); ++a) {
    for (std::size_t b = a + 1; b < modules.size(); ++b) {
      const SlotValues &x = values_of(lab, at + modules[a] + ".weight"),
                       &y = values_of(lab, at + modules[b] + ".weight");
      if (x.outputs != y.outputs || x.inputs != y.inputs) continue;
      const std::string one = at + modules[a], two = at + modules[b], site = site_of_slot(one + ".weight"),
                        what = slot_text(one) + " and " + slot_text(two);
      const bool biased = lab.base().weights.contains(one + ".bias") && lab.base().weights.contains(two + ".bias");
      add(out, site, "weights", what + " are exchanged" + (biased ? ", biases too" : ""), [=](BlockSetup& setup) {
        exchange(setup, one + ".weight", two + ".weight");
        exchange(setup, one + ".bias", two + ".bias");
      });
      if (biased) {
        add(out, site, "weights", "the matrices of " + what + " are exchanged",
            [=](BlockSetup& setup) { exchange(setup, one + ".weight", two + ".weight"); });
        add(out, site, "bias", "the biases of " + what + " are exchanged",
            [=](BlockSetup& setup) { exchange(setup, one + ".bias", two + ".bias"); });
      }
      for (const auto& [from, to] : {std::pair{one, two}, std::pair{two, one}}) {
        add(out, site_of_slot(to + ".weight"), "weights", slot_text(to) + " has the weights of " + slot_text(from),
            [from = from, to = to](BlockSetup& setup) { copy(setup, from + ".weight", to + ".weight"); });
      }
    }
  }
}

// Parts of a fused tensor in another order.
void suspect_fusions(const BlockLab& lab, const std::string& at, const Attention& attention, const std::string& step,
                     Hypotheses& out) {
  const std::vector<std::string> parts = {at + "q", at + "k", at + "v"};
  const bool there =
      std::ranges::all_of(parts, [&](const std::string& p) { return lab.base().weights.contains(p + ".weight"); });
  if (!there || attention.heads != attention.kv_heads || attention.d_qk != attention.d_v) return;
  const auto shuffle = [&](const std::string& says, const std::function<std::int64_t(std::int64_t)>& source) {
    add(out, step + ".q", "weights", says, [=](BlockSetup& setup) {
      for (const char* leaf : {".weight", ".bias"}) reorder(setup, parts, leaf, source);
    });
  };
  const std::int64_t rows = attention.heads * attention.d_qk, d = attention.d_qk, heads = attention.heads;
  shuffle("the fused tensor of queries, keys and values is read as keys, values, queries",
          [=](std::int64_t row) { return (row + rows) % (3 * rows); });
  shuffle("the fused tensor of queries, keys and values is read as values, queries, keys",
          [=](std::int64_t row) { return (row + 2 * rows) % (3 * rows); });
  shuffle("the fused tensor's rows are split by head first rather than into queries, keys and values",
          [=](std::int64_t row) { return (row % rows / d * 3 + row / rows) * d + row % d; });
  shuffle("the fused tensor's rows are split into queries, keys and values rather than by head first",
          [=](std::int64_t row) {
            const std::int64_t part = row / d % 3, head = row / (3 * d);
            return part * heads * d + head * d + row % d;
          });
}

void suspect_turned_rows(const BlockLab& lab, const std::string& at, const Attention& attention,
                         const std::string& step, Hypotheses& out) {
  if (!attention.rope || attention.latent) return;
  const std::int64_t d = attention.d_qk, pairs = attention.rope->pairs;
  for (const bool to_halves : {true, false}) {
    for (const char* module : {"q", "k"}) {
      const std::string slot = at + module;
      if (!lab.base().weights.contains(slot + ".weight")) continue;
      const auto source = [=](std::int64_t row) {
        const std::int64_t head = row / d, j = row % d;
        if (j >= 2 * pairs) return row;
        return head * d + (to_halves ? j % pairs * 2 + j / pairs : j % 2 * pairs + j / 2);
      };
      add(out, step + "." + module, "rope",
          "the rows of " + slot_text(slot) + " are ordered for the rotation's other pairing", [=](BlockSetup& setup) {
            for (const char* leaf : {".weight", ".bias"}) reorder(setup, {slot}, leaf, source);
          });
    }
  }
}

void suspect_heads(const std::string& at, const Attention& attention, const std::string& step, Hypotheses& out) {
  if (attention.latent || attention.heads < 2) return;
  const auto reversed = [](std::int64_t d, std::int64_t heads) {
    return [=](std::int64_t row) { return (heads - 1 - row / d) * d + row % d; };
  };
  for (const auto& [module, heads, d] :
       {std::tuple{"q", attention.heads, attention.d_qk}, std::tuple{"k", attention.kv_heads, attention.d_qk},
        std::tuple{"v", attention.kv_heads, attention.d_v}}) {
    if (heads < 2) continue;
    add(out, step + "." + module, "weights",
        std::string("the heads of ") + step + "." + module + " are in reverse order",
        [slot = at + module, order = reversed(d, heads)](BlockSetup& setup) {
          for (const char* leaf : {".weight", ".bias"}) reorder(setup, {slot}, leaf, order);
        });
  }
}

void suspect_gates(const BlockLab& lab, const std::string& at, const std::string& step, Hypotheses& out) {
  if (!lab.base().weights.contains(at + "gate.weight") || !lab.base().weights.contains(at + "up.weight")) return;
  const std::int64_t rows = values_of(lab, at + "up.weight").outputs;
  for (const bool split : {true, false}) {
    add(out, step + ".act", "weights",
        split ? "the fused tensor of gate and up is read with their rows in turn"
              : "the fused tensor of gate and up is read as two halves though its rows are in turn",
        [=](BlockSetup& setup) {
          const auto source = [=](std::int64_t row) {
            return split ? row % rows * 2 + row / rows : row % 2 * rows + row / 2;
          };
          for (const char* leaf : {".weight", ".bias"}) reorder(setup, {at + "gate", at + "up"}, leaf, source);
        });
  }
}

void suspect_experts(const std::string& at, const std::string& step, const Experts& experts, Hypotheses& out) {
  const std::int64_t count = experts.router.experts;
  const auto name = [at](std::int64_t e, const char* leaf) { return at + "experts." + std::to_string(e) + "." + leaf; };
  add(out, step + ".act", "weights", "gate and up of the experts are exchanged", [=](BlockSetup& setup) {
    for (std::int64_t e = 0; e < count; ++e) {
      exchange(setup, name(e, "gate.weight"), name(e, "up.weight"));
      exchange(setup, name(e, "gate.bias"), name(e, "up.bias"));
    }
  });
  add(out, step + ".router", "weights", "the experts' numbers are off by one", [=](BlockSetup& setup) {
    for (const char* leaf : {".weight", ".bias"})
      reorder(setup, {at + "router"}, leaf, [count](std::int64_t row) { return (row + 1) % count; });
  });
  add(out, step + ".router", "weights", "the experts are in reverse order", [=](BlockSetup& setup) {
    for (const char* leaf : {".weight", ".bias"})
      reorder(setup, {at + "router"}, leaf, [count](std::int64_t row) { return count - 1 - row; });
  });
  if (!experts.bias) return;
  add(out, step + ".act", "bias", "the experts have no biases", [s = step](BlockSetup& setup) {
    for (Step& changed : setup.block().steps) {
      if (auto* mixer = std::get_if<Experts>(&changed.mixer); mixer != nullptr) mixer->bias = false;
    }
  });
}

}  // namespace

void suspect_weights(const BlockLab& lab, Hypotheses& out) {
  for_each_step(lab, [&](std::size_t, const Step& step) {
    const std::string at = "block.0." + step.slot + ".";
    const std::vector<std::string> modules = matrices(lab, at);
    suspect_pairs(lab, at, modules, out);
    if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
      suspect_fusions(lab, at, *attention, step.slot, out);
      suspect_turned_rows(lab, at, *attention, step.slot, out);
      suspect_heads(at, *attention, step.slot, out);
    }
    suspect_gates(lab, at, step.slot, out);
    if (const auto* experts = std::get_if<Experts>(&step.mixer)) suspect_experts(at, step.slot, *experts, out);
    for (const std::string& module : modules) suspect_one(lab, at, module, out);
    add(out, step.slot + ".out", "bias", "the biases of " + step.slot + " are left out", [at](BlockSetup& setup) {
      std::vector<std::string> biases;
      for (const auto& [slot, values] : setup.weights) {
        if (slot.starts_with(at) && slot.ends_with(".bias") && site_of_slot(slot).find(".in") == std::string::npos &&
            site_of_slot(slot).find(".sum") == std::string::npos)
          biases.push_back(slot);
      }
      for (const std::string& slot : biases) fill(setup, slot, 0);
    });
  });
  if (!lab.base().stack.projection) return;
  suspect_one(lab, "", "top_projection", out);
}

void suspect_other_weights(const BlockLab& lab, Hypotheses& out) {
  if (lab.base().stack.blocks.empty()) return;
  std::map<std::string, std::vector<std::string>> groups;  // what is taken over together
  std::map<std::string, std::string> sites;
  for (const auto& [slot, values] : lab.base().weights) {
    if (!slot.starts_with("block.0.") || slot.find(".experts.") != std::string::npos) continue;
    const std::string module = slot.substr(0, slot.rfind('.')), step = slot.substr(0, slot.find('.', 8));
    const auto join = [&](const std::string& name, const std::string& site) {
      groups[name].push_back(slot);
      sites[name] = site;
    };
    join(slot_text(slot), site_of_slot(slot));
    if (lab.base().weights.contains(module + ".bias")) join(slot_text(module), site_of_slot(slot));
    join(slot_text(step), slot_text(step) + ".out");
    join("the block", "out");
    if (module == step + ".q" || module == step + ".k" || module == step + ".v")
      join("queries, keys and values of " + slot_text(step), slot_text(step) + ".q");
  }
  for (const int block : neighbours(lab)) {
    for (const auto& [name, slots] : groups) {
      add(out, sites[name], "weights", name + " has the weights of block " + std::to_string(block),
          [&lab, block, slots = slots](BlockSetup& setup) {
            for (const std::string& slot : slots) {
              if (auto values = lab.elsewhere(block, slot)) setup.weights[slot] = std::move(values);
            }
          });
    }
  }
}

}  // namespace layerscope
