#include "store/whole_file.h"

#include <filesystem>

#include "base/try.h"

namespace layerscope {

WholeFile::~WholeFile() {
  if (!file_.is_open()) return;
  [[maybe_unused]] const Status removed = remove_file(temporary_);
}

Status WholeFile::open() {
  LAYERSCOPE_ASSIGN(file_, File::create(temporary_));
  return {};
}

Status WholeFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  return file_.write_at(offset, bytes);
}

Status WholeFile::append(std::string_view text) {
  LAYERSCOPE_TRY(file_.write_at(appended_, std::as_bytes(std::span(text))));
  appended_ += text.size();
  return {};
}

Status WholeFile::finish() {
  LAYERSCOPE_TRY(file_.sync());
  LAYERSCOPE_TRY(rename_file(temporary_, path_));
  file_ = File();
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  return sync_folder(folder.empty() ? "." : folder);
}

}  // namespace layerscope
