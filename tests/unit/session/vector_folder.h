// A tiny folder with modules, as the oracle's cases describe it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "session/embedder.h"
#include "unit/session/model_copy.h"

namespace layerscope::test {

inline double number(const Json& json) {
  return json.real() != nullptr ? *json.real() : static_cast<double>(*json.integer());
}

inline void flatten(const Json& json, std::vector<std::int64_t>& shape, std::string& bytes, std::size_t depth = 0) {
  if (json.array() == nullptr) {
    const auto value = static_cast<float>(number(json));
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return;
  }
  if (shape.size() == depth) shape.push_back(static_cast<std::int64_t>(json.array()->size()));
  for (const Json& item : *json.array()) flatten(item, shape, bytes, depth + 1);
}

/// The folder of a case, to be changed.
class VectorFolder {
 public:
  VectorFolder(const Json& all, const Json& one) : copy_(*one.find("model")->string()) {
    for (const Json* files : {all.find("files"), one.find("files")}) {
      for (const auto& [path, content] : *files->object()) copy_.write(path, content.dump());
    }
    for (const auto& [path, tensors] : *one.find("weights")->object()) {
      std::vector<StoredTensor> stored;
      for (const auto& [name, values] : *tensors.object()) {
        stored.push_back({.name = name, .dtype = "F32", .shape = {}, .bytes = {}});
        flatten(values, stored.back().shape, stored.back().bytes);
      }
      if (path == "model.safetensors") {
        for (StoredTensor& tensor : copy_.tensors()) stored.push_back(std::move(tensor));
        copy_.set("architectures", R"(["HF_ColBERT"])");
      }
      copy_.write_tensors(stored, path.ends_with(".safetensors") ? path : path + "/model.safetensors");
    }
  }
  [[nodiscard]] std::string path() const { return copy_.path(); }
  void write(std::string_view name, std::string_view content) const { copy_.write(name, content); }
  void remove(std::string_view name) const { copy_.remove(name); }
  [[nodiscard]] std::string read(std::string_view name) const { return copy_.read(name); }
  void replace(const char* file, const char* old, const char* replacement) const {
    std::string text = read(file);
    const std::size_t at = text.find(old);
    ASSERT_NE(at, std::string::npos) << old << " in " << text;
    text.replace(at, std::strlen(old), replacement);
    write(file, text);
  }
  [[nodiscard]] Result<std::unique_ptr<Embedder>> open(const EmbedOptions& options = {}) const {
    return Embedder::open(path(), {}, options);
  }
  /// The message with which the folder is refused.
  [[nodiscard]] std::string refusal(ErrorCode code = ErrorCode::kModel, const EmbedOptions& options = {}) const {
    const auto opened = open(options);
    if (opened) return "opened";
    EXPECT_EQ(opened.error().code, code) << opened.error().message;
    EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
    return opened.error().message;
  }

 private:
  ModelCopy copy_;
};

}  // namespace layerscope::test
