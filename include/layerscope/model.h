// A Hugging Face model folder, opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/edits.h"
#include "layerscope/error.h"
#include "layerscope/labels.h"
#include "layerscope/tap.h"

namespace layerscope {

struct OpenOptions {
  /// "f32": everything in float32; "bf16": weights and inputs of matrix products in bfloat16; "f64": plain loops in
  /// float64, whatever `isa` says, a yardstick that takes its time
  std::string dtype = "f32";
  std::string device = "cpu";
  std::string isa;                         ///< force a lower instruction set; empty: the best of the machine
  bool weights = true;                     ///< false: only config, names and shapes (inspect, tokenize)
  bool lower_case = false;                 ///< lower-case texts first, as sentence-transformers' `do_lower_case`
  std::vector<std::string> whole_tokens;   ///< texts of the vocabulary that rows may hold as one token each
  std::vector<std::string> other_tensors;  ///< stored tensors that are no part of the model: somebody else's head
};

/// Token ids of one stack of one row.
struct Tokens {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> type_ids;  ///< empty: all 0
  std::vector<std::uint8_t> special;   ///< 1 for special tokens, as many as ids
};

/// One row ready to run. `decoder` only for models with two stacks.
struct ModelRow {
  Tokens main;  ///< the encoder's tokens where there is one, else the decoder's
  std::optional<Tokens> decoder;
};

/// A row as it comes in.
struct TextRow {
  std::optional<std::string> text;  ///< either text (and perhaps pair) or ids
  std::optional<std::string> pair;
  std::optional<std::vector<std::int32_t>> ids;
  std::optional<std::vector<std::uint8_t>> type_ids;
  std::optional<std::vector<std::int32_t>> decoder_ids;  ///< two stacks only
  std::optional<std::string> target;                     ///< two stacks only
};

struct TokenizeOptions {
  bool add_special_tokens = true;
  bool truncate = false;                   ///< --on-long truncate; otherwise too long is an error
  std::optional<std::int64_t> max_length;  ///< --max-length
};

/// One stored site of one row, whole.
struct StateBlock {
  std::string site;
  std::int64_t rows = 0;      ///< tokens, 1 when pooled, picked positions, or heads * queries of probabilities
  std::int64_t width = 0;     ///< elements a row; keys of probabilities
  std::vector<float> values;  ///< [rows, width]
};

/// Everything that was asked of one row, in the order of TapPlan::stored().
struct RowStates {
  ModelRow row;
  std::vector<StateBlock> sites;
  /// The block of that name, or null.
  [[nodiscard]] const StateBlock* find(std::string_view site) const noexcept;
};

struct StatesOptions {
  TapRequest request;  ///< `save_dtype` stays kF32
  TokenizeOptions tokenize;
  int threads = 1;  ///< workers; the values do not depend on it
  std::vector<Edit> edits;
};

struct ClassifyOptions {
  TokenizeOptions tokenize;
  int threads = 1;  ///< workers; the values do not depend on it
};

/// What is known of an opened model without running it.
struct ModelInfo {
  std::string path;  ///< the folder as given
  std::string model_type;
  std::uint64_t parameters = 0;    ///< elements of all float tensors of the checkpoint
  std::vector<std::string> files;  ///< config.json, weight files and tokenizer file, as opened
  std::string tokenizer_hash;      ///< XXH3-128 of the tokenizer file, empty without one
  std::string device, isa, library, determinism, dtype;
  bool has_tokenizer = false;
  bool has_type_ids = false;  ///< rows may carry type ids
  bool two_stacks = false;
  bool has_pooler = false;       ///< see Model::pool
  bool has_head = false;         ///< over the vocabulary: there is a site "logits"
  std::optional<Labels> labels;  ///< of a classifier's head, where the folder has one
  std::int64_t vocabulary_size = 0;
  std::optional<std::int64_t> max_tokens;  ///< usable positions of a learned table; nothing for models without one
  std::size_t packed_bytes = 0;
};

struct ModelState;

/// An opened model. All methods are const and may be called from several threads at once.
class Model {
 public:
  /// Opens a folder. Errors: kModel with file and field for anything missing, corrupt, hostile or unsupported; kUsage
  /// for unknown options.
  [[nodiscard]] static Result<std::unique_ptr<Model>> open(const std::string& folder, const OpenOptions& options = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelInfo& info() const noexcept;
  [[nodiscard]] const SiteTable& sites() const noexcept;

  /// Text or ids to a row that runs: tokenised, special tokens added, checked against vocabulary and positions, the
  /// decoder's input made by the family's rule. Errors: kInput with what is wrong with the row.
  [[nodiscard]] Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options = {}) const;

