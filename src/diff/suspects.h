// The parts that differ by themselves, and why they do.
#pragma once

#include <span>
#include <string>

#include "diff/align.h"
#include "diff/chain.h"
#include "diff/report.h"

namespace layerscope {

struct Suspects {
  const Model& model;  ///< whose parts can be run
  const Side& other;   ///< what they are held against
  std::span<const ChainLink> chain;
  std::span<const std::string> known;  ///< sites of the other side that parts start from
  std::span<const RowPair> pairs;
  bool b_is_other = true;
};

/// Asks for the causes of every part whose local error is above its floor, of the first ones where there are many, and
/// adds them to the report. Errors: those of the sides and of find_causes.
[[nodiscard]] Status add_causes(const Suspects& suspects, DiffReport& report);

}  // namespace layerscope
