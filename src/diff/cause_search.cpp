#include "diff/cause_search.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "diff/hypotheses.h"
#include "diff/scalar_fit.h"

namespace layerscope {
namespace {

constexpr double kClear = 3;              // an error that a proof takes away is at least so many times what is left
constexpr double kClearRounded = 2;       // likewise for variants that round, whose results are near, not equal
constexpr double kSecondRounded = 1.2;    // beside another fault
constexpr double kPartRounded = 1.05;     // predicting even a part of a rounding error is no chance: it looks random
constexpr double kAlike = 1.5;            // errors within this factor cannot be told apart
constexpr double kLarger = 0.8;           // undoing the larger of two faults leaves at most so much of the error
constexpr std::size_t kMostPartners = 4;  // single variants that are tried with all others

std::vector<Hypotheses> stages_of(const BlockLab& lab) {
  std::vector<Hypotheses> stages(4);
  suspect_activations(lab, stages[0]);
  suspect_norms(lab, stages[0]);
  suspect_embedding(lab, stages[0]);
  suspect_masks(lab, stages[0]);
  suspect_scores(lab, stages[0]);
  suspect_rotations(lab, stages[0]);
  suspect_steps(lab, stages[0]);
  suspect_weights(lab, stages[1]);
  suspect_precision(lab, stages[2]);
  suspect_other_weights(lab, stages[3]);
  return stages;
}

}  // namespace

std::string number_text(double value) { return fmt::format("{:.6g}", value); }

CauseSearch::CauseSearch(const BlockLab& lab, double before)
    : lab_(lab), before_(before), nearest_{.before = before, .after = before} {}

std::vector<CauseSearch::Trial> CauseSearch::try_all(const Hypotheses& stage, const BlockSetup& base,
                                                     double before) const {
  std::vector<Trial> trials;
  for (const ScalarVariant& scalar : stage.scalars) {
    const ScalarFit fit = fit_scalar(lab_, base, scalar, before);
    if (!(fit.error < before)) continue;
    trials.push_back({.site = scalar.site,
                      .kind = scalar.kind,
                      .says = scalar.name + " is " + fmt::format("{:.4g}", fit.value) + " rather than " +
                              fmt::format("{:.4g}", scalar.ours),
                      .after = fit.error,
                      .apply = [apply = scalar.apply, value = fit.value](BlockSetup& setup) { apply(setup, value); }});
  }
  for (const Variant& variant : stage.variants) {
    BlockSetup setup = base;
    variant.apply(setup);
    const double after = lab_.error(setup);
    if (!(after < before)) continue;
    trials.push_back(
        {variant.site, variant.kind, variant.says, after, variant.approximate, variant.alone, variant.apply});
  }
  return trials;
}

const CauseSearch::Trial* CauseSearch::proved(const std::vector<Trial>& trials, double before, double rounded_clear,
                                              const Trial*& other) const {
  const auto fits = [&](const Trial& trial) {
    if (trial.approximate) return trial.after * rounded_clear < before;
    return trial.after <= kHonest * lab_.noise() && trial.after * kClear < before;
  };
  const Trial* best = nullptr;
  for (const Trial& trial : trials) {
    if (fits(trial) && (best == nullptr || trial.after * kAlike < best->after)) best = &trial;
  }
  other = nullptr;
  for (const Trial& trial : trials) {
    const bool alike = best != nullptr && &trial != best && fits(trial) && trial.after < kAlike * best->after;
    if (alike && other == nullptr && trial.site != best->site) other = &trial;
  }
  return best;
}

Finding CauseSearch::finding(const Trial& trial, double before, const Trial* other) const {
  std::string evidence =
      fmt::format("{}: with that, the error of {:.2g} falls to {:.2g}", trial.says, before, trial.after);
  if (other != nullptr) evidence += "; on these rows the same as: " + other->says;
  return {trial.site, trial.kind, trial.says, before, trial.after, std::move(evidence)};
}

std::vector<Finding> CauseSearch::run() {
  const std::vector<Hypotheses> stages = stages_of(lab_);
  std::vector<Trial> singles;
  for (const Hypotheses& stage : stages) {
    std::vector<Trial> trials = try_all(stage, lab_.base(), before_);
    const Trial* other = nullptr;
    const Trial* best = proved(trials, before_, kClearRounded, other);
    if (best != nullptr && best->approximate) return with_second(*best, stages);
    if (best != nullptr) return {finding(*best, before_, other)};
    singles.insert(singles.end(), std::make_move_iterator(trials.begin()), std::make_move_iterator(trials.end()));
  }
  std::ranges::stable_sort(singles, {}, &Trial::after);
  if (!singles.empty()) nearest_ = finding(singles.front(), before_, nullptr);
  std::vector<Finding> two = pairs(singles, stages);
  if (!two.empty()) return two;
  std::erase_if(singles, [](const Trial& trial) { return !trial.approximate; });
  const Trial* other = nullptr;
  if (const Trial* part = proved(singles, before_, kPartRounded, other)) return {finding(*part, before_, nullptr)};
  return {};
}

// A rounding that explains most of an error may stand beside a fault that explains what is left.
std::vector<Finding> CauseSearch::with_second(const Trial& first, const std::vector<Hypotheses>& stages) const {
  const std::vector<Finding> alone = {finding(first, before_, nullptr)};
  if (first.after <= kHonest * lab_.noise()) return alone;
  BlockSetup base = lab_.base();
  first.apply(base);
  for (std::size_t stage = 0; stage < 2; ++stage) {
    const std::vector<Trial> trials = try_all(stages[stage], base, first.after);
    const auto best = std::ranges::min_element(trials, {}, &Trial::after);
    if (best != trials.end() && best->after * kClear < first.after)
      return {alone.front(), finding(*best, first.after, nullptr)};
  }
  return alone;
}

std::vector<Finding> CauseSearch::pairs(std::vector<Trial> singles, const std::vector<Hypotheses>& stages) const {
  std::erase_if(
      singles, [&](const Trial& trial) { return trial.alone || trial.approximate || trial.after > kLarger * before_; });
  if (singles.size() > kMostPartners) singles.resize(kMostPartners);
  for (const Trial& first : singles) {
    BlockSetup base = lab_.base();
    first.apply(base);
    for (std::size_t stage = 0; stage + 1 < stages.size(); ++stage) {
      const std::vector<Trial> trials = try_all(stages[stage], base, first.after);
      const Trial* other = nullptr;
      const Trial* second = proved(trials, first.after, kSecondRounded, other);
      if (second == nullptr) continue;
      return {finding(first, before_, nullptr), finding(*second, first.after, other)};
    }
  }
  return {};
}

}  // namespace layerscope
