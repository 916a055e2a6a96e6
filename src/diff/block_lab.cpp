#include "diff/block_lab.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/try.h"
#include "diff/lab_run.h"
#include "engine/loader.h"
#include "kernels/scalar.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::int64_t kMostPositions = std::int64_t{1} << 26;  // elements of a table that is copied
constexpr std::int64_t kMostElements = std::int64_t{1} << 28;   // weights of a part
constexpr double kExactWork = 4e6;                              // products up to which float64 loops are quick enough

std::string slot_elsewhere(const std::string& slot, std::int64_t block) {
  constexpr std::string_view kOwn = "block.0.";
  if (!slot.starts_with(kOwn)) return slot;
  return "block." + std::to_string(block) + "." + slot.substr(kOwn.size());
}

std::int64_t owner(const Stack& stack, std::int64_t block) {
  return stack.blocks[static_cast<std::size_t>(block)].same_as.value_or(block);
}

std::shared_ptr<SlotValues> shaped(std::vector<float> values, std::int64_t outputs) {
  auto slot = std::make_shared<SlotValues>();
  slot->outputs = outputs;
  slot->inputs = outputs == 0 ? 0 : static_cast<std::int64_t>(values.size()) / outputs;
  slot->values = std::move(values);
  return slot;
}

double token_distance(const double* a, const double* b, std::int64_t width) {
  double apart = 0, size = 0;
  for (std::int64_t j = 0; j < width; ++j) {
    apart += (a[j] - b[j]) * (a[j] - b[j]);
    size += b[j] * b[j];
  }
  return size > 0 ? apart / size : apart > 0 ? 1 : 0;
}

double mean_distance(const std::vector<double>& a, const std::vector<double>& b, std::int64_t width) {
  if (a.size() != b.size() || b.empty()) return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (std::size_t at = 0; at < b.size(); at += static_cast<std::size_t>(width))
    sum += token_distance(a.data() + at, b.data() + at, width);
  return std::sqrt(sum * static_cast<double>(width) / static_cast<double>(b.size()));
}

}  // namespace

Result<std::unique_ptr<BlockLab>> BlockLab::make(const Model& live, const BlockEvidence& evidence,
                                                 std::int64_t most_tokens) try {
  std::unique_ptr<BlockLab> lab(new BlockLab(live));
  const ModelSpec& spec = live.state().spec;
  lab->stack_ = evidence.stack;
  if (!(evidence.stack == StackId::kEncoder ? spec.encoder : spec.decoder))
    return Error{ErrorCode::kUsage, "the model has no such stack"};
  const Stack& stack = spec.stack(evidence.stack);
  const auto blocks = static_cast<int>(stack.blocks.size());
  if (evidence.block < -1 || evidence.block > blocks)
    return Error{ErrorCode::kUsage,
                 "block " + std::to_string(evidence.block) + " of a stack of " + std::to_string(blocks) + " blocks"};
  lab->block_ = evidence.block;
  lab->at_end_ = evidence.block == blocks;
  lab->through_end_ = evidence.through_end && evidence.block + 1 == blocks;
  lab->width_ = spec.width;
  lab->output_width_ = lab->has_end() ? stack.final_width(spec.width) : spec.width;
  LAYERSCOPE_TRY(lab->check_rows(evidence));
  lab->take_rows(evidence, most_tokens);
  LAYERSCOPE_TRY(lab->take_part(evidence));
  double work = 0;
  for (const auto& [name, values] : lab->base_.weights) {
    if (values->inputs > 1 && !name.starts_with("embed.")) work += static_cast<double>(values->values.size());
  }
  const bool exact = work * static_cast<double>(lab->tokens_) < kExactWork;
  if (exact) {
    lab->backend_ = make_reference_backend(DType::kF64);
  } else {
    LAYERSCOPE_ASSIGN(lab->backend_, make_cpu_backend({}));
    lab->backend_->enter_worker();
  }
  lab->measure_noise(evidence.noise);
  return lab;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while looking for the cause of a difference"};
}

