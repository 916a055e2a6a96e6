// Labels for probes as they stand in a file (docs/probe.md), before they meet any tokens.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// One label: a text or a number; neither: what it belongs to is left out.
struct LabelValue {
  std::int32_t text = -1;  ///< index into LabelFile::texts()
  double number = std::numeric_limits<double>::quiet_NaN();
  [[nodiscard]] bool none() const noexcept { return text < 0 && number != number; }
};

/// What a label belongs to.
enum class LabelLevel : std::uint8_t {
  kRow,     ///< a whole row
  kTokens,  ///< each token, counted with or without the special ones
  kWords,   ///< each word, the words being given
  kSpans,   ///< parts of the text, as [start, end) in code points
};

/// The labels of one row.
struct RowLabels {
  std::int64_t line = 0;                                     ///< where they stand, from 1
  std::optional<std::string> group;                          ///< nothing: the row is a group of its own
  std::vector<LabelValue> labels;                            ///< exactly one for LabelLevel::kRow
  std::vector<std::string> words;                            ///< of kWords, as many as labels
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;  ///< of kSpans, as many as labels; ascending, apart
};

class LabelFile {
 public:
  /// Reads .jsonl, .tsv, or else one label a line. `key`: the JSON key or column that holds the labels; empty: "label",
  /// "labels" or "spans", or the column "label". Errors: kRuntime for a file that cannot be read; kInput with FILE:LINE
  /// for a line that does not say what docs/probe.md asks for, for a row that is named twice, for texts beside numbers
  /// and for labels of rows beside labels of tokens; kUsage for a key or column that no line has; kResource.
  [[nodiscard]] static Result<LabelFile> read(const std::string& path, const std::string& key);

  /// The same of lines of JSON that are in memory, under a name for messages.
  [[nodiscard]] static Result<LabelFile> of_json(std::string_view lines, const std::string& name,
                                                 const std::string& key);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] LabelLevel level() const noexcept { return level_; }
  /// All labels are numbers.
  [[nodiscard]] bool numbers() const noexcept { return kind_ == Kind::kNumbers; }
  [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }
  /// Rows that are named.
  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }
  /// The labels of a row by its number or its id (compact JSON), or null. Errors: kInput for a row that is named both
  /// ways.
  [[nodiscard]] Result<const RowLabels*> find(std::int64_t number, const std::optional<std::string>& id) const;
  /// "FILE:LINE" of a row's labels.
  [[nodiscard]] std::string where(const RowLabels& row) const;

 private:
  friend class LabelReader;
  enum class Kind : std::uint8_t { kUnknown, kTexts, kNumbers };

  std::string path_;
  LabelLevel level_ = LabelLevel::kRow;
  Kind kind_ = Kind::kUnknown;
  std::vector<std::string> texts_;
  std::vector<RowLabels> rows_;
  std::unordered_map<std::int64_t, std::size_t> by_number_;
  std::unordered_map<std::string, std::size_t> by_id_;
};

}  // namespace layerscope
