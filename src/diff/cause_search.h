// Which of the hypotheses, alone or two together, gives the other side's values.
#pragma once

#include <string>
#include <vector>

#include "diff/block_lab.h"
#include "diff/block_setup.h"

namespace layerscope {

/// Errors up to so many times the noise are those of honest runs.
inline constexpr double kHonest = 4;

/// A variant, and how near it comes.
struct Finding {
  std::string site, kind, says;
  double before = 0, after = 0;
  std::string evidence;
};

class CauseSearch {
 public:
  CauseSearch(const BlockLab& lab, double before);

  /// One finding that is proved; or two that are proved together; or none.
  [[nodiscard]] std::vector<Finding> run();
  /// The variant that came nearest, proved or not; its `after` is `before` where none came nearer at all.
  [[nodiscard]] const Finding& nearest() const noexcept { return nearest_; }

 private:
  struct Trial {
    std::string site, kind, says;
    double after = 0;
    bool approximate = false, alone = false;
    std::function<void(BlockSetup&)> apply;
  };
  /// Tries all of `stage` on top of `base`.
  [[nodiscard]] std::vector<Trial> try_all(const Hypotheses& stage, const BlockSetup& base, double before) const;
  /// The proved trial to be named, or null; `other` is a second one that fits as well. Those that round count as proved
  /// when they leave less than 1 / `rounded_clear` of the error.
  [[nodiscard]] const Trial* proved(const std::vector<Trial>& trials, double before, double rounded_clear,
                                    const Trial*& other) const;
  [[nodiscard]] std::vector<Finding> with_second(const Trial& first, const std::vector<Hypotheses>& stages) const;
  [[nodiscard]] std::vector<Finding> pairs(std::vector<Trial> singles, const std::vector<Hypotheses>& stages) const;
  [[nodiscard]] Finding finding(const Trial& trial, double before, const Trial* other) const;

  const BlockLab& lab_;
  double before_ = 0;
  Finding nearest_;
};

}  // namespace layerscope
