// Looks names up in the local cache of huggingface_hub: models--org--name/{refs,snapshots,blobs}.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/try.h"
#include "base/utf8.h"
#include "hub/hub_name.h"
#include "hub/snapshot.h"
#include "layerscope/hub.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxReference = 256;  // bytes of a file that holds 40

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string with_home(const std::string& path) {
  return path == "~" || path.starts_with("~/") ? variable("HOME") + path.substr(1) : path;
}

Error refuse(const fs::path& path, const std::string& what) {
  return Error{ErrorCode::kModel, printable(path.string(), 4096) + ": " + what};
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// The commit that a revision stands for.
Result<std::string> commit_of(const fs::path& repository, const HubName& name) {
  const fs::path reference = repository / "refs" / name.revision;
  std::error_code error;
  const bool named = fs::symlink_status(reference, error).type() != fs::file_type::not_found;
  if (!named && is_commit(name.revision)) return name.revision;
  if (!named)
    return refuse(repository, "no revision \"" + name.revision + "\" of " + name.repository +
                                  " is cached (expected a branch, tag or whole commit)");
  const fs::path real = fs::canonical(reference, error);
  if (error) return refuse(reference, "cannot be opened (" + error.message() + ")");
  if (real != reference) return refuse(reference, "is a link, to " + printable(real.string(), 4096));
  LAYERSCOPE_ASSIGN(std::string commit, read_file(reference.string(), ErrorCode::kModel, kMaxReference));
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r')) commit.pop_back();
  if (!is_commit(commit))
    return refuse(reference, "holds \"" + printable(commit, 60) + "\", expected the 40 digits of a commit");
  return commit;
}

Result<std::string> look_up(const HubName& name, const std::string& cache) {
  const fs::path entry = fs::path(cache) / name.folder();
  if (!is_folder(entry)) {
    return Error{ErrorCode::kModel, name.repository + ": is no folder, and not in the local cache (" +
                                        printable(entry.string(), 4096) + "): download it first, or name a folder"};
  }
  std::error_code error;
  const fs::path repository = fs::canonical(entry, error);
  if (error) return refuse(entry, "cannot be opened (" + error.message() + ")");
  LAYERSCOPE_ASSIGN(const std::string commit, commit_of(repository, name));
  const fs::path snapshot = repository / "snapshots" / commit;
  if (!is_folder(snapshot))
    return refuse(snapshot, "no such snapshot: " + name.repository + " is not whole in the local cache");
  const fs::path real = fs::canonical(snapshot, error);
  if (error) return refuse(snapshot, "cannot be opened (" + error.message() + ")");
  if (real != snapshot) return refuse(snapshot, "is a link, to " + printable(real.string(), 4096));
  LAYERSCOPE_TRY(check_snapshot(repository.string(), snapshot.string()));
  return snapshot.string();
}

}  // namespace

std::string find_hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string path = variable(name); !path.empty()) return with_home(path);
  }
  if (const std::string home = variable("HF_HOME"); !home.empty()) return with_home(home) + "/hub";
  if (const std::string caches = variable("XDG_CACHE_HOME"); !caches.empty())
    return with_home(caches) + "/huggingface/hub";
  const std::string home = variable("HOME");
  return home.empty() ? std::string() : home + "/.cache/huggingface/hub";
}

Result<std::string> find_model_folder(const std::string& model) { return find_model_folder(model, find_hub_cache()); }

Result<std::string> find_model_folder(const std::string& model, const std::string& cache) {
  std::error_code error;
  const bool exists = fs::symlink_status(model, error).type() != fs::file_type::not_found;
  if (exists || cache.empty()) return model;
  const std::optional<HubName> name = parse_hub_name(model);
  return name ? look_up(*name, cache) : Result<std::string>(model);
}

}  // namespace layerscope
