#include "diff/lab_run.h"

#include <algorithm>

#include "base/try.h"
#include "diff/lab_backend.h"
#include "engine/pass.h"
#include "kernels/scalar.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

Error unusable(const std::string& why) { return Error{ErrorCode::kUsage, "the setup cannot be run: " + why}; }

ModelSpec lab_spec(StackId id, std::int64_t width, const Stack& stack) {
  ModelSpec spec{.width = width};
  (id == StackId::kEncoder ? spec.encoder : spec.decoder) = stack;
  for (Block& block : (id == StackId::kEncoder ? spec.encoder : spec.decoder)->blocks) {
    const Step* owner = nullptr;
    for (Step& step : block.steps) {
      if (step.same_pre && owner != nullptr)
        step.pre = owner->pre;  // a change of a shared norm is one of all its uses
      else
        owner = &step;
    }
  }
  return spec;
}

// Slots filled from the setup; `filler` keeps what had to be made up.
Result<Bindings> fill(const ModelSpec& spec, const WeightMap& weights, WeightMap& filler) {
  Bindings bindings;
  for (Slot& slot : slots_of(spec)) {
    auto found = weights.find(slot.name);
    if (found == weights.end()) {
      if (slot.optional) continue;
      const bool bias = slot.name.ends_with(".bias"), unused = slot.name == "embed.token.weight";
      if (!unused && slot.kind != SlotKind::kVector) return unusable(slot.name + " is not there");
      auto made = std::make_shared<SlotValues>();
      made->outputs = slot.shape[0];
      made->inputs = slot.shape.elements() / std::max<std::int64_t>(slot.shape[0], 1);
      made->values.assign(static_cast<std::size_t>(slot.shape.elements()), bias || unused ? 0.0F : 1.0F);
      found = filler.emplace(slot.name, std::move(made)).first;
    }
    const SlotValues& values = *found->second;
    if (slot.shape.rank() == 0 || slot.shape.elements() != static_cast<std::int64_t>(values.values.size()) ||
        slot.shape[0] == 0)
      return unusable(slot.name + " is of another size");
    const std::int64_t inputs = slot.shape.elements() / slot.shape[0];
    const MatrixView view{.dtype = DType::kF32,
                          .data = reinterpret_cast<const std::byte*>(values.values.data()),
                          .outputs = slot.shape[0],
                          .inputs = inputs,
                          .output_stride = inputs,
                          .input_stride = 1};
    bindings.bound.push_back({.slot = std::move(slot), .tensor = nullptr, .cut = {}, .views = {view}});
  }
  return bindings;
}

// A batch of the rows with the padding that takes part.
class LabBatch {
 public:
  LabBatch(const LabInput& input, const BlockSetup& setup) : input_(input), setup_(setup) {}

  Status make() {
    Batch::Input& own = batch.inputs[static_cast<std::size_t>(input_.stack)];
    for (std::size_t r = 0; r < input_.rows.size(); ++r) {
      const BlockEvidence::Row& row = input_.rows[r];
      const RowExtent extent = r < setup_.extents.size() ? setup_.extents[r] : RowExtent();
      if (!input_.from_ids) LAYERSCOPE_TRY(append_states(row, extent));
      append_ids(row, extent, r < setup_.type_ids.size() ? setup_.type_ids[r] : std::vector<std::uint8_t>());
      own.offsets.push_back(static_cast<std::int64_t>(own.ids.size()));
      batch.rows.push_back(row.number);
      batch.tags.push_back(r);
    }
    if (input_.stack == StackId::kDecoder) LAYERSCOPE_TRY(append_memory());
    return check_tables();
  }

  /// The rows' own tokens of values [tokens of the batch, width].
  [[nodiscard]] std::vector<double> without_padding(const std::vector<double>& values, std::int64_t width) const {
    std::vector<double> kept;
    const auto& offsets = batch.inputs[static_cast<std::size_t>(input_.stack)].offsets;
    for (std::size_t r = 0; r < input_.rows.size(); ++r) {
      const std::int64_t left = r < setup_.extents.size() ? setup_.extents[r].left : 0;
      const auto first = values.begin() + (offsets[r] + left) * width;
      kept.insert(kept.end(), first, first + static_cast<std::int64_t>(input_.rows[r].ids.size()) * width);
    }
    return kept;
  }

  [[nodiscard]] RowsView stream() const { return view(stream_); }
  [[nodiscard]] RowsView memory() const { return view(memory_); }

  Batch batch;

 private:
  [[nodiscard]] RowsView view(const std::vector<float>& values) const {
    return {.data = reinterpret_cast<const std::byte*>(values.data()),
            .rows = static_cast<std::int64_t>(values.size()) / input_.width,
            .width = input_.width,
            .stride = input_.width};
  }

  Status append_states(const BlockEvidence::Row& row, const RowExtent& extent) {
    const bool known =
        !row.padding_input.empty() && extent.left <= row.left_padding && extent.right <= row.right_padding;
    if (extent.left + extent.right > 0 && !known) return unusable("nothing is known of the padding");
    const auto padding = row.padding_input.begin();
    const std::int64_t behind = known ? row.left_padding : 0, first = behind - extent.left;
    stream_.insert(stream_.end(), padding + first * input_.width, padding + (first + extent.left) * input_.width);
    stream_.insert(stream_.end(), row.input.begin(), row.input.end());
    stream_.insert(stream_.end(), padding + behind * input_.width, padding + (behind + extent.right) * input_.width);
    for (float& value : stream_) value = rounded(setup_.input, value);
    return {};
  }

