#include "session/sparse_modules.h"

#include "base/try.h"
#include "base/utf8.h"
#include "session/module_readers.h"

namespace layerscope {
namespace {

Result<SpladeHead> read_splade(const std::string& path) {
  LAYERSCOPE_ASSIGN(SettingsFile file, SettingsFile::open(path));
  file.expect_only(
      {"pooling_strategy", "activation_function", "embedding_dimension", "word_embedding_dimension", "chunk_size"});
  SpladeHead head{.config = path};
  const std::string how = file.text("pooling_strategy", "max");
  head.sum = how == "sum";
  if (how != "max" && how != "sum")
    file.refuse("pooling_strategy", "is \"" + printable(how) + "\", known are max and sum");
  const std::string activation = file.text("activation_function", "relu");
  head.twice = activation == "log1p_relu";
  if (activation != "relu" && activation != "log1p_relu")
    file.refuse("activation_function", "is \"" + printable(activation) + "\", known are relu and log1p_relu");
  const std::optional<std::int64_t> old_dimension = file.size("word_embedding_dimension");
  head.dimension = file.size("embedding_dimension");
  if (!head.dimension) head.dimension = old_dimension;
  LAYERSCOPE_TRY(file.status());
  return head;
}

}  // namespace

Status read_sparse_modules(const std::vector<ListedModule>& list, const std::string& list_path, SettingsFile* settings,
                           SentenceModules& modules) {
  if (list.size() != 2 || list.back().kind() != "SpladePooling") {
    const ListedModule& odd = list.back().kind() == "SpladePooling" ? list[1] : list.back();
    return refused_module(list_path, "\"type\" \"" + printable(odd.type) +
                                         "\" is not supported beside SpladePooling (a Transformer alone is)");
  }
  LAYERSCOPE_ASSIGN(SpladeHead head, read_splade(list.back().folder + "/config.json"));
  modules.files.push_back(head.config);
  modules.sparse.head = std::move(head);
  if (settings != nullptr) modules.sparse.most_active = settings->size("max_active_dims");
  return settings == nullptr ? Status() : settings->status();
}

Result<bool> read_sparse_head(SentenceModules& modules) {
  LAYERSCOPE_ASSIGN(std::optional<DenseModule> head, read_linear(modules.model_folder, "sparse_linear", modules.files));
  if (!head) return false;
  if (head->outputs != 1)
    return refused_module(head->config, "tensor \"weight\" has " + std::to_string(head->outputs) + " rows, expected 1");
  modules.kind = VectorKind::kSparse;
  modules.sparse = {.head = LexicalHead{.weight = std::move(head->weight),
                                        .bias = head->bias.empty() ? 0.0F : head->bias.front(),
                                        .config = head->config}};
  return true;
}

}  // namespace layerscope
