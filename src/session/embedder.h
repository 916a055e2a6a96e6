// Vectors of texts, as the authors of a sentence-transformers folder meant them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "session/modules.h"

namespace layerscope {

/// What a text is for: folders may read the two differently (prompts; markers, lengths and expansion of vectors of
/// tokens).
enum class TextTask : std::uint8_t { kQuery, kDocument };

/// What a caller changes of the folder's own way.
struct EmbedOptions {
  std::optional<VectorKind> kind;          ///< another kind of vectors than the folder's own
  std::optional<TextTask> task;            ///< nothing: none in particular; a document for vectors of tokens
  std::optional<std::string> prompt;       ///< text put before every text
  std::optional<std::string> prompt_name;  ///< a prompt of config_sentence_transformers.json; not with `prompt`
  std::optional<std::int64_t> truncate_dim;
  std::optional<bool> normalize;  ///< to length 1 or not; nothing: as the folder says
  std::string layers;             ///< one layer as --layers counts them; empty: the last
  std::string mix;                ///< a weighted sum of layers instead, as --mix
  std::optional<Pooling> pool;    ///< instead of the folder's; Dense and LayerNorm modules still follow if they fit
  TokenizeOptions tokenize = {.truncate = true};  ///< `max_length` overrides the folder's own limit
};

/// What was made of one text.
struct TextVectors {
  /// Dense: [width]. Tokens: [places, width]. Sparse: [places], above 0.
  std::vector<float> values;
  /// Tokens: the tokens that have a vector, ascending. Sparse: ids of the vocabulary, ascending.
  std::vector<std::int32_t> places;
};

/// A folder's model with everything that makes vectors of a row's states: prompt, length limit, pooling, Dense,
/// LayerNorm and Normalize modules, or the heads of token vectors and of sparse ones (docs/cli.md). The same text gives
/// the same bits whatever other rows run beside it, and with any number of threads. All methods are const and may be
/// called from several threads at once.
class Embedder {
 public:
  /// Opens the folder. Errors: those of Model::open; kModel with file and field for modules that are unknown,
  /// contradict each other or have weights of other shapes; kUsage for options the folder cannot serve (an unknown
  /// prompt name: the known ones are listed).
  [[nodiscard]] static Result<std::unique_ptr<Embedder>> open(const std::string& folder, const OpenOptions& open,
                                                              const EmbedOptions& options);
  /// As `open`, from what recipe() gave: the same model files embed the same text to the same bits. `prompt` and
  /// `prompt_name` replace the recipe's prompt if one of them is set.
  [[nodiscard]] static Result<std::unique_ptr<Embedder>> reopen(
      const std::string& folder, const OpenOptions& open, const Json& recipe,
      const std::optional<std::string>& prompt = std::nullopt,
      const std::optional<std::string>& prompt_name = std::nullopt);
  /// Another way of making vectors of the same kind by the same model, which is not loaded again. Errors: those of
  /// `open` that are about options.
  [[nodiscard]] Result<std::unique_ptr<Embedder>> with(const EmbedOptions& options) const;
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  [[nodiscard]] const Model& model() const noexcept;
  /// The folder as given; the model itself may lie in one within it.
  [[nodiscard]] const std::string& folder() const noexcept;
  [[nodiscard]] VectorKind kind() const noexcept;
  /// Elements of a vector; of a sparse one the entries of the vocabulary.
  [[nodiscard]] std::int64_t width() const noexcept;
  /// "cosine", "dot", "euclidean" or "manhattan": what the folder compares its vectors by; cosine where it says
  /// nothing, dot for sparse ones. Vectors of tokens: "maxsim" or "meanmaxsim".
  [[nodiscard]] const std::string& similarity() const noexcept;
  /// The module files that were read, beside ModelInfo::files.
  [[nodiscard]] const std::vector<std::string>& files() const noexcept;
  /// How rows are read, as it was asked for.
  [[nodiscard]] const TokenizeOptions& tokenize_options() const noexcept;
  /// All that decides the bytes and is not the model's: an object for the manifest, from which `reopen` works.
  [[nodiscard]] Json recipe() const;

  /// A row ready to run: prompt put in front, lower-cased, cut and expanded as the folder says. Errors: as
  /// Model::tokenize.
  [[nodiscard]] Result<ModelRow> tokenize(const TextRow& row) const;
  /// The tokens of such a row that get a vector of their own, ascending. For kTokens.
  [[nodiscard]] std::vector<std::int32_t> vector_places(const ModelRow& row) const;
  /// Appends a row from `tokenize` to a batch.
  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const;
  /// Runs a batch on the calling thread. What is made of a sequence arrives whole: as one frame of site 0, [1, width]
  /// or [vector_places, width] float32, or for kSparse as two, indices I32 and values F32 of sites 0 and 1, [1,
  /// entries]. A sequence of which nothing is kept has frames without elements. Errors: as Model::run.
  [[nodiscard]] Status run(const Batch& batch, Sink& sink) const;

  /// `tokenize` of every row, by several threads; 0: all cores.
  [[nodiscard]] std::vector<Result<ModelRow>> tokenize(std::span<const TextRow> rows, int threads) const;
  /// What is made of rows that `tokenize` made. Errors: as run.
  [[nodiscard]] Result<std::vector<TextVectors>> vectors(std::span<const ModelRow> rows, int threads) const;
  /// The vectors of rows that `tokenize` made, [rows, width]. Errors: as run; kUsage for other kinds than kDense.
  [[nodiscard]] Result<std::vector<float>> embed(std::span<const ModelRow> rows, int threads) const;
  /// The vectors of all rows, [rows, width]. Errors: as tokenize (naming the row's index), run.
  [[nodiscard]] Result<std::vector<float>> embed(std::span<const TextRow> rows, int threads) const;

 private:
  struct State;
  static Result<std::unique_ptr<Embedder>> make(std::unique_ptr<State> state, const EmbedOptions& options);
  explicit Embedder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace layerscope
