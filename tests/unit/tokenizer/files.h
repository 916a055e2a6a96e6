// Tokenizer files for the tests: those of tests/data/tokenizers, and ones written on the spot.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace layerscope::testing {

inline std::string data_path(const std::string& name) {
  return std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/tokenizers/" + name;
}

inline std::string folder_path(const std::string& name) {
  return std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/tokenizer_folders/" + name;
}

/// The folders of tests/data/tokenizer_folders, by name.
inline std::vector<std::string> folder_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_path(""))) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A file with this content, removed at the end of its life.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    std::string pattern = "/tmp/layerscope-tokenizer-XXXXXX";
    const int descriptor = ::mkstemp(pattern.data());
    if (descriptor >= 0) ::close(descriptor);
    path_ = pattern;
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Result<std::unique_ptr<Tokenizer>> open_text(std::string_view json) {
  return Tokenizer::open(TemporaryFile(json).path());
}

/// A WordLevel tokenizer of the words "a" (0), "b" (1) and "[UNK]" (2); `parts` are further members of the object.
inline std::string word_level(const std::string& parts) {
  return R"({"version":"1.0",)" + parts +
         R"("model":{"type":"WordLevel","vocab":{"a":0,"b":1,"[UNK]":2},"unk_token":"[UNK]"}})";
}

/// The same with a Split at the matches of this pattern, which is written as inside a JSON string.
inline std::string splitting(const std::string& pattern) {
  return word_level(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":")" + pattern +
                    R"("},"behavior":"Isolated","invert":false},)");
}

}  // namespace layerscope::testing
