// One settings file of a sentence-transformers folder, read field by field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"

namespace layerscope {

/// An object of a JSON file. The first wrong field is kept and told by `status`; readers then give their fallback.
class SettingsFile {
 public:
  /// Errors: kModel for what cannot be read or is no object.
  [[nodiscard]] static Result<SettingsFile> open(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const Json& json() const noexcept { return json_; }
  /// The field, or null where it is missing or null.
  [[nodiscard]] const Json* find(std::string_view key) const noexcept;
  [[nodiscard]] bool boolean(std::string_view key, bool fallback);
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback);
  /// A whole number from 1 to 2^31 - 1.
  [[nodiscard]] std::optional<std::int64_t> size(std::string_view key);
  /// Refuses every field that is not among these.
  void expect_only(std::initializer_list<std::string_view> keys);
  void refuse(std::string_view key, const std::string& what);
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  SettingsFile(std::string path, Json json) : path_(std::move(path)), json_(std::move(json)) {}
  std::string path_;
  Json json_;
  Status status_;
};

/// True if something of that name is there.
[[nodiscard]] bool file_exists(const std::string& path);

/// `folder/path` for a path that came from a file: relative, without "..", and still inside the folder when links are
/// followed. Errors: kModel, naming `named_in`.
[[nodiscard]] Result<std::string> inside_folder(const std::string& folder, const std::string& path,
                                                const std::string& named_in);

}  // namespace layerscope
