// Scripts and styles that stand inside the program's pages; cmake/embed_page_assets.cmake defines them.
#pragma once

#include <string_view>

namespace layerscope {

extern const std::string_view kPlotLibrary;      ///< dygraphs (MIT)
extern const std::string_view kPlotLibraryHash;  ///< "sha256-...", as a Content-Security-Policy names it
extern const std::string_view kPlotLibraryStyle;
extern const std::string_view kPlotScript;  ///< src/view/page/plots.js
extern const std::string_view kPlotScriptHash;
extern const std::string_view kPageStyle;  ///< src/view/page/page.css

}  // namespace layerscope
