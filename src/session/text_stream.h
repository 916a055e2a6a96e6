// Tokens into text as they come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "tokenizer/tokenizer.h"

namespace layerscope {

/// The text of a row that grows token by token. Characters whose bytes are spread over several tokens appear when they
/// are whole; special tokens do not appear.
class TextStream {
 public:
  /// `tokenizer` may be null: then there is no text. `stops` (not empty ones) end it; both outlive the stream.
  TextStream(const Tokenizer* tokenizer, const std::vector<std::string>& stops)
      : tokenizer_(tokenizer), stops_(stops) {}

  /// Adds a token. True if the text now holds one of the stops; it then ends before the first of them.
  [[nodiscard]] Result<bool> add(std::int32_t id);
  /// No further tokens: what was held back belongs to the text, which is now that of all tokens decoded at once. True
  /// if it holds a stop, as after add.
  [[nodiscard]] Result<bool> finish();
  /// What has come since the last call and cannot turn into a stop any more.
  [[nodiscard]] std::string take();
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  [[nodiscard]] Result<std::string> decoded(std::size_t first, std::size_t end) const;
  [[nodiscard]] bool cut_at_stop(std::size_t first);

  const Tokenizer* tokenizer_;
  const std::vector<std::string>& stops_;
  std::vector<std::int32_t> ids_;
  std::size_t context_ = 0, read_ = 0;  // tokens from context_ on are decoded anew; those up to read_ are in the text
  std::string text_;
  std::size_t taken_ = 0;
  bool stopped_ = false, finished_ = false;
};

}  // namespace layerscope
