// Text written token by token: many rows that join and leave the batch as they begin and end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/model.h"
#include "session/generation_config.h"
#include "tap/frame.h"

namespace layerscope {

struct GenerationOptions {
  GenerationConfig config;
  std::int64_t max_new_tokens = 128;
  std::optional<std::int64_t> max_length;  ///< most tokens of a row, new ones included
  std::uint64_t seed = 0;
  const EditPlan* edits = nullptr;  ///< of the stream; outlives the generator
  bool last_state = false;          ///< the last chosen token goes through the model too, so that it has states
  int threads = 1;                  ///< the results do not depend on it
};

/// Takes what the tokens of a row show while it grows. Calls for one row come one after another, those for different
/// rows from several threads.
class GenerationObserver {
 public:
  virtual ~GenerationObserver() = default;
  /// `frame.observed` is an index into the observed sites of the plan; `frame.first` counts within the row's stack,
  /// and `frame.sequence` says nothing.
  [[nodiscard]] virtual Status observe(std::uint64_t tag, const Frame& frame) = 0;
  /// What the row has shown is void: all its tokens are run again.
  virtual void restart(std::uint64_t tag) = 0;
};

/// A row that has come to its end.
struct GeneratedRow {
  std::uint64_t tag = 0;
  std::int64_t number = 0;
  ModelRow prompt;
  std::vector<std::int32_t> output_ids;  ///< the end token included, where there is one
  bool stopped = false;                  ///< by an end token or a stop text, rather than by its length
  std::string text;                      ///< empty in a folder without a tokenizer
  std::int64_t states = 0;               ///< tokens of the decoder that have states: prompt and output but the last
};

/// What a row will need of memory and positions.
struct RowContext {
  std::int64_t tokens = 0;         ///< of the decoder that have states: the prompt's and the new ones
  std::int64_t source_tokens = 0;  ///< of the encoder
  std::uint64_t cache_bytes = 0;
};

/// Writes on behind prompts. A row's tokens and states depend on the row, the options and its number alone: never on
/// the rows beside it, nor on threads.
class Generator {
 public:
  /// `model`, `observed` (may be null) and `observer` (may be null) outlive the generator. Errors: kModel for a folder
  /// that has no decoder or no head over the vocabulary; kUsage for stop texts without a tokenizer and a plan that does
  /// not fit.
  [[nodiscard]] static Result<std::unique_ptr<Generator>> create(const Model& model, GenerationOptions options,
                                                                 const TapPlan* observed = nullptr,
                                                                 GenerationObserver* observer = nullptr);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  /// Tokenises a prompt; the decoder of two stacks begins as the folder's settings say. Errors: those of
  /// Model::tokenize, and kInput where prompt and new tokens do not fit the positions, with the arithmetic.
  [[nodiscard]] Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options = {}) const;
  [[nodiscard]] RowContext context(const ModelRow& prompt) const;
  /// Bytes of cache that a token takes, of the decoder's or of those it reads from an encoder; pages round a row up.
  [[nodiscard]] std::uint64_t token_bytes(bool source) const noexcept;

  /// A row that starts with the next step.
  void join(std::uint64_t tag, std::int64_t number, ModelRow prompt);
  /// Rows that have not ended.
  [[nodiscard]] std::size_t rows() const noexcept;
  /// Runs the prompts of rows that have joined or, where none have, one token of every row. Rows that end are
  /// returned. `told`, if set, gets new text as it comes, on the calling thread.
  using Told = std::function<void(std::uint64_t tag, std::string_view text)>;
  [[nodiscard]] Result<std::vector<GeneratedRow>> step(const Told& told = {});

 private:
  struct State;
  explicit Generator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace layerscope
