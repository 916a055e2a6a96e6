// Makes a tuned lens: for each layer the affine map of its stream that comes nearest to what the last block leaves.
//
// Belrose et al. 2023 (arXiv:2303.08112) find the maps by gradient steps on the divergence of the predictions. Here
// they are found in closed form, as Din et al. 2023 (arXiv:2303.09435) do, by least squares against the last block's
// stream: no step size and no stopping rule, the same file from the same rows, one walk over the data, and no gradient
// through each family's head (docs/lens.md). A token counts by one over
// the squared length of its target, so that the few with huge streams do not outweigh all others, and a ridge towards
// the identity is chosen on a tenth of the rows that is held out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "job/streams.h"
#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

/// How far a layer's stream is from the last block's, as a share of its squared length, over rows that are held out
/// (where there are none: over all).
struct LensLayerFit {
  std::string site;
  double before = 0;  ///< as it is
  double after = 0;   ///< mapped
};

struct LensTraining {
  std::int64_t rows = 0, tokens = 0;
  std::vector<LensLayerFit> layers;
};

/// Trains on every stream of the source and writes the lens to `path`, where it appears whole (session/tuned_lens.h
/// reads it). Rows whose number ends in 9 are held out while the ridge is chosen and join in the end. Moments of at
/// most about 2 GiB of layers are held at a time; the source is walked as often as that takes. The bits do not depend
/// on `threads`. Errors: kUsage for a source without the last block's stream or without any layer's; kModel, kResource;
/// the source's.
[[nodiscard]] Result<LensTraining> train_lens(const Model& model, StreamSource& source, const std::string& path,
                                              int threads);

}  // namespace layerscope