  /// Appends a row to a batch.
  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const;

  /// Runs a batch on the calling thread and hands every wanted value to the sink. Values of a sequence do not depend on
  /// the others. Where `edits` change the stream, a site shows the changed values and everything behind it reads them.
  /// Errors: kRuntime naming site and token where a NaN or infinity appears first; kInput for a row that an edit does
  /// not fit; the sink's own.
  [[nodiscard]] Status run(const Batch& batch, const TapPlan& plan, Sink& sink, const EditPlan* edits = nullptr) const;

  /// Whole results in memory, one entry a row: for few rows; for many there is run() or the bulk job. Errors: those of
  /// tokenize (naming the row's index), of the plan and of run.
  [[nodiscard]] Result<std::vector<RowStates>> states(const std::vector<TextRow>& rows,
                                                      const StatesOptions& options = {}) const;
  [[nodiscard]] Result<std::vector<RowStates>> states(const std::vector<std::string>& texts,
                                                      const StatesOptions& options = {}) const;

  /// Packs the head over the vocabulary now rather than at its first use; from several threads, once. Errors: kModel
  /// saying why the folder has none; kUsage without weights; kResource.
  [[nodiscard]] Status load_head() const;

  /// Scores over the vocabulary: final states [n, final width] f32 -> out [n, vocabulary] f32, the bits of the site
  /// "logits" for any n. The memory is the caller's, who keeps n small. Errors: those of load_head; kUsage for other
  /// shapes or types; kRuntime where a score is NaN or infinite.
  [[nodiscard]] Status logits(const RowsView& finals, const MutableRows& out) const;

  /// What a classifier's head says of rows, one entry a row. Errors: kModel saying why the folder has no such head;
  /// those of states(); kInput for a row that lacks the end token under which the model's summary stands.
  [[nodiscard]] Result<std::vector<LabelScores>> classify(const std::vector<TextRow>& rows,
                                                          const ClassifyOptions& options = {}) const;

  /// What the end of a stack (final norm, projection) makes of its stream: [n, width] f32 -> out [n, final width] f32.
  /// Of `block.{L-1}.out` that is `final`, bit for bit. Errors: kUsage for a stack that is not there, other shapes or
  /// types.
  [[nodiscard]] Status finish(StackId stack, const RowsView& stream, const MutableRows& out) const;

  /// What an encoder's pooler makes of the final states of first tokens, [n, final width] f32 -> out likewise: the
  /// pooler_output of transformers, the same bits for any n. Errors: kModel for a folder without one; kUsage without
  /// weights and for other shapes or types.
  [[nodiscard]] Status pool(const RowsView& firsts, const MutableRows& out) const;

  /// Prepares a worker: call once in every thread that will call run, logits, finish or pool (single-threaded library
  /// settings).
  void enter_worker() const;

  /// For `inspect` and `tokenize`; the internals, see session/model_state.h.
  [[nodiscard]] const ModelState& state() const noexcept { return *state_; }

 private:
  explicit Model(std::unique_ptr<ModelState> state);
  std::unique_ptr<ModelState> state_;
};

}  // namespace layerscope
