#include "cli/page_file.h"

#include "base/try.h"
#include "store/file_io.h"
#include "store/whole_file.h"

namespace layerscope::cli {

Status check_page(const std::string& path, bool overwrite) {
  if (path.empty() || overwrite || !path_exists(path)) return {};
  return Error{ErrorCode::kUsage, path + ": exists already; --overwrite replaces it"};
}

Status write_page(const std::string& path, std::string_view text) {
  WholeFile page(path);
  LAYERSCOPE_TRY(page.open());
  LAYERSCOPE_TRY(page.append(text));
  return page.finish();
}

}  // namespace layerscope::cli
