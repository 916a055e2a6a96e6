// The texts of some rows, found again in the file they came from.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "job/input.h"
#include "layerscope/error.h"
#include "store/manifest.h"

namespace layerscope {

/// The texts of a .txt or .jsonl file, taken in the order of their rows; a pair's are joined by " | ".
class TextReader {
 public:
  [[nodiscard]] static Result<TextReader> open(const std::string& path);
  /// The text of a row, by its number, which is above that of the call before. Nothing for a row that is not there, or
  /// holds ids. Errors: kRuntime for a file that cannot be read.
  [[nodiscard]] Result<std::optional<std::string>> next(std::int64_t number);

 private:
  explicit TextReader(std::unique_ptr<RowReader> reader) : reader_(std::move(reader)) {}
  std::unique_ptr<RowReader> reader_;
  std::optional<InputRow> row_;  // read, its number not below those that were asked for
};

/// The texts of rows `numbers` (any order) of such a file, by number. Reads up to the last wanted row.
[[nodiscard]] Result<std::map<std::int64_t, std::string>> row_texts(const std::string& path,
                                                                    std::span<const std::int64_t> numbers);

/// Whether `path` is the input that a run was made from, as far as its manifest knows (XXH3-128). Errors: kUsage if
/// not.
[[nodiscard]] Status check_texts(const std::string& path, const Manifest& manifest, const std::string& run);

}  // namespace layerscope
