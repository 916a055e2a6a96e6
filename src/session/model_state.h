// What an opened model consists of; for front ends that show its insides.
#pragma once

#include <memory>
#include <set>

#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "layerscope/model.h"
#include "tokenizer/tokenizer.h"

namespace layerscope {

struct ModelState {
  ModelInfo info;
  ModelSpec spec;
  SiteTable sites;
  std::unique_ptr<Checkpoint> checkpoint;
  Bindings bindings;
  std::unique_ptr<Tokenizer> tokenizer;  ///< null for a folder without one that can be built exactly
  std::string no_tokenizer;              ///< why it is null
  std::set<std::int32_t> special_ids;    ///< that config.json names; used where there is no tokenizer
  std::string no_head;                   ///< why there is no head over the vocabulary; empty where spec has one
  std::string no_labels;                 ///< likewise, over labels
  std::unique_ptr<Engine> engine;        ///< null when opened without weights

  /// The stack that reads a row's main tokens.
  [[nodiscard]] const Stack& main_stack() const noexcept { return spec.encoder ? *spec.encoder : *spec.decoder; }
};

}  // namespace layerscope
