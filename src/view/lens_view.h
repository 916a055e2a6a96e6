// What the lens shows of one row, three ways.
#pragma once

#include <string>

#include "job/input.h"
#include "session/lens.h"
#include "view/terminal.h"

namespace layerscope {

/// One row seen through the lens. Everything is borrowed.
struct LensView {
  const Model& model;
  const InputRow& input;
  const ModelRow& row;
  StackId stack;
  const LensRow& lens;
  bool picked = false;  ///< positions were asked for
};

/// One JSON object, ending in a newline.
[[nodiscard]] std::string lens_json(const LensView& view);

/// Layers down, positions across, as many side by side as fit; longer texts are cut in the middle unless `all`.
[[nodiscard]] std::string lens_picture(const LensView& view, const Terminal& terminal, bool all);

/// A page that needs nothing else: its beginning, a table a row with the best tokens of a cell shown where the pointer
/// rests, its end. Text of the model and of the user is escaped; there is no script.
[[nodiscard]] std::string lens_page_begin(const Model& model);
[[nodiscard]] std::string lens_page_row(const LensView& view);
[[nodiscard]] std::string lens_page_end();

/// "embed", "3", "final": a layer's short name.
[[nodiscard]] std::string layer_label(const LensLayer& layer);

/// Mean over positions of KL(the model's own output ‖ the layer's prediction).
[[nodiscard]] double mean_kl(const LensLayer& layer);

}  // namespace layerscope
