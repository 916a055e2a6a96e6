// Probes: how well a linear model reads labels off the states of a layer, scored on rows that it has not seen.
//
// A task is made once from the labels: which rows take part, which fold each belongs to, what the control task says.
// The same task is then put to every layer. Everything is a function of states, labels and seed: threads change no bit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/vector_set.h"
#include "layerscope/error.h"

namespace layerscope {

/// The class of a row that is left out.
inline constexpr std::int32_t kUnlabelled = -1;
/// Classes that a probe tells apart, at most.
inline constexpr std::int32_t kMostProbeClasses = 2048;

/// One entry a row of the layers, [rows]; a row is counted through the blocks of a VectorSet, end to end, whatever its
/// number. Either `classes` or `targets` is given. Borrowed while the task is made.
struct ProbeLabels {
  std::span<const std::int32_t> classes;  ///< 0 ... class_count - 1, or kUnlabelled
  std::int32_t class_count = 0;
  std::span<const double> targets;       ///< NaN: the row is left out
  std::span<const std::int64_t> groups;  ///< rows of one group are never on both sides; empty: every row its own
  std::span<const std::int64_t> types;   ///< what the control task gives one label (a word); empty: no control task
};

enum class ProbeMetric : std::uint8_t {
  kAccuracy,
  kMacroF1,  ///< mean of the classes' F1 scores; a class neither there nor predicted does not count
  kR2,       ///< 1 - squared error / squared distance from the mean of the targets; for targets, and for them alone
};

struct ProbeOptions {
  ProbeMetric metric = ProbeMetric::kAccuracy;
  int folds = 5;  ///< 2 ... 20
  std::uint64_t seed = 0;
  bool control = true;  ///< where there are types
  bool description_length = true;
  /// Strengths to choose from, ascending: scikit-learn's C for classes, 1 / alpha for targets; all above 0. Empty:
  /// powers of ten. With one there is nothing to choose.
  std::vector<double> strengths;
  std::int64_t choice_rows = 16'384;  ///< labelled rows that a choice of the strength looks at, at most
  double confidence = 0.95;
  int resamples = 1000;
  int threads = 0;                  ///< 0: all cores
  std::string isa;                  ///< as CpuOptions
  std::function<bool()> stop = {};  ///< asked between passes; true ends in kCancelled
};

/// A score with its percentile interval from a bootstrap over groups (Efron and Tibshirani 1993, chapter 13; groups as
/// units: Davison and Hinkley 1997, section 3.8).
struct ProbeScore {
  double score = 0, low = 0, high = 0;
};

/// Online coding (Voita and Titov 2020, "Information-Theoretic Probing with Minimum Description Length", section 2.2):
/// rows in a random order of groups, cut at 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.25, 12.5, 25, 50 and 100 % of them; the
/// first part costs log2(classes) bits a row, each other what the probe of all parts before it gives its labels.
struct DescriptionLength {
  double bits = 0;
  double uniform_bits = 0;  ///< rows * log2(classes)
};

/// What one layer knows.
struct LayerProbe {
  ProbeScore score;                         ///< of all held-out rows of all folds together
  std::optional<ProbeScore> control;        ///< the same for the control task
  std::optional<double> selectivity;        ///< score - control (Hewitt and Liang 2019)
  std::optional<DescriptionLength> length;  ///< for classes
  std::vector<std::int64_t> confusion;      ///< rows of class i taken for class j, [class_count, class_count]
  std::vector<double> strengths;            ///< chosen, by fold
  std::int64_t unconverged = 0;             ///< fits that ran into the limit of passes
};

/// A learned scalar mix (Peters et al. 2018, "Deep contextualized word representations", equation 1): the probe reads
/// gamma * sum of weights[i] * layer i, weights = softmax(s), trained together with the probe.
struct LayerMix {
  std::vector<double> weights;  ///< sum to 1, in the order of the layers
  double gamma = 1;
  ProbeScore score;  ///< of the first fold, held out
};

class ProbeTask {
 public:
  /// Errors: kUsage for labels without two classes (two different targets), groups too few for the folds, lengths that
  /// differ, ids out of range, options out of range, an unknown instruction set.
  [[nodiscard]] static Result<std::unique_ptr<ProbeTask>> make(const ProbeLabels& labels, const ProbeOptions& options);
  ~ProbeTask();
  ProbeTask(const ProbeTask&) = delete;
  ProbeTask& operator=(const ProbeTask&) = delete;

  /// `layer`: float vectors, as many as there are labels. Errors: kUsage for another number of rows; kRuntime for a
  /// labelled row that is not finite; kResource; kCancelled.
  [[nodiscard]] Result<LayerProbe> run(const VectorSet& layer) const;
  /// All layers of one width; fitted to at most mix_rows of the labelled rows. Classes only (kUsage).
  [[nodiscard]] Result<LayerMix> mix(std::span<const VectorSet> layers, std::int64_t mix_rows = 32'768) const;

  /// The score of always saying what is most frequent (the mean) in the training part.
  [[nodiscard]] const ProbeScore& baseline() const noexcept;
  [[nodiscard]] bool has_control() const noexcept;
  /// Rows that take part, and groups of them.
  [[nodiscard]] std::int64_t rows() const noexcept;
  [[nodiscard]] std::int64_t groups() const noexcept;
  /// Rows of each class, [class_count]; empty for targets.
  [[nodiscard]] const std::vector<std::int64_t>& class_rows() const noexcept;

  struct State;

 private:
  explicit ProbeTask(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace layerscope
