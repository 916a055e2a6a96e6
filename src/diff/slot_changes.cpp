#include "diff/slot_changes.h"

#include <algorithm>
#include <cstdlib>

#include "diff/hypotheses.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostNeighbours = 12, kFewNeighbours = 4;
constexpr double kLargeBlock = 3e6;  // elements of a block of which every run takes long

// [rows, columns] -> [columns, rows]
std::vector<float> turned(const std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  std::vector<float> out(values.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j)
      out[static_cast<std::size_t>(j * rows + i)] = values[static_cast<std::size_t>(i * columns + j)];
  }
  return out;
}

}  // namespace

void transpose(BlockSetup& setup, const std::string& slot) { reread(setup, slot); }

void reread(BlockSetup& setup, const std::string& slot) {
  if (SlotValues* values = setup.change(slot)) values->values = turned(values->values, values->outputs, values->inputs);
}

void reread_back(BlockSetup& setup, const std::string& slot) {
  if (SlotValues* values = setup.change(slot)) values->values = turned(values->values, values->inputs, values->outputs);
}

void fill(BlockSetup& setup, const std::string& slot, float value) {
  if (SlotValues* values = setup.change(slot)) std::ranges::fill(values->values, value);
}

void multiply(BlockSetup& setup, const std::string& slot, double factor) {
  SlotValues* values = setup.change(slot);
  if (values == nullptr) return;
  for (float& value : values->values) value = static_cast<float>(value * factor);
}

void exchange(BlockSetup& setup, const std::string& one, const std::string& two) {
  const auto a = setup.weights.find(one), b = setup.weights.find(two);
  if (a != setup.weights.end() && b != setup.weights.end()) std::swap(a->second, b->second);
}

void copy(BlockSetup& setup, const std::string& from, const std::string& to) {
  const auto a = setup.weights.find(from), b = setup.weights.find(to);
  if (a != setup.weights.end() && b != setup.weights.end()) b->second = a->second;
}

void reorder(BlockSetup& setup, const std::vector<std::string>& modules, const std::string& leaf,
             const std::function<std::int64_t(std::int64_t)>& source) {
  struct Row {
    std::shared_ptr<const SlotValues> tensor;
    std::int64_t row = 0;
  };
  std::vector<Row> rows;
  for (const std::string& module : modules) {
    const auto found = setup.weights.find(module + leaf);
    if (found == setup.weights.end()) return;
    for (std::int64_t row = 0; row < found->second->outputs; ++row) rows.push_back({found->second, row});
  }
  std::int64_t at = 0;
  for (const std::string& module : modules) {
    SlotValues* values = setup.change(module + leaf);
    for (std::int64_t row = 0; row < values->outputs; ++row, ++at) {
      const Row& from = rows[static_cast<std::size_t>(source(at)) % rows.size()];
      std::copy_n(from.tensor->values.begin() + from.row * values->inputs, values->inputs,
                  values->values.begin() + row * values->inputs);
    }
  }
}

std::string slot_text(const std::string& slot) {
  constexpr std::string_view kOwn = "block.0.";
  return slot.starts_with(kOwn) ? slot.substr(kOwn.size()) : slot;
}

std::vector<int> neighbours(const BlockLab& lab) {
  const auto blocks = static_cast<int>(lab.live().state().spec.stack(lab.stack()).blocks.size());
  std::vector<int> others;
  for (int block = 0; block < blocks; ++block) {
    if (block != lab.block()) others.push_back(block);
  }
  std::ranges::stable_sort(others, {}, [&](int block) { return std::abs(block - lab.block()); });
  double elements = 0;
  for (const auto& [slot, values] : lab.base().weights) elements += static_cast<double>(values->values.size());
  const std::size_t most = elements > kLargeBlock ? kFewNeighbours : kMostNeighbours;
  if (others.size() > most) others.resize(most);
  return others;
}

std::string site_of_slot(const std::string& slot) {
  if (slot.starts_with("embed.")) return "embed";
  if (slot.starts_with("top")) return "final";
  if (!slot.starts_with("block.0.")) return "attn.probs";
  const std::string text = slot_text(slot);
  const std::size_t dot = text.find('.');
  const std::string step = text.substr(0, dot), rest = text.substr(dot + 1);
  const auto begins = [&](const char* part) { return rest.starts_with(part); };
  const auto site = [&](const char* point) { return step + "." + point; };
  if (begins("pre.")) return site("in");
  if (begins("after.")) return site("sum");
  if (begins("post.") || begins("out.") || begins("down.") || begins("taps.") || begins("in.")) return site("out");
  if (begins("q_norm") || begins("q.") || begins("q_")) return site("q");
  if (begins("k_norm") || begins("k.") || begins("kv_")) return site("k");
  if (begins("v.")) return site("v");
  if (begins("router")) return site("router");
  if (begins("position_") || begins("score") || begins("sinks")) return site("probs");
  if (rest.ends_with("down.weight") || rest.ends_with("down.bias")) return site("out");
  return site("act");
}

}  // namespace layerscope
