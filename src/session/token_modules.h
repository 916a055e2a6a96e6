// What a folder says about the vectors of tokens: the modules behind its Transformer, and the settings of PyLate's and
// of ColBERT's own checkpoints.
//
// Facts: sentence_transformers 6.2, multi_vector_encoder/model.py (which reads those checkpoints too),
// multi_vector_encoder/modules/multi_vector_mask.py and base/modules/transformer.py (query_expansion).
#pragma once

#include <string>
#include <vector>

#include "layerscope/error.h"
#include "session/module_files.h"
#include "session/modules.h"

namespace layerscope {

/// One entry of modules.json.
struct ListedModule {
  std::string type;
  std::string folder;  ///< inside the model's
  /// "sentence_transformers.models.Dense" to "Dense".
  [[nodiscard]] std::string_view kind() const;
};

/// Reads the modules behind the first, none of which is a Pooling, and the keys of config_sentence_transformers.json
/// (`settings`, null where there is none) that PyLate writes. `list_path` is modules.json. Prompts are read already.
[[nodiscard]] Status read_token_modules(const std::vector<ListedModule>& list, const std::string& list_path,
                                        SettingsFile* settings, SentenceModules& modules);

/// Reads the keys of a Transformer's settings that concern tokens: lengths and query_expansion.
void read_token_lengths(SettingsFile& file, TokenVectors& tokens);

/// Reads a checkpoint of ColBERT's own kind: `linear.weight` beside the model's tensors, artifact.metadata.
[[nodiscard]] Status read_colbert(SentenceModules& modules);

/// Reads the token head of BGE-M3, colbert_linear.safetensors. False if there is none.
[[nodiscard]] Result<bool> read_token_head(SentenceModules& modules);

}  // namespace layerscope
