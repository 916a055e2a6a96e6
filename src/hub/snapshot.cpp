#include "hub/snapshot.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/json.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/shard_index.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr std::array<std::string_view, 4> kReadEndings = {".json", ".txt", ".model", ".spm"};
constexpr std::array<std::string_view, 6> kTokenizerFiles = {
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"};

class Snapshot {
 public:
  Snapshot(fs::path repository, fs::path snapshot) : repository_(std::move(repository)), at_(std::move(snapshot)) {}

  Status check() {
    LAYERSCOPE_TRY(place("config.json"));
    if (present(kSingleFile)) {
      LAYERSCOPE_TRY(place(kSingleFile));
    } else if (present(kIndexFile)) {
      LAYERSCOPE_TRY(place(kIndexFile));
      const std::string path = (at_ / kIndexFile).string();
      LAYERSCOPE_ASSIGN(const Json json, read_json_file(path, ErrorCode::kModel, kIndexLimits));
      LAYERSCOPE_ASSIGN(const ShardIndex index, parse_shard_index(json, path));
      for (const std::string& shard : index.shards) LAYERSCOPE_TRY(place(shard));
    } else if (unfinished()) {
      return partial(std::string("neither ") + kSingleFile + " nor " + kIndexFile);
    }
    const bool tokenizer = std::any_of(kTokenizerFiles.begin(), kTokenizerFiles.end(),
                                       [&](std::string_view file) { return present(file); });
    if (!tokenizer && unfinished()) return partial("no tokenizer");
    return check_small_files();
  }

 private:
  [[nodiscard]] bool present(std::string_view file) const {
    std::error_code error;
    return fs::symlink_status(at_ / file, error).type() != fs::file_type::not_found;
  }
  /// Whether a download began and did not end.
  [[nodiscard]] bool unfinished() const {
    std::error_code error;
    for (fs::directory_iterator at(repository_ / "blobs", error), end; !error && at != end; at.increment(error)) {
      if (at->path().extension() == ".incomplete") return true;
    }
    return false;
  }
  [[nodiscard]] Error refuse(std::string_view file, const std::string& what) const {
    return Error{ErrorCode::kModel, printable((at_ / file).string(), 4096) + ": " + what};
  }
  [[nodiscard]] Error partial(const std::string& has) const {
    return Error{ErrorCode::kModel, printable(at_.string(), 4096) + ": the snapshot is partial: it has " + has +
                                        (unfinished() ? ", and a download has not finished" : "")};
  }

  /// The file is there, and where it leads is the snapshot or the blobs.
  [[nodiscard]] Status place(std::string_view file) const {
    if (!present(file)) return partial("no " + printable(file, 300));
    std::error_code error;
    const fs::path real = fs::canonical(at_ / file, error);
    if (error == std::errc::no_such_file_or_directory)
      return partial("no " + printable(file, 300) + ": its link leads nowhere");
    if (error) return refuse(file, "cannot be opened (" + error.message() + ")");
    if (real.extension() == ".incomplete") return partial(printable(file, 300) + " in part only");
    const fs::path folder = real.parent_path();
    if (folder != at_ && folder != repository_ / "blobs")
      return refuse(file, "is a link that leads out of the repository's snapshot and blobs, to " +
                              printable(real.string(), 4096));
    if (!fs::is_regular_file(real, error)) return refuse(file, "is not a regular file");
    return {};
  }

  [[nodiscard]] Status check_small_files() const {
    std::error_code error;
    for (fs::directory_iterator at(at_, error), end; !error && at != end; at.increment(error)) {
      const std::string file = at->path().filename().string();
      const bool read = std::any_of(kReadEndings.begin(), kReadEndings.end(),
                                    [&](std::string_view ending) { return file.ends_with(ending); });
      std::error_code ignored;
      if (read && !fs::is_directory(fs::symlink_status(at->path(), ignored))) LAYERSCOPE_TRY(place(file));
    }
    if (error) return refuse("", "cannot be listed (" + error.message() + ")");
    return {};
  }

  fs::path repository_, at_;
};

}  // namespace

Status check_snapshot(const std::string& repository, const std::string& snapshot) {
  return Snapshot(repository, snapshot).check();
}

}  // namespace layerscope
