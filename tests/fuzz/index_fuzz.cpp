// Any bytes as model.safetensors.index.json beside two good shards. Accepted names stay in the folder.
// Covers: src/checkpoint/shard_index.cpp
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "checkpoint/shard_index.h"
#include "fuzz/check.h"
#include "support/safetensors_bytes.h"

using namespace layerscope;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// A folder with x.safetensors (tensors a, b) and y.safetensors (tensor c), gone when the fuzzer ends.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "layerscope-fuzz-XXXXXX").string();
    fuzz::check(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    constexpr std::string_view kTwo = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                      R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
    constexpr std::string_view kOne = R"({"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
    write(path_ / "x.safetensors", test::safetensors_bytes(kTwo, 2));
    write(path_ / "y.safetensors", test::safetensors_bytes(kOne, 1));
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void check_index(const ShardIndex& index) {
  fuzz::check(!index.shards.empty() && !index.tensors.empty());
  fuzz::check(std::ranges::is_sorted(index.shards) && std::ranges::adjacent_find(index.shards) == index.shards.end());
  for (const std::string& shard : index.shards) {
    const fs::path path = (fs::path("/model") / shard).lexically_normal();
    fuzz::check(path.parent_path() == "/model" && path.filename() == shard && shard.ends_with(".safetensors"));
  }
  for (const auto& [tensor, shard] : index.tensors) {
    fuzz::check(shard < index.shards.size());
    fuzz::check(index.find(tensor) != nullptr && *index.find(tensor) == shard);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  const std::string_view text = fuzz::text_of(data, size);
  const auto json = parse_json(text, "f", ErrorCode::kModel, kIndexLimits);
  if (!json.ok()) return 0;
  const auto index = parse_shard_index(*json, "f");
  if (!index.ok()) {
    fuzz::check_error(index.error(), ErrorCode::kModel, "f");
    return 0;
  }
  check_index(*index);

  write(folder.path() / "model.safetensors.index.json", text);
  const auto checkpoint = open_checkpoint(folder.path().string());
  if (checkpoint.ok()) {
    fuzz::check((*checkpoint)->tensors().size() == index->tensors.size());
    for (const auto& [tensor, shard] : index->tensors) {
      fuzz::check((*checkpoint)->find(tensor)->file == index->shards[shard]);
    }
  } else {
    fuzz::check(checkpoint.error().code == ErrorCode::kModel);
    fuzz::check(checkpoint.error().message.starts_with(folder.path().string()));
  }
  return 0;
}
