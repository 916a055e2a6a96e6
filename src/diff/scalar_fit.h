// The value of one number of the other side, found from its outputs.
#pragma once

#include "diff/block_lab.h"
#include "diff/block_setup.h"

namespace layerscope {

struct ScalarFit {
  double value = 0;
  double error = 0;  ///< BlockLab::distance at that value
};

/// The best of the likely values, then Gauss-Newton steps from there where it comes clearly nearer than `before` but
/// not to the noise. `base` is what the number is changed in.
[[nodiscard]] ScalarFit fit_scalar(const BlockLab& lab, const BlockSetup& base, const ScalarVariant& scalar,
                                   double before);

}  // namespace layerscope
