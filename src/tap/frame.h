// What the forward pass shows at an observed site, before any reduction.
#pragma once

#include <cstdint>

#include "layerscope/tap.h"

namespace layerscope {

/// Borrowed rows, valid during the call only. For a site of tokens: tokens `first` ... of the ragged batch of the
/// site's input (the encoder's for keys and values of a cross attention). For probabilities: `sequence`, `head` and
/// queries `first` ... of that sequence.
struct Frame {
  int observed = 0;  ///< index into TapPlan::observed()
  std::int64_t first = 0;
  RowsView rows;  ///< kF32, or kF64 from a float64 reference backend
  std::int64_t sequence = 0;
  std::int64_t head = 0;
};

/// Receives the frames of one batch, on the thread that runs it.
class Observer {
 public:
  virtual ~Observer() = default;
  [[nodiscard]] virtual Status observe(const Frame& frame) = 0;
};

}  // namespace layerscope
