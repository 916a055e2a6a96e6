// A copy of one of the tiny models, to be changed in one place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "layerscope/model.h"
#include "support/safetensors_bytes.h"
#include "support/temp_folder.h"

namespace layerscope::test {

/// One tensor of a weight file, in the order of the file.
struct StoredTensor {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

inline std::string content_of(const std::filesystem::path& path) {
  return read_file(path.string(), ErrorCode::kRuntime, std::size_t{1} << 26).value();
}

inline std::string weight_file(const std::vector<StoredTensor>& tensors) {
  std::string header = "{", data;
  for (const StoredTensor& tensor : tensors) {
    if (header.size() > 1) header += ',';
    append_json_string(header, tensor.name);
    header += R"(:{"dtype":")" + tensor.dtype + R"(","shape":[)";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i)
      header += (i == 0 ? "" : ",") + std::to_string(tensor.shape[i]);
    header += R"(],"data_offsets":[)" + std::to_string(data.size()) + ",";
    data += tensor.bytes;
    header += std::to_string(data.size()) + "]}";
  }
  header += "}";
  return length_bytes(header.size()) + header + data;
}

class ModelCopy {
 public:
  explicit ModelCopy(std::string_view model) {
    const std::filesystem::path source = std::filesystem::path(LAYERSCOPE_SOURCE_DIR) / "tests/golden" / model;
    for (const auto& entry : std::filesystem::directory_iterator(source)) {
      const std::string name = entry.path().filename().string();
      if (name != "reference.safetensors") folder_.write(name, content_of(entry.path()));
    }
  }

  [[nodiscard]] std::string path() const { return folder_.path().string(); }
  [[nodiscard]] std::string file(std::string_view name) const { return folder_.file(name); }
  [[nodiscard]] std::string read(std::string_view name) const { return content_of(file(name)); }
  void write(std::string_view name, std::string_view content) const { folder_.write(name, content); }
  void remove(std::string_view name) const { std::filesystem::remove_all(file(name)); }

  [[nodiscard]] std::vector<std::string> config_keys() const {
    std::vector<std::string> keys;
    const Json config = parse_json(read("config.json"), "config", ErrorCode::kRuntime).value();
    for (const auto& [key, value] : *config.object()) keys.push_back(key);
    return keys;
  }

  /// Gives a key of config.json this JSON text as its value; an empty text removes the key.
  void set(std::string_view key, std::string_view value) const {
    const Json config = parse_json(read("config.json"), "config", ErrorCode::kRuntime).value();
    std::string text;
    const auto add = [&](std::string_view name, std::string_view json) {
      text += text.empty() ? "{" : ",";
      append_json_string(text, name);
      text += ":" + std::string(json);
    };
    for (const auto& [name, old] : *config.object())
      if (name != key) add(name, old.dump());
    if (!value.empty()) add(key, value);
    write("config.json", text + "}");
  }

  [[nodiscard]] std::vector<StoredTensor> tensors(std::string_view name = "model.safetensors") const {
    const std::string content = read(name);
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{static_cast<unsigned char>(content[i])} << (8 * i);
    const Json header = parse_json(std::string_view(content).substr(8, length), "header", ErrorCode::kRuntime).value();
    std::vector<StoredTensor> result;
    for (const auto& [tensor, entry] : *header.object()) {
      if (tensor == "__metadata__") continue;
      StoredTensor stored{.name = tensor, .dtype = *entry.find("dtype")->string(), .shape = {}, .bytes = {}};
      for (const Json& size : *entry.find("shape")->array()) stored.shape.push_back(*size.integer());
      const Json::Array& offsets = *entry.find("data_offsets")->array();
      const auto begin = static_cast<std::size_t>(*offsets[0].integer());
      const auto end = static_cast<std::size_t>(*offsets[1].integer());
      stored.bytes = content.substr(8 + length + begin, end - begin);
      result.push_back(std::move(stored));
    }
    return result;
  }
  void write_tensors(const std::vector<StoredTensor>& tensors, std::string_view name = "model.safetensors") const {
    write(name, weight_file(tensors));
  }

  [[nodiscard]] Result<std::unique_ptr<Model>> open(bool weights = false) const {
    return Model::open(path(), {.weights = weights});
  }

 private:
  TempFolder folder_;
};

}  // namespace layerscope::test
