#include "session/module_files.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {

namespace fs = std::filesystem;

Result<SettingsFile> SettingsFile::open(const std::string& path) {
  LAYERSCOPE_ASSIGN(Json json, read_json_file(path, ErrorCode::kModel));
  if (json.object() == nullptr) return Error{ErrorCode::kModel, path + ": is no JSON object"};
  return SettingsFile(path, std::move(json));
}

const Json* SettingsFile::find(std::string_view key) const noexcept {
  const Json* value = json_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void SettingsFile::refuse(std::string_view key, const std::string& what) {
  if (status_) status_ = Error{ErrorCode::kModel, path_ + ": \"" + printable(key) + "\" " + what};
}

bool SettingsFile::boolean(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->boolean() == nullptr) {
    refuse(key, "is " + printable(value->dump()) + ", expected true or false");
    return fallback;
  }
  return *value->boolean();
}

std::string SettingsFile::text(std::string_view key, std::string_view fallback) {
  const Json* value = find(key);
  if (value != nullptr && value->string() == nullptr)
    refuse(key, "is " + printable(value->dump()) + ", expected a string");
  return value == nullptr || value->string() == nullptr ? std::string(fallback) : *value->string();
}

std::optional<std::int64_t> SettingsFile::size(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::int64_t* number = value->integer();
  if (number == nullptr || *number < 1 || *number > std::numeric_limits<std::int32_t>::max()) {
    refuse(key, "is " + printable(value->dump()) + ", expected a whole number above 0");
    return std::nullopt;
  }
  return *number;
}

void SettingsFile::expect_only(std::initializer_list<std::string_view> keys) {
  for (const auto& [key, value] : *json_.object()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) refuse(key, "is unknown and could change the vector");
  }
}

bool file_exists(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

Result<std::string> inside_folder(const std::string& folder, const std::string& path, const std::string& named_in) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::kModel, named_in + ": \"path\" is \"" + printable(path) + "\", " + why};
  };
  if (path.empty()) return folder;
  if (path.find('\0') != std::string::npos || path.find('\\') != std::string::npos ||
      path.find(':') != std::string::npos)
    return refused("expected a plain folder name");
  const fs::path relative(path);
  if (relative.is_absolute()) return refused("expected a folder within this one");
  for (const fs::path& part : relative) {
    if (part == "..") return refused("which leads out of the folder");
  }
  std::error_code error;
  const fs::path whole = fs::path(folder) / relative;
  if (!fs::exists(whole, error)) return whole.string();
  const fs::path base = fs::canonical(folder, error), real = fs::canonical(whole, error);
  if (error || std::mismatch(base.begin(), base.end(), real.begin(), real.end()).first != base.end())
    return refused("which leads out of the folder");
  return whole.string();
}

}  // namespace layerscope