Status BlockLab::check_rows(const BlockEvidence& evidence) const {
  const Stack& stack = live_.state().spec.stack(stack_);
  const auto wrong = [&](const BlockEvidence::Row& row, const char* what) {
    return Error{ErrorCode::kUsage,
                 "row " + std::to_string(row.number) + ": " + what + " are not as wide as the model's"};
  };
  if (evidence.rows.empty()) return Error{ErrorCode::kUsage, "no rows to look at"};
  for (const BlockEvidence::Row& row : evidence.rows) {
    const std::size_t tokens = row.ids.size(), width = static_cast<std::size_t>(width_);
    const std::size_t padding = static_cast<std::size_t>(row.left_padding + row.right_padding);
    if (row.output.size() != tokens * static_cast<std::size_t>(output_width_)) return wrong(row, "the block's outputs");
    if (!is_embedding() && row.input.size() != tokens * width) return wrong(row, "the block's inputs");
    if (!row.padding_input.empty() && row.padding_input.size() != padding * width)
      return wrong(row, "the padding's inputs");
    const std::size_t encoder_padding = static_cast<std::size_t>(row.encoder_left + row.encoder_right);
    if (!row.encoder_padding.empty() && row.encoder_padding.size() != encoder_padding * width)
      return wrong(row, "the encoder's padding states");
    if (row.encoder.size() % width != 0) return wrong(row, "the encoder's states");
    if (!row.type_ids.empty() && row.type_ids.size() != tokens)
      return Error{ErrorCode::kUsage, "row " + std::to_string(row.number) + ": not one type id a token"};
    const bool known =
        std::ranges::all_of(row.ids, [&](std::int32_t id) { return id >= 0 && id < stack.embedding.vocabulary_size; });
    if (is_embedding() && !known)
      return Error{ErrorCode::kUsage, "row " + std::to_string(row.number) + ": a token outside of the vocabulary"};
  }
  return {};
}

