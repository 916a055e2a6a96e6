// Site tables made by hand, for tests of plans and reductions.
#pragma once

#include <string>

#include "layerscope/tap.h"
#include "spec/spec.h"
#include "tap/sites.h"

namespace layerscope::testing {

inline Step attention_step(std::string slot, std::int64_t width, KeySource keys) {
  return {.slot = std::move(slot),
          .mixer = Attention{.heads = 2, .kv_heads = 1, .d_qk = width / 2, .d_v = width / 2, .keys = keys}};
}

inline Stack stack_of(int layers, std::int64_t width, bool top, bool cross = false) {
  Block block;
  block.steps.push_back(attention_step("attn", width, cross ? KeySource::kSelfCausal : KeySource::kSelf));
  if (cross) block.steps.push_back(attention_step("cross", width, KeySource::kEncoder));
  block.steps.push_back({.slot = "mlp", .mixer = Mlp{.hidden = 2 * width}});
  Stack stack{.blocks = repeat(layers, block)};
  if (top) stack.top = Norm{.epsilon = 1e-5F};
  return stack;
}

/// An encoder of `layers` blocks with or without a final norm.
inline SiteTable one_stack(int layers, bool top, std::int64_t width = 4) {
  return enumerate_sites({.width = width, .encoder = stack_of(layers, width, top)});
}

/// An encoder of 2 blocks and a decoder of 3, both with final norms.
inline SiteTable two_stacks(std::int64_t width = 4) {
  return enumerate_sites({.width = width,
                          .encoder = stack_of(2, width, true),
                          .decoder = stack_of(3, width, true, true),
                          .decoder_start = DecoderStart{}});
}

}  // namespace layerscope::testing
