// How far apart honest runs are: the same computation in float64, and with another order of summation.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diff/side.h"
#include "diff/undecided.h"

namespace layerscope {

/// Relative L2 by which an honest run may be off, over many tokens and for the worst one of them.
struct Floor {
  double all = 0, token = 0;
};
/// Both sides' together: errors of two runs that know nothing of each other.
[[nodiscard]] Floor together(const Floor& a, const Floor& b) noexcept;

/// Floors of one side by site, from tokens and of every block by itself.
struct NoiseTable {
  std::map<std::string, Floor> from_tokens, alone;
};

/// What floors are measured on.
struct NoiseSample {
  std::vector<SideRow> rows;       ///< a bounded part of the rows that are compared
  std::vector<std::string> sites;  ///< those that are compared,
  std::vector<std::string> known;  ///< and those that blocks may start from
  int threads = 1;
};
/// A part of `rows` with about as many tokens as the model's size allows, whole rows as far as possible.
[[nodiscard]] std::vector<SideRow> sample_rows(const Model& model, const std::vector<const SideRow*>& rows);

class NoiseMeter {
 public:
  /// Runs `model`'s folder in float64 on the sample, where memory allows.
  [[nodiscard]] static Result<std::unique_ptr<NoiseMeter>> open(std::shared_ptr<const Model> model, NoiseSample sample);
  /// The floors of a side of that precision.
  [[nodiscard]] Result<NoiseTable> measure(const SidePrecision& precision) const;
  /// The floors of one part that reads what another engine says it read, by output. Empty without a reference.
  [[nodiscard]] Result<std::map<std::string, Floor>> measure_part(const SidePrecision& precision, const ChainLink& link,
                                                                  std::span<const SideRow> rows,
                                                                  std::span<const std::vector<SideBlock>> states,
                                                                  std::span<const std::string> names) const;
  /// False where the model is too large for float64: another order of summation alone is the yardstick then.
  [[nodiscard]] bool has_reference() const noexcept { return yardstick_->info().dtype == "f64"; }

 private:
  Result<std::shared_ptr<const Model>> engine(const std::string& dtype, const std::string& isa) const;
  /// Runs `visit` with every engine whose rounding is that of `precision`.
  Status with_engines(const SidePrecision& precision, const std::function<Status(const Model&)>& visit) const;
  Status add(const Model& other, DType stored, NoiseTable& table) const;
  void finish(const SidePrecision& precision, const std::string& site, bool alone, Floor& floor) const;

  std::shared_ptr<const Model> model_, yardstick_;
  NoiseSample sample_;
  std::vector<std::string> names_;              // of states_
  std::vector<std::vector<SideBlock>> states_;  // the yardstick's, by row and name
  Undecided undecided_;
};

/// A rule of thumb where there is no model to measure with: what `depth` blocks of rounding to the coarser type add up
/// to.
[[nodiscard]] Floor estimated_floor(const SidePrecision& a, const SidePrecision& b, int depth) noexcept;

/// Relative size of rounding to a type: half the distance of neighbours at 1.
[[nodiscard]] double unit_roundoff(DType dtype) noexcept;

}  // namespace layerscope
