#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/weight_place.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

Error refuse(const std::string& path, const std::string& what) {
  return {ErrorCode::kModel, printable(path, 4096) + ": " + what};
}

std::string join(const std::string& folder, const std::string& file) { return (fs::path(folder) / file).string(); }

class SafetensorsCheckpoint final : public Checkpoint {
 public:
  [[nodiscard]] const std::vector<SourceTensor>& tensors() const noexcept override { return tensors_; }
  [[nodiscard]] const std::vector<std::string>& files() const noexcept override { return files_; }

  /// Maps a file and takes in its tensors.
  Status add(const std::string& folder, const std::string& file) {
    LAYERSCOPE_TRY(check_weight_place(folder, file));
    const std::string path = join(folder, file);
    LAYERSCOPE_ASSIGN(MappedFile mapped, MappedFile::open(path, ErrorCode::kModel));
    LAYERSCOPE_ASSIGN(SafetensorsHeader header, parse_safetensors(mapped.bytes(), path));
    if (header.tensors.size() > kMaxTensors - tensors_.size()) {
      return refuse(path, "more than " + std::to_string(kMaxTensors) + " tensors in one checkpoint");
    }
    for (TensorEntry& entry : header.tensors) {
      const std::byte* const data = mapped.bytes().data() + header.data_offset + entry.begin;
      tensors_.push_back({std::move(entry.name), {entry.dtype, entry.shape, data}, file});
    }
    files_.push_back(path);
    mapped_.push_back(std::move(mapped));
    return {};
  }

  void sort() { std::ranges::sort(tensors_, {}, &SourceTensor::name); }

 private:
  std::vector<SourceTensor> tensors_;
  std::vector<std::string> files_;
  std::vector<MappedFile> mapped_;
};

using Opened = Result<std::unique_ptr<Checkpoint>>;

Opened open_single(const std::string& folder, const std::string& file) {
  auto checkpoint = std::make_unique<SafetensorsCheckpoint>();
  LAYERSCOPE_TRY(checkpoint->add(folder, file));
  checkpoint->sort();
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

Opened open_sharded(const std::string& folder) {
  const std::string index_path = join(folder, kIndexFile);
  LAYERSCOPE_TRY(check_weight_place(folder, kIndexFile));
  LAYERSCOPE_ASSIGN(const Json json, read_json_file(index_path, ErrorCode::kModel, kIndexLimits));
  LAYERSCOPE_ASSIGN(const ShardIndex index, parse_shard_index(json, index_path));

  auto checkpoint = std::make_unique<SafetensorsCheckpoint>();
  for (std::size_t shard = 0; shard < index.shards.size(); ++shard) {
    const std::string& file = index.shards[shard];
    const std::size_t before = checkpoint->tensors().size();
    LAYERSCOPE_TRY(checkpoint->add(folder, file));
    for (std::size_t i = before; i < checkpoint->tensors().size(); ++i) {
      const std::string& name = checkpoint->tensors()[i].name;
      const std::size_t* const mapped = index.find(name);
      if (mapped == nullptr) {
        return refuse(join(folder, file),
                      "holds tensor \"" + printable(name) + "\", which " + kIndexFile + " does not list");
      }
      if (*mapped != shard) {
        return refuse(join(folder, file), "holds tensor \"" + printable(name) + "\", which " + kIndexFile +
                                              " places in " + index.shards[*mapped]);
      }
    }
  }
  checkpoint->sort();
  for (const auto& [name, shard] : index.tensors) {
    if (checkpoint->find(name) == nullptr) {
      return refuse(join(folder, index.shards[shard]),
                    "lacks tensor \"" + printable(name) + "\", which " + kIndexFile + " places in it");
    }
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

/// Why a folder without the expected files is refused, and the way out.
Error explain_absence(const std::string& folder) {
  const std::string missing = std::string("has neither ") + kSingleFile + " nor " + kIndexFile;
  for (const char* pickle :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"}) {
    if (!exists(join(folder, pickle))) continue;
    return refuse(folder, missing + "; " + pickle +
                              " is never read, as such files can run code or hide it: convert it with " +
                              "transformers, AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)");
  }
  std::string found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string file = at->path().filename().string();
    if (file.ends_with(".safetensors") && (found.empty() || file < found)) found = file;
  }
  return refuse(folder, found.empty() ? missing : missing + " (there is " + printable(found) + ")");
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& folder) {
  std::error_code error;
  if (folder.find('\0') != std::string::npos || !fs::is_directory(folder, error)) {
    return refuse(folder, "is not a folder" + (error ? " (" + error.message() + ")" : std::string()));
  }
  if (exists(join(folder, kSingleFile))) return open_single(folder, kSingleFile);
  if (exists(join(folder, kIndexFile))) return open_sharded(folder);
  return explain_absence(folder);
}

Result<std::unique_ptr<Checkpoint>> open_weight_file(const std::string& folder, const std::string& file) {
  return open_single(folder, file);
}

}  // namespace layerscope
