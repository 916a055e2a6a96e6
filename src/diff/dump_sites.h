// Which of a dump's tensors hold states, and what we call them.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/source.h"
#include "diff/side.h"

namespace layerscope {

/// A tensor of states.
struct DumpSite {
  SideSite site;
  const SourceTensor* tensor = nullptr;
};

struct DumpSites {
  std::vector<DumpSite> sites;  ///< in the order of computation
  std::array<int, 2> layers{};  ///< highest state of each stack
  bool two_stacks = false;
  StackId main = StackId::kEncoder;  ///< the stack that `input_ids` is for
  std::vector<std::string> unknown;  ///< names of tensors that are neither states nor inputs
};

/// Reads the names of a dump: `hidden_states.{k}`, `encoder_hidden_states.{k}`, `decoder_hidden_states.{k}`, `logits`,
/// and names of our sites. Errors: kRuntime with `path` for names that contradict each other.
[[nodiscard]] Result<DumpSites> find_dump_sites(const TensorSource& dump, const SiteTable* like,
                                                const std::string& path);

}  // namespace layerscope
