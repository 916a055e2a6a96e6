// What a comparison found: everything that its table, its JSON and its page show.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/difference.h"
#include "layerscope/tap.h"

namespace layerscope {

enum class Verdict : std::uint8_t { kSame, kDiffers, kIncomparable };
/// "same", "differs", "incomparable".
[[nodiscard]] std::string_view verdict_name(Verdict verdict) noexcept;

/// What one side is, in words for people.
struct DiffSide {
  std::string path;
  std::string kind;    ///< "model", "run", "dump"
  std::string detail;  ///< "f32, avx512", "stored as F16": what decides its rounding
  bool live = false;   ///< its blocks can be run
};

/// One site over all rows that were compared. Relative errors are those of side A against side B, over |B|.
struct DiffSite {
  std::string site;
  StackId stack = StackId::kEncoder;
  std::optional<int> hf_index;
  std::int64_t width = 0;
  Difference error;                  ///< error.worst_token counts tokens over all rows; see worst_row
  std::int64_t worst_row = -1;       ///< the number of the row with the worst token,
  std::int64_t worst_position = -1;  ///< and the token's place in it
  double noise = 0;                  ///< relative L2 by which honest runs of these precisions differ here
  double token_noise = 0;            ///< likewise, of a token's worst
  double times = 0;                  ///< how many times the noise the error is: the larger of site and worst token
  // Of the block alone, run on B's input (A's, if only B is live); nothing without a live side.
  std::optional<double> local;                       ///< relative L2
  std::optional<double> local_noise;                 ///< by which honest runs of the block alone differ
  double local_token = 0;                            ///< the worst token's relative L2,
  double local_token_noise = 0;                      ///< its noise,
  std::int64_t local_row = -1, local_position = -1;  ///< and where it stands
  double local_times = 0;                            ///< as `times`
  bool differs = false;                              ///< above the floor (or the tolerance)
  bool local_differs = false;                        ///< the block itself does, whatever it inherits
};

/// A reason, with the numbers that prove it.
struct DiffCause {
  std::string site;      ///< the narrowest site that is off: "block.3.mlp.act"
  std::string kind;      ///< tokens, activation, eps, scale, rope, mask, positions, norm, weights, transposed, qk_norm,
                         ///< precision, final_norm, bias, unknown
  std::string evidence;  ///< one sentence
  double before = 0;     ///< local error of the block, and
  double after = 0;      ///< what is left of it once the cause is undone; 0 and 0 for `tokens`
};

/// Where the sides part.
struct DiffFirst {
  std::string site;
  std::optional<int> hf_index;
  std::int64_t row = -1, token = -1;  ///< the worst token there: row number and place in the row
  double rel_l2 = 0, noise = 0;       ///< local ones where a side is live
  double times = 0;
  bool local = false;
};

/// One row of the input.
struct DiffText {
  std::int64_t row = 0;
  std::array<std::int64_t, 2> tokens{};  ///< by StackId
  std::vector<double> rel_l2;            ///< by site, in the order of DiffReport::sites
  // Of the first rows only, for the heat map; empty beyond.
  std::array<std::vector<std::string>, 2> labels;  ///< the tokens' texts by StackId, or their ids
  std::vector<std::vector<double>> token_errors;   ///< by site: relative error of every token; local ones where known
};

struct DiffReport {
  Verdict verdict = Verdict::kSame;
  std::string sentence;             ///< the verdict as a person would say it
  std::array<DiffSide, 2> sides;    ///< A, B
  std::optional<double> tolerance;  ///< --tol; nothing: the noise floor times `kTimes` decides
  double times = 0;                 ///< that factor
  double token_times = 0;           ///< the factor of a single token
  bool noise_estimated = false;     ///< no side is live: the floor is a rule of thumb
  bool ids_equal = true;
  std::int64_t rows = 0, tokens = 0;  ///< compared
  std::vector<DiffSite> sites;        ///< in the order of computation
  std::optional<DiffFirst> first;
  std::vector<DiffCause> causes;  ///< in the order of computation; `tokens` before all others
  std::vector<DiffText> texts;
  std::vector<std::string> notes;  ///< what a reader has to know: rows on one side only, tokens set aside, ...
};

}  // namespace layerscope
