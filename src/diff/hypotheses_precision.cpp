#include <string_view>

#include "diff/hypotheses.h"

namespace layerscope {
namespace {

void round_slot(BlockSetup& setup, const std::string& slot, Rounding rounding) {
  SlotValues* values = setup.change(slot);
  if (values == nullptr) return;
  for (float& value : values->values) value = rounded(rounding, value);
}

bool is_matrix(const std::string& slot, const SlotValues& values) {
  return slot.ends_with(".weight") && values.inputs > 1 && !slot.starts_with("embed.");
}

// Which product a slot's matrix belongs to, and the site behind it.
struct Product {
  std::string slot, module, site;
  std::int64_t first = 0, count = 0;  // its outputs among the module's
};

// Where the outputs of a slot begin in a product of several matrices.
std::int64_t outputs_before(const BlockLab& lab, const std::string& at, const std::string& leaf) {
  std::int64_t before = 0;
  const auto skip = [&](std::initializer_list<const char*> parts) {
    for (const char* part : parts) {
      const auto found = lab.base().weights.find(at + part + ".weight");
      if (found != lab.base().weights.end()) before += found->second->outputs;
    }
  };
  if (leaf == "k") skip({"q"});
  if (leaf == "v") skip({"q", "k"});
  if (leaf == "up") skip({"gate"});
  return before;
}

std::vector<Product> products(const BlockLab& lab) {
  std::vector<Product> all;
  for_each_step(lab, [&](std::size_t, const Step& step) {
    for (const auto& [slot, values] : lab.base().weights) {
      const std::string at = "block.0." + step.slot + ".";
      if (!slot.starts_with(at) || !is_matrix(slot, *values)) continue;
      const std::string leaf = slot.substr(at.size(), slot.size() - at.size() - std::string(".weight").size());
      const bool attention = std::holds_alternative<Attention>(step.mixer);
      std::string module = "in", site = "act";
      if (leaf == "out" || leaf == "down")
        module = leaf, site = "out";
      else if (leaf == "router")
        module = leaf, site = "router";
      else if (attention)
        site = leaf == "q" || leaf == "k" || leaf == "v" ? leaf : "q";
      if (leaf == "k" || leaf == "v") {
        const auto* mixer = std::get_if<Attention>(&step.mixer);
        if (mixer != nullptr && mixer->keys == KeySource::kEncoder) module = "memory";
      }
      if (leaf.find("experts.") != std::string::npos) continue;
      std::int64_t first = outputs_before(lab, at, leaf);
      if (module == "memory") first -= lab.base().weights.at(at + "q.weight")->outputs;
      const bool part = module == "in" || module == "memory";
      all.push_back(
          {slot, step.slot + "." + module, step.slot + "." + site, part ? first : 0, part ? values->outputs : 0});
    }
  });
  return all;
}

void add(Hypotheses& out, const std::string& site, const std::string& says, std::function<void(BlockSetup&)> apply) {
  out.variants.push_back(
      {.site = site, .kind = "precision", .says = says, .apply = std::move(apply), .approximate = true});
}

void suspect_products(const BlockLab& lab, Rounding rounding, Hypotheses& out) {
  const std::string name = rounding_name(rounding);
  const std::vector<Product> all = products(lab);
  for (const Product& product : all) {
    const std::string what = product.slot.substr(std::string("block.0.").size(),
                                                 product.slot.size() - std::string("block.0..weight").size());
    add(out, product.site, "the weights of " + what + " are rounded to " + name,
        [product, rounding](BlockSetup& setup) { round_slot(setup, product.slot, rounding); });
    for (const bool output : {false, true}) {
      add(out, product.site, "the product with " + what + " is done in " + name + (output ? ", its result too" : ""),
          [product, rounding, output](BlockSetup& setup) {
            round_slot(setup, product.slot, rounding);
            std::string bias = product.slot;
            bias.replace(bias.size() - 6, 6, "bias");
            if (output) round_slot(setup, bias, rounding);
            setup.products[product.module] = {.input = rounding,
                                              .output = output ? rounding : Rounding::kNone,
                                              .first = product.first,
                                              .count = product.count};
          });
    }
    add(out, product.site, "the result of the product with " + what + " is rounded to " + name,
        [product, rounding](BlockSetup& setup) {
          setup.products[product.module] = {.output = rounding, .first = product.first, .count = product.count};
        });
    add(out, product.site, "the input of the product with " + what + " is rounded to " + name,
        [product, rounding](BlockSetup& setup) {
          setup.products[product.module] = {.input = rounding, .first = product.first, .count = product.count};
        });
  }
}

// Everything that runs in a narrow type under automatic mixed precision, or all of it.
struct Whole {
  bool inputs = false, outputs = false, attention = false, probabilities = false, scores = false, norms = false,
       stream = false;
};

void apply_whole(const BlockLab& lab, BlockSetup& setup, const std::string& only, Rounding rounding,
                 const Whole& whole) {
  const std::vector<Product> all = products(lab);
  for (const Product& product : all) {
    if (!only.empty() && !product.module.starts_with(only + ".")) continue;
    round_slot(setup, product.slot, rounding);
    std::string bias = product.slot;
    bias.replace(bias.size() - 6, 6, "bias");
    if (whole.outputs) round_slot(setup, bias, rounding);
    if (whole.inputs) setup.products[product.module].input = rounding;
    if (whole.outputs) setup.products[product.module].output = rounding;
  }
  for (const Step& step : setup.stack.blocks.front().steps) {
    if (!only.empty() && step.slot != only) continue;
    if (whole.attention && std::holds_alternative<Attention>(step.mixer)) {
      AttentionChange& change = setup.attentions[step.slot];
      change.operands = change.values = change.output = rounding;
      if (whole.probabilities) change.probabilities = rounding;
      if (whole.scores) change.scores = rounding;
    }
    for (const char* part : {".pre", ".post", ".after"}) {
      const bool of_result = whole.outputs && part == std::string_view(".post");  // it takes its input's type
      if (whole.norms || of_result) setup.norms[step.slot + part].output = rounding;
    }
  }
  if (whole.outputs) setup.gates = rounding;
  if (whole.stream) setup.stream = rounding;
}

void suspect_whole(const BlockLab& lab, Rounding rounding, Hypotheses& out) {
  const std::string name = rounding_name(rounding);
  const auto whole = [&](const std::string& site, const std::string& only, const std::string& says, const Whole& how) {
    add(out, site, says,
        [&lab, only, rounding, how](BlockSetup& setup) { apply_whole(lab, setup, only, rounding, how); });
  };
  std::vector<std::string> steps = {""};
  for_each_step(lab, [&](std::size_t, const Step& step) { steps.push_back(step.slot); });
  for (const std::string& only : steps) {
    const std::string site = only.empty() ? "out" : only + ".out", what = only.empty() ? "the block" : only;
    whole(site, only, "the weights of " + what + " are rounded to " + name, {});
    whole(site, only, "the products of " + what + " are done in " + name, {.inputs = true});
    whole(site, only, "the products of " + what + " are done in " + name + ", their results too",
          {.inputs = true, .outputs = true});
    const std::string mixed = what + " is done in " + name + " but for its norms and softmax";
    whole(site, only, mixed, {.inputs = true, .outputs = true, .attention = true});
    whole(site, only, mixed, {.inputs = true, .outputs = true, .attention = true, .probabilities = true});
    whole(site, only, mixed,
          {.inputs = true, .outputs = true, .attention = true, .probabilities = true, .scores = true});
    whole(site, only, what + " is done in " + name,
          {.inputs = true,
           .outputs = true,
           .attention = true,
           .probabilities = true,
           .scores = true,
           .norms = true,
           .stream = only.empty()});
  }
  add(out, "out", "the stream is rounded to " + name + " before the block",
      [rounding](BlockSetup& setup) { setup.input = rounding; });
  add(out, "out", "the stream is rounded to " + name, [rounding](BlockSetup& setup) { setup.stream = rounding; });
  for_each_mixer<Attention>(lab, [&](std::size_t, const Step& step, const Attention&) {
    add(out, step.slot + ".q", "queries and keys are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) { setup.attentions[slot].operands = rounding; });
    add(out, step.slot + ".v", "values are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) { setup.attentions[slot].values = rounding; });
    add(out, step.slot + ".q", "queries, keys and values are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) {
          setup.attentions[slot].operands = setup.attentions[slot].values = rounding;
        });
    add(out, step.slot + ".probs", "the scores are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) { setup.attentions[slot].scores = rounding; });
    add(out, step.slot + ".probs", "attention's probabilities are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) { setup.attentions[slot].probabilities = rounding; });
    add(out, step.slot + ".z", "the heads' outputs are rounded to " + name,
        [slot = step.slot, rounding](BlockSetup& setup) { setup.attentions[slot].output = rounding; });
  });
  for_each_step(lab, [&](std::size_t, const Step& step) {
    for (const auto& [part, site, norm] :
         {std::tuple{".pre", ".in", &step.pre}, std::tuple{".post", ".out", &step.post},
          std::tuple{".after", ".sum", &step.after}}) {
      if (!*norm) continue;
      add(out, step.slot + site, "the norm " + step.slot + part + " is done in " + name,
          [m = step.slot + part, rounding](BlockSetup& setup) {
            setup.norms[m].input = setup.norms[m].output = rounding;
          });
      add(out, step.slot + site, "what the norm " + step.slot + part + " makes is rounded to " + name,
          [m = step.slot + part, rounding](BlockSetup& setup) { setup.norms[m].output = rounding; });
    }
  });
}

}  // namespace

void suspect_precision(const BlockLab& lab, Hypotheses& out) {
  for (const Rounding rounding : {Rounding::kBF16, Rounding::kF16}) {
    if (!lab.base().stack.blocks.empty()) {
      suspect_whole(lab, rounding, out);
      suspect_products(lab, rounding, out);
    }
    if (lab.base().stack.top) {
      add(out, "final", "what the final norm makes is rounded to " + rounding_name(rounding),
          [rounding](BlockSetup& setup) { setup.norms["top"].output = rounding; });
      add(out, "final", "the final norm is done in " + rounding_name(rounding),
          [rounding](BlockSetup& setup) { setup.norms["top"].input = setup.norms["top"].output = rounding; });
    }
    if (!lab.is_embedding()) continue;
    for (const auto& [slot, values] : lab.base().weights) {
      add(out, "embed", "the table " + slot + " is rounded to " + rounding_name(rounding),
          [slot, rounding](BlockSetup& setup) { round_slot(setup, slot, rounding); });
    }
    add(out, "embed", "all tables are rounded to " + rounding_name(rounding), [rounding](BlockSetup& setup) {
      std::vector<std::string> slots;
      for (const auto& [slot, values] : setup.weights) slots.push_back(slot);
      for (const std::string& slot : slots) round_slot(setup, slot, rounding);
    });
    if (lab.base().stack.embedding.norm)
      add(out, "embed", "what the embedding's norm makes is rounded to " + rounding_name(rounding),
          [rounding](BlockSetup& setup) { setup.norms["embed.norm"].output = rounding; });
  }
}

}  // namespace layerscope
