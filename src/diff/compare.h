// Two sides held against each other: tokens, then every site, then every block by itself.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diff/align.h"
#include "diff/report.h"
#include "diff/side.h"

namespace layerscope {

struct DiffOptions {
  std::vector<DiffInput> texts;  ///< empty: the rows that a side has
  TokenizeOptions tokenize;
  std::string layers, sites;        ///< as in TapRequest; both empty: all layers, and what a run or dump holds beyond
  std::optional<double> tolerance;  ///< relative L2 by site; nothing: the noise floor decides
  int threads = 1;
  std::function<bool()> stop = {};  ///< asked between pieces of work; true ends in kCancelled
};

/// How many times the noise floor a site must be off, and a single token, before that is a difference
/// (docs/decisions/0009-when-two-runs-differ.md).
inline constexpr double kNoiseTimes = 4;
inline constexpr double kTokenTimes = 8;

/// Compares A with B. Sides that cannot be compared are a verdict, not an error. Errors: those of the sides and of
/// align(); kUsage for a request that no site meets.
[[nodiscard]] Result<DiffReport> compare(const Side& a, const Side& b, const DiffOptions& options);

}  // namespace layerscope
