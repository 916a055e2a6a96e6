// Any bytes as config.json: whatever is accepted describes a model that can be laid out, observed and printed.
// Seeds: tests/golden/*/config.json
// Covers: src/spec/config.cpp src/spec/config_rope.cpp src/spec/slots.cpp src/spec/rope.cpp src/spec/validate.cpp
#include <cmath>

#include "family/registry.h"
#include "fuzz/check.h"
#include "spec/bind.h"
#include "spec/labels.h"
#include "spec/validate.h"
#include "tap/sites.h"

using namespace layerscope;

namespace {

constexpr std::size_t kFewBlocks = 8;

void check_rope(const Rope& rope) {
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{5000}}) {
    const FixedFrequencies frequencies = frequencies_for(rope, length);
    fuzz::check(static_cast<std::int64_t>(frequencies.inverse.size()) == rope.pairs);
    fuzz::check(std::isfinite(frequencies.magnitude));
    fuzz::check(!length_independent(rope) || frequencies.inverse == frequencies_for(rope, 1).inverse);
    for (const float frequency : frequencies.inverse) fuzz::check(std::isfinite(frequency));
  }
}

void check_attention(const Attention& attention) {
  fuzz::check(attention.heads >= 1 && attention.kv_heads >= 1 && attention.heads % attention.kv_heads == 0);
  fuzz::check(attention.d_qk >= 1 && attention.d_v >= 1 && std::isfinite(attention.scale));
  fuzz::check(!attention.window || *attention.window >= 1);
  if (attention.rope) check_rope(*attention.rope);
}

std::size_t check_stack(const Stack& stack) {
  fuzz::check(!stack.blocks.empty() && stack.blocks.size() <= static_cast<std::size_t>(kMaxLayers));
  for (const Step& step : stack.blocks.front().steps) {
    if (const auto* attention = std::get_if<Attention>(&step.mixer)) check_attention(*attention);
  }
  return stack.blocks.size();
}

void check_spec(const ModelSpec& spec) {
  fuzz::check(spec.width >= 1 && spec.width <= kMaxConfigSize && (spec.encoder || spec.decoder));
  std::size_t blocks = 0;
  for (const auto* stack : {&spec.encoder, &spec.decoder}) {
    if (*stack) blocks += check_stack(**stack);
  }
  if (blocks > kFewBlocks) return;
  for (const Slot& slot : slots_of(spec)) {
    fuzz::check(slot.shape.rank() == (slot.kind == SlotKind::kVector ? 1U : 2U));
    fuzz::check(slot.experts <= 1 << 17);
    for (std::size_t i = 0; i < slot.shape.rank(); ++i) fuzz::check(slot.shape[i] >= 1);
  }
  const SiteTable table = enumerate_sites(spec);
  fuzz::check(table.sites.size() >= blocks + 2);
  for (const Site& site : table.sites) fuzz::check(!site.name.empty() && (site.width >= 1 || site.heads >= 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto json = parse_json(fuzz::text_of(data, size), "f", ErrorCode::kModel);
  if (!json.ok() || json->object() == nullptr) return 0;
  Config config(std::move(*json), "f");
  const Family* family = family_of(config.model_type());
  if (family == nullptr) return 0;
  const ModelSpec spec = describe_model(*family, config);
  if (const Status status = config.finish(); !status.ok()) {
    fuzz::check_error(status.error(), ErrorCode::kModel, "f");
    return 0;
  }
  if (const Status status = validate(spec, "f"); !status.ok()) {
    fuzz::check_error(status.error(), ErrorCode::kModel, "f");
    return 0;
  }
  check_spec(spec);
  return 0;
}
