// Text to token ids and back: the C++ face of the Hugging Face tokenizers crate (rust/tokenizer).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// One tokenised row. All vectors have the same length.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> type_ids;
  std::vector<std::uint8_t> special;  ///< 1 where the post-processor put a special token ([CLS], </s>, ...)
  std::vector<std::pair<std::int64_t, std::int64_t>>
      offsets;                        ///< [start, end) in code points of the original text; {-1, -1} for special tokens
  std::vector<std::int8_t> sequence;  ///< 0, 1 for the pair, -1 for special tokens
};

struct EncodeOptions {
  bool add_special_tokens = true;
  /// Cut to this many tokens, special ones included (longest first for pairs, from the right), as transformers does.
  std::optional<std::int64_t> max_length = std::nullopt;
  bool want_offsets = false;  ///< fill `offsets` and `sequence`; they cost a little
  bool target = false;        ///< the text is a translation's target: the special tokens of the target language
};

struct FolderTokenizer;

/// The tokenizer of a model. `encode` may be called from several threads at once.
class Tokenizer {
 public:
  /// Loads a tokenizer.json alone. Padding and truncation stored in the file are ignored. Errors: kModel, naming the
  /// file.
  [[nodiscard]] static Result<std::unique_ptr<Tokenizer>> open(const std::string& path);
  /// The tokenizer of a model folder: tokenizer.json with what tokenizer_config.json, special_tokens_map.json and
  /// added_tokens.json add to it, or the pipeline that transformers builds from vocab.txt, from vocab.json and
  /// merges.txt, or from a sentencepiece model (docs/tokenizers.md). Errors: kModel for files that are damaged or lie,
  /// naming the file.
  [[nodiscard]] static Result<FolderTokenizer> open_folder(const std::string& folder);
  /// Lower-cases every text before anything else, unless the tokenizer has such a step: `do_lower_case` of
  /// sentence-transformers. To be called before the tokenizer is used. Errors: kModel.
  [[nodiscard]] Status lower_first();
  /// Takes `text` as one special token wherever a row holds it, without normalisation: markers such as "[unused0] "
  /// that a model was trained with as ids. Where the vocabulary lacks it, its first word is taken; where it lacks that
  /// too, nothing changes. To be called before the tokenizer is used. Errors: kModel.
  [[nodiscard]] Status keep_whole(std::string_view text);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Tokenises one text, or a text and its pair. Both must be valid UTF-8 (else kInput). A pattern of the tokenizer
  /// that exceeds its step limits is kInput too: the limits count steps, never time.
  [[nodiscard]] Result<Encoding> encode(std::string_view text, std::optional<std::string_view> pair,
                                        const EncodeOptions& options) const;

  /// Ids to text, as `tokenizers` decodes; ids outside the vocabulary are kInput.
  [[nodiscard]] Result<std::string> decode(const std::vector<std::int32_t>& ids, bool skip_special_tokens) const;

  /// The vocabulary entry of an id ("##ing", "Ġthe"), added tokens included; nothing for an unknown id.
  [[nodiscard]] std::optional<std::string> token(std::int32_t id) const;
  /// The id of a vocabulary entry.
  [[nodiscard]] std::optional<std::int32_t> id(std::string_view token) const;
  /// True for added tokens marked special in the file.
  [[nodiscard]] bool is_special(std::int32_t id) const;
  /// Number of entries, added tokens included.
  [[nodiscard]] std::int64_t vocabulary_size() const;
  /// XXH3-128 of the files it was made of: of tokenizer.json alone, or of all names and contents.
  [[nodiscard]] const std::string& hash() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// What a model folder has of a tokenizer.
struct FolderTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;  ///< null where there is none, or none that can be built exactly
  std::string missing;                   ///< why it is null, in one line
  std::vector<std::string> files;        ///< the paths that were read
};

}  // namespace layerscope