// The longest row that is not too long, then rows as they come: those with padding first.
void BlockLab::take_rows(const BlockEvidence& evidence, std::int64_t most_tokens) {
  const auto length = [&](std::size_t row) { return static_cast<std::int64_t>(evidence.rows[row].ids.size()); };
  std::vector<std::size_t> order(evidence.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto rank = [&](std::size_t row) {
    return evidence.rows[row].left_padding + evidence.rows[row].right_padding > 0 ? 0 : 1;
  };
  std::ranges::stable_sort(order, {}, rank);
  std::size_t longest = order.front();
  for (const std::size_t row : order) {
    const bool fits = length(row) <= most_tokens, held = length(longest) <= most_tokens;
    if (fits ? !held || length(row) > length(longest) : !held && length(row) < length(longest)) longest = row;
  }
  std::erase(order, longest);
  order.insert(order.begin(), longest);
  for (const std::size_t row : order) {
    if (!rows_.empty() && tokens_ + length(row) > most_tokens) continue;
    if (length(row) == 0) continue;
    rows_.push_back(evidence.rows[row]);
    tokens_ += length(row);
  }
  for (const BlockEvidence::Row& row : rows_) expected_.insert(expected_.end(), row.output.begin(), row.output.end());
  base_.extents.resize(rows_.size());
  for (const BlockEvidence::Row& row : rows_) base_.type_ids.push_back(row.type_ids);
}

Status BlockLab::take_part(const BlockEvidence& evidence) {
  const ModelState& state = live_.state();
  const Stack& stack = state.spec.stack(stack_);
  if (is_embedding()) {
    base_.stack.embedding = stack.embedding;
  } else {
    base_.stack.embedding.vocabulary_size = 1;
    base_.stack.rotation = stack.rotation;
    base_.stack.relative_norm = stack.relative_norm;
    if (!at_end_) {
      base_.stack.blocks = {stack.blocks[static_cast<std::size_t>(evidence.block)]};
      base_.block().same_as.reset();
    }
    if (has_end()) {
      base_.stack.top = stack.top;
      base_.stack.projection = stack.projection;
    }
  }
  if (is_embedding()) take_embedding(stack);
  const std::string prefix = stack_prefix(state.spec, stack_);
  std::int64_t elements = 0;
  for (const Slot& slot : lab_slots(stack_, width_, base_.stack)) {
    if (base_.weights.contains(slot.name) || slot.name == "embed.token.weight") continue;
    if (slot.shape.elements() > kMostPositions)
      return Error{ErrorCode::kResource, "slot " + slot.name + " is too large to look for causes in"};
    std::shared_ptr<const SlotValues> values = elsewhere(at_end_ || is_embedding() ? 0 : block_, slot.name);
    if (!values) continue;
    elements += static_cast<std::int64_t>(values->values.size());
    base_.weights[slot.name] = std::move(values);
    if (elements > kMostElements)
      return Error{ErrorCode::kResource, "the part has too many weights to look for causes in"};
  }
  return {};
}

// Only the token rows that occur: ids become places among them.
void BlockLab::take_embedding(const Stack& stack) {
  Embedding& embedding = base_.stack.embedding;
  std::set<std::int32_t> used = {0};
  for (const BlockEvidence::Row& row : rows_) used.insert(row.ids.begin(), row.ids.end());
  const std::vector<std::int32_t> sorted(used.begin(), used.end());
  const auto place = [&](std::int64_t id) -> std::int64_t {
    const auto found = std::ranges::lower_bound(sorted, id);
    return found != sorted.end() && *found == id ? found - sorted.begin() : -1;
  };
  for (BlockEvidence::Row& row : rows_) {
    for (std::int32_t& id : row.ids) id = static_cast<std::int32_t>(place(id));
  }
  embedding.vocabulary_size = static_cast<std::int64_t>(sorted.size());
  if (embedding.rescale) embedding.rescale->mask_id = place(embedding.rescale->mask_id);
  if (embedding.positions && embedding.positions->skipped_id)
    embedding.positions->skipped_id = place(*embedding.positions->skipped_id);
  const ModelState& state = live_.state();
  const Binding* table = state.bindings.find(stack_prefix(state.spec, stack_) + "embed.token.weight");
  if (table == nullptr) return;
  const MatrixView& view = table->views.front();
  const std::int64_t width = stack.embedding.projection ? stack.embedding.projection->width : width_;
  std::vector<float> values;
  for (const std::int32_t id : sorted) {
    for (std::int64_t j = 0; j < width; ++j)
      values.push_back(load_element<float>(view.dtype, view.data, id * view.output_stride + j * view.input_stride));
  }
  base_.weights["embed.token.weight"] = shaped(std::move(values), embedding.vocabulary_size);
}

std::shared_ptr<const SlotValues> BlockLab::elsewhere(int block, const std::string& slot) const {
  const ModelState& state = live_.state();
  const Stack& stack = state.spec.stack(stack_);
  const std::string prefix = stack_prefix(state.spec, stack_);
  const std::string name = slot_elsewhere(slot, stack.blocks.empty() ? 0 : owner(stack, block));
  const Binding* binding = state.bindings.find(prefix + name);
  if (binding == nullptr || binding->slot.shape.rank() == 0) return nullptr;
  const std::unique_ptr<Backend> unused = make_reference_backend(DType::kF32);
  const Loader loader(state.bindings, *unused, prefix);
  return shaped(loader.elements(name), binding->slot.shape[0]);
}

void BlockLab::measure_noise(double given) {
  noise_ = given;
  const auto other = [&]() -> Result<std::unique_ptr<Backend>> {
    if (backend_->info().stream == DType::kF64) return make_cpu_backend({});
    return make_cpu_backend({.isa = cpu_isas().back()});
  }();
  if (!other) return;
  (*other)->enter_worker();
  const auto ours = run_on(*backend_, base_, ""), theirs = run_on(**other, base_, "");
  if (ours && theirs) noise_ = std::max(noise_, mean_distance(*theirs, *ours, output_width_));
}

std::string BlockLab::site_name(const std::string& site) const {
  const std::string prefix = stack_prefix(live_.state().spec, stack_);
  if (site == "embed" || site == "final") return prefix + site;
  return prefix + "block." + std::to_string(block_) + "." + site;
}

Result<std::vector<double>> BlockLab::run_on(const Backend& inner, const BlockSetup& setup,
                                             const std::string& site) const {
  const std::string wanted = !site.empty() ? site : is_embedding() ? "embed" : has_end() ? "final" : "block.0.out";
  return lab_run(inner, {.stack = stack_, .width = width_, .rows = rows_, .from_ids = is_embedding()}, setup, wanted);
}

Result<std::vector<double>> BlockLab::run(const BlockSetup& setup, const std::string& site) const {
  ++runs_;
  return run_on(*backend_, setup, site);
}

std::optional<double> BlockLab::inside_error(const std::string& site) const {
  std::vector<double> theirs;
  const std::string name = site_name(site);
  for (const BlockEvidence::Row& row : rows_) {
    const auto found = row.inside.find(name);
    if (found == row.inside.end()) return std::nullopt;
    theirs.insert(theirs.end(), found->second.begin(), found->second.end());
  }
  const auto ours = run(base_, "block.0." + site);
  if (!ours || ours->size() != theirs.size() || ours->empty()) return std::nullopt;
  return mean_distance(*ours, theirs, static_cast<std::int64_t>(theirs.size()) / tokens_);
}

double BlockLab::distance(const std::vector<double>& output) const {
  return mean_distance(output, expected_, output_width_);
}

double BlockLab::error(const BlockSetup& setup) const {
  const auto output = run(setup);
  return output ? distance(*output) : std::numeric_limits<double>::infinity();
}

}  // namespace layerscope
