// From the numbers of a comparison to its verdict.
#pragma once

#include <string>

#include "diff/report.h"

namespace layerscope {

/// Fills times, differs, local_differs of every site, then first and verdict, from errors, floors and tolerance.
void judge(DiffReport& report);
/// The sentence that a person reads first; causes are known by then.
[[nodiscard]] std::string verdict_sentence(const DiffReport& report);
/// "4,100", "8.2", "0.31".
[[nodiscard]] std::string times_text(double times);
/// "block.3.out (hidden_states[4])".
[[nodiscard]] std::string site_text(const std::string& site, const std::optional<int>& hf_index);

}  // namespace layerscope
