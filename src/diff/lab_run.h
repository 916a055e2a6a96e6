// One pass of a part under a setup.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "diff/block_setup.h"
#include "diff/cause.h"
#include "layerscope/error.h"

namespace layerscope {

struct LabInput {
  StackId stack = StackId::kEncoder;
  std::int64_t width = 0;  ///< of the stream
  const std::vector<BlockEvidence::Row>& rows;
  bool from_ids = false;  ///< the part is the embedding; else it starts from the rows' inputs
};

/// The slots of a part.
[[nodiscard]] std::vector<Slot> lab_slots(StackId id, std::int64_t width, const Stack& stack);

/// The values at `site` (as enumerate_sites names it for the setup's stack alone), [tokens, width] of all rows end to
/// end without padding; `inner` has one type for all. A norm's weights that the setup lacks are ones, biases zeros.
/// Errors: kUsage for a setup that cannot be run (weights missing or of another size, positions beyond their table, no
/// padding known); those of the engine.
[[nodiscard]] Result<std::vector<double>> lab_run(const Backend& inner, const LabInput& input, const BlockSetup& setup,
                                                  const std::string& site);

}  // namespace layerscope
