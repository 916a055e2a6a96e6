// What a folder says about sparse vectors.
//
// Facts: sentence_transformers 6.2, sparse_encoder/model.py and sparse_encoder/modules/splade_pooling.py; the lexical
// weights of BGE-M3 as in FlagEmbedding, inference/embedder/encoder_only/m3.py.
#pragma once

#include <string>
#include <vector>

#include "layerscope/error.h"
#include "session/module_files.h"
#include "session/modules.h"
#include "session/token_modules.h"

namespace layerscope {

/// Reads a SparseEncoder's modules behind the first, among them SpladePooling, and its keys of
/// config_sentence_transformers.json (`settings`, null where there is none).
[[nodiscard]] Status read_sparse_modules(const std::vector<ListedModule>& list, const std::string& list_path,
                                         SettingsFile* settings, SentenceModules& modules);

/// Reads the sparse head of BGE-M3, sparse_linear.safetensors. False if there is none.
[[nodiscard]] Result<bool> read_sparse_head(SentenceModules& modules);

}  // namespace layerscope