  void append_ids(const BlockEvidence::Row& row, const RowExtent& extent, const std::vector<std::uint8_t>& types) {
    Batch::Input& own = batch.inputs[static_cast<std::size_t>(input_.stack)];
    own.ids.resize(own.ids.size() + static_cast<std::size_t>(extent.left), 0);
    own.type_ids.resize(own.ids.size(), 0);
    own.ids.insert(own.ids.end(), row.ids.begin(), row.ids.end());
    own.type_ids.insert(own.type_ids.end(), types.begin(), types.end());
    own.ids.resize(own.ids.size() + static_cast<std::size_t>(extent.right), 0);
    own.type_ids.resize(own.ids.size(), 0);
  }

  Status append_memory() {
    for (std::size_t r = 0; r < input_.rows.size(); ++r) {
      const BlockEvidence::Row& row = input_.rows[r];
      const RowExtent extent = r < setup_.extents.size() ? setup_.extents[r] : RowExtent();
      const bool known = !row.encoder_padding.empty() && extent.encoder_left <= row.encoder_left &&
                         extent.encoder_right <= row.encoder_right;
      if (extent.encoder_left + extent.encoder_right > 0 && !known)
        return unusable("nothing is known of the encoder's padding");
      const auto padding = row.encoder_padding.begin();
      const std::int64_t behind = known ? row.encoder_left : 0;
      memory_.insert(memory_.end(), padding + (behind - extent.encoder_left) * input_.width,
                     padding + behind * input_.width);
      memory_.insert(memory_.end(), row.encoder.begin(), row.encoder.end());
      memory_.insert(memory_.end(), padding + behind * input_.width,
                     padding + (behind + extent.encoder_right) * input_.width);
      batch.inputs[0].offsets.push_back(static_cast<std::int64_t>(memory_.size()) / input_.width);
    }
    return {};
  }

  // Nothing is looked up that is not there.
  [[nodiscard]] Status check_tables() const {
    if (!input_.from_ids) return {};
    const Batch::Input& own = batch.inputs[static_cast<std::size_t>(input_.stack)];
    const Embedding& embedding = setup_.stack.embedding;
    const auto most = own.type_ids.empty() ? 0 : *std::ranges::max_element(own.type_ids);
    if (embedding.types > 0 && most >= embedding.types) return unusable("type ids beyond their table");
    if (!embedding.positions) return {};
    for (std::size_t r = 0; r + 1 < own.offsets.size(); ++r) {
      if (own.offsets[r + 1] - own.offsets[r] + embedding.positions->offset > embedding.positions->rows)
        return unusable("positions beyond their table");
    }
    if (embedding.positions->offset < (embedding.positions->skipped_id ? 1 : 0))
      return unusable("positions before their table");
    return {};
  }

  const LabInput& input_;
  const BlockSetup& setup_;
  std::vector<float> stream_, memory_;
};

// Puts the frames of one site end to end.
class Gather final : public Observer {
 public:
  Gather(std::int64_t tokens, std::int64_t width)
      : width_(width), values_(static_cast<std::size_t>(tokens * width), 0.0) {}
  Status observe(const Frame& frame) override {
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      for (std::int64_t j = 0; j < width_; ++j)
        values_[static_cast<std::size_t>((frame.first + i) * width_ + j)] =
            load_element<double>(frame.rows.dtype, frame.rows.data, i * frame.rows.stride + j);
    }
    return {};
  }
  [[nodiscard]] const std::vector<double>& values() const noexcept { return values_; }

 private:
  std::int64_t width_;
  std::vector<double> values_;
};

}  // namespace

std::vector<Slot> lab_slots(StackId id, std::int64_t width, const Stack& stack) {
  return slots_of(lab_spec(id, width, stack));
}

Result<std::vector<double>> lab_run(const Backend& inner, const LabInput& input, const BlockSetup& setup,
                                    const std::string& site) {
  const ModelSpec spec = lab_spec(input.stack, input.width, setup.stack);
  const SiteTable sites = enumerate_sites(spec);
  const Site* wanted = sites.find(site);
  if (wanted == nullptr || wanted->width <= 0 || wanted->cross) return unusable("it has no site " + site);
  WeightMap filler;
  LAYERSCOPE_ASSIGN(const Bindings bindings, fill(spec, setup.weights, filler));
  LabBackend backend(inner, setup);
  LAYERSCOPE_ASSIGN(const ModelWeights weights, load_weights(spec, bindings, backend));
  const StackWeights& loaded = input.stack == StackId::kEncoder ? weights.encoder : weights.decoder;
  backend.name(spec.stack(input.stack), loaded);
  LabBatch rows(input, setup);
  LAYERSCOPE_TRY(rows.make());
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(sites, {.sites = site}));
  Gather values(rows.batch.tokens(input.stack), wanted->width);
  RunOptions options;
  if (!input.from_ids) options.start = StartPoint{.stack = input.stack, .stream = rows.stream()};
  Workspace workspace(backend);
  MutableRows memory;
  if (rows.memory().rows > 0) {
    memory = workspace.memory.rows(backend.info().operand, rows.memory().rows, input.width);
    backend.convert(rows.memory(), memory);
  }
  const bool reads_memory = std::ranges::any_of(
      setup.stack.blocks, [](const Block& block) { return std::ranges::any_of(block.steps, reads_encoder); });
  if (reads_memory && memory.rows == 0) return unusable("the encoder's states are not known");
  StackPass pass(backend, spec, spec.stack(input.stack), loaded, input.stack, rows.batch, plan, values, options,
                 workspace);
  LAYERSCOPE_TRY(pass.run(plan.depth(input.stack), &memory));
  return rows.without_padding(values.values(), wanted->width);
}

}  // namespace layerscope
