// What a command line asks for, checked as far as that is possible without opening a model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "analysis/metric.h"
#include "cli/edits.h"
#include "cli/option_table.h"
#include "job/chat_rows.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "probe/gather.h"
#include "session/embedder.h"
#include "session/generation_config.h"
#include "store/run.h"
#include "view/picture.h"

namespace layerscope::cli {

/// Looks up an environment variable; null if it is not set.
using Environment = std::function<const char*(const char*)>;

struct CommonArguments {
  bool json = false, quiet = false, color = false, no_color = false;
  int threads = 0;  ///< 0: all cores
  std::string dtype = "f32", device = "cpu", isa;
  [[nodiscard]] OpenOptions open_options(bool weights) const {
    return {.dtype = dtype, .device = device, .isa = isa, .weights = weights};
  }
};

struct InputArguments {
  std::string path;  ///< empty: `texts` are the rows
  std::vector<std::string> texts;
  bool json_lines = false;  ///< what stdin holds
  bool skip_bad = false;
  TokenizeOptions tokenize;
  std::optional<ChatSettings> chat;  ///< rows are conversations,
  std::string model;                 ///< of the model whose template makes them texts
};

enum class ProgressMode : std::uint8_t { kAuto, kBar, kJson, kNone };

struct InspectArguments {
  std::string model;
  bool all = false;
};
struct TokenizeArguments {
  std::string model;
  InputArguments input;
};
/// What every command that writes a run folder is told of it.
struct FolderArguments {
  std::string output;  ///< run folder; empty: none (embed: or FILE.npy)
  std::uint64_t shard_bytes = std::uint64_t{256} << 20;
  std::optional<std::pair<int, int>> part;
  bool overwrite = false, dry_run = false;
  ProgressMode progress = ProgressMode::kAuto;
};

struct StatesArguments : FolderArguments {
  std::string model;
  InputArguments input;
  TapRequest request;
  EditArguments edits;
  bool all = false;
  Measure measure = Measure::kNorm;
};
/// How elements of a .npy of vectors are stored (sentence_transformers.quantize_embeddings).
enum class VectorPrecision : std::uint8_t { kFloat32, kInt8, kUint8, kBinary, kUbinary };

struct EmbedArguments : FolderArguments {
  std::string model;
  InputArguments input;
  EmbedOptions options;
  VectorPrecision precision = VectorPrecision::kFloat32;
  [[nodiscard]] bool npy() const { return output.ends_with(".npy"); }
};
struct SearchArguments {
  std::string corpus;  ///< run folder or .npy
  InputArguments queries;
  std::int64_t top_k = 10, oversample = 2;
  std::optional<Metric> metric;
  std::string site, model, texts, rescore;  ///< empty: not given
  std::optional<std::string> prompt, prompt_name;
  std::string dtype;  ///< empty: the run's
  bool allow_incomplete = false;
};
struct ClusterArguments {
  std::string run;     ///< a run folder or FILE.npy
  std::string site;    ///< empty: embedding, or the only one that fits
  std::string texts;   ///< file that the rows came from; empty: none
  std::string output;  ///< labels: FILE.npy or FILE.jsonl; empty: none
  std::size_t k = 0, max_iterations = 300, nearest = 3;
  std::uint64_t seed = 0;
  std::optional<bool> normalize;  ///< nothing: as the run's recipe compares its vectors
  bool overwrite = false, allow_incomplete = false;
};
/// Tokens shown of a prediction without --top-k.
inline constexpr std::size_t kDefaultTopK = 5;

struct LogitsArguments : FolderArguments {
  std::string model;
  InputArguments input;
  std::string positions = "all";
  std::uint64_t seed = 0;  ///< of sample:K
  EditArguments edits;
  std::optional<std::size_t> top_k;  ///< with `output`: nothing stores every score
  DType save_dtype = DType::kF32;
  bool all = false;
};
struct LensArguments {
  std::string model;
  InputArguments input;  ///< nothing to read if a run is trained on
  std::string layers = "all", positions = "all";
  std::uint64_t seed = 0;  ///< of sample:K
  EditArguments edits;
  std::size_t top_k = kDefaultTopK;
  std::string lens;  ///< a tuned lens to look through, or empty
  std::string html;  ///< the page to write, or empty
  bool all = false;
  bool train = false;
  std::string run;     ///< what to train on; empty: `input`
  std::string output;  ///< the lens that training writes
  bool overwrite = false;
};
struct GenerateArguments : FolderArguments {
  std::string model;
  InputArguments input;
  TapRequest request;
  EditArguments edits;
  GenerationFlags flags;
  std::int64_t max_new_tokens = 128;
  bool last_state = false;
};
/// One side of `diff`.
struct DiffSideArguments {
  std::string path;  ///< a model folder or hub name, a run folder, or a reference dump
  OpenOptions open;
  EditArguments edits;
};
struct DiffArguments {
  DiffSideArguments a, b;
  InputArguments input;  ///< nothing to read if a side has rows of its own
  std::string layers, sites;
  std::optional<double> tolerance;
  std::string html;  ///< the page to write, or empty
  bool overwrite = false, allow_incomplete = false;
};
struct SimilarityArguments {
  std::string a, b;          ///< run folders or models; b empty: A's layers among themselves
  InputArguments input;      ///< nothing to read where both are runs
  TapRequest request;        ///< of models; `layers` of runs too
  std::int64_t vectors = 0;  ///< to draw; 0: all of them
  std::string html;          ///< the page to write, or empty
  bool overwrite = false, allow_incomplete = false;
};
struct ProbeArguments {
  std::string source;                                          ///< a run folder or a model
  InputArguments input;                                        ///< what a model reads; nothing: the label file
  std::string labels, label_key, texts, model, layers, sites;  ///< empty: not given
  std::optional<Pooling> pool;
  Pooling word = Pooling::kCls;  ///< of the tokens of a word
  std::optional<ProbeKind> kind;
  std::optional<ProbeMetric> metric;
  int folds = 5;
  std::uint64_t seed = 0;
  bool control = true, description_length = true, mix = false;
  std::string html;  ///< the page to write, or empty
  bool overwrite = false, allow_incomplete = false;
};
struct VerifyArguments {
  std::string run;
};
struct ExportArguments {
  std::string run, target, texts;
  ExportFormat format = ExportFormat::kNpy;
  ExportOptions options;
};
struct CompletionArguments {
  std::string shell;
};
struct ManArguments {};
struct VersionArguments {};
struct HelpArguments {
  std::optional<Command> command;
};

struct Invocation {
  CommonArguments common;
  std::variant<HelpArguments, VersionArguments, InspectArguments, TokenizeArguments, StatesArguments, EmbedArguments,
               SearchArguments, ClusterArguments, LogitsArguments, LensArguments, GenerateArguments, DiffArguments,
               SimilarityArguments, ProbeArguments, VerifyArguments, ExportArguments, CompletionArguments, ManArguments>
      request;
};

/// Parses everything after the program's name. Errors: kUsage, with the nearest flag, command or value where one is
/// near.
[[nodiscard]] Result<Invocation> parse_arguments(std::span<const std::string> arguments,
                                                 const Environment& environment);

/// "256MiB", "8MB", "1000000": bytes, at least 1. Units of 1000 (kB MB GB TB) and 1024 (KiB MiB GiB TiB), in any case.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// "2/8" to {2, 8}; "auto/8" takes the first number from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX.
[[nodiscard]] Result<std::pair<int, int>> parse_shard(std::string_view text, const Environment& environment);

}  // namespace layerscope::cli
