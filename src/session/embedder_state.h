// What an opened embedder consists of.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "session/embedder.h"
#include "session/modules.h"

namespace layerscope {

struct Embedder::State {
  std::string folder;
  std::shared_ptr<const Model> model;  ///< shared by those that with() made
  SentenceModules modules;
  std::vector<Pooling> own_pooling;  ///< the folder's, where `modules` has another
  EmbedOptions options;
  TapPlan plan;  ///< one stored site: the states that vectors are made of
  StackId stack = StackId::kEncoder;
  std::string prompt;
  std::int64_t skip = 0;  ///< tokens of the prompt that pooling leaves out
  std::int64_t width = 0;
  std::set<std::int32_t> skipped_ids;  ///< tokens without a vector of their own
  std::int32_t expansion_id = -1;      ///< what queries are expanded with, or -1

  /// What a pooled vector becomes.
  [[nodiscard]] std::vector<float> finished(std::span<const float> pooled) const;
  /// A module that applies: Normalize may be left out.
  [[nodiscard]] bool applies(const VectorModule& module) const;
  /// Tokens at the end of a row that no token attends to.
  [[nodiscard]] std::int64_t unattended(std::span<const std::int32_t> ids) const;
  /// The tokens that get a vector.
  [[nodiscard]] std::vector<std::int32_t> places(std::span<const std::int32_t> ids) const;
};

}  // namespace layerscope
