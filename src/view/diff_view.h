// What a comparison found, as people and programs read it.
#pragma once

#include <string>

#include "diff/report.h"
#include "view/terminal.h"

namespace layerscope {

/// One JSON object, ending in a newline. A number that is infinite is written as the largest float64.
[[nodiscard]] std::string diff_json(const DiffReport& report);

/// The verdict, a line a site with its error against the floor, what the worst rows are, causes and notes.
[[nodiscard]] std::string diff_picture(const DiffReport& report, const Terminal& terminal);

/// The same as one page, with curves by site and a heat map of tokens and layers for each of the first rows.
[[nodiscard]] std::string diff_page(const DiffReport& report);

}  // namespace layerscope
