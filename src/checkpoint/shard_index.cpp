#include "checkpoint/shard_index.h"

#include <algorithm>

#include "base/utf8.h"

namespace layerscope {
namespace {

bool is_size(const Json& value) noexcept {
  if (const std::int64_t* integer = value.integer()) return *integer >= 0;
  return value.real() != nullptr && *value.real() >= 0;  // old writers counted bits and divided: 1234.0
}

}  // namespace

const std::size_t* ShardIndex::find(std::string_view tensor) const noexcept {
  const auto found =
      std::ranges::lower_bound(tensors, tensor, {}, [](const auto& item) -> std::string_view { return item.first; });
  return found != tensors.end() && found->first == tensor ? &found->second : nullptr;
}

bool is_plain_file_name(std::string_view name) noexcept {
  constexpr std::size_t kMaxFileName = 255;
  if (name.empty() || name.size() > kMaxFileName || name == "." || name.find("..") != std::string_view::npos)
    return false;
  return std::ranges::none_of(name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' || c == '\\' || c == ':';
  });
}

Result<ShardIndex> parse_shard_index(const Json& index, std::string_view name) {
  const auto fail = [name](const std::string& what) {
    return Error{ErrorCode::kModel, printable(name, 4096) + ": " + what};
  };
  if (index.object() == nullptr) return fail("expected an object with weight_map");
  if (const Json* metadata = index.find("metadata"); metadata != nullptr && !metadata->is_null()) {
    if (metadata->object() == nullptr) return fail("metadata is no object");
    const Json* total = metadata->find("total_size");
    if (total != nullptr && !is_size(*total)) {
      return fail("metadata.total_size is " + printable(total->dump()) + ", expected a number of bytes");
    }
  }
  const Json* const weight_map = index.find("weight_map");
  if (weight_map == nullptr || weight_map->object() == nullptr) return fail("weight_map is missing or no object");
  const Json::Object& members = *weight_map->object();
  if (members.empty()) return fail("weight_map is empty");
  if (members.size() > kMaxTensors) return fail("weight_map has more than " + std::to_string(kMaxTensors) + " tensors");

  ShardIndex result;
  for (const auto& [tensor, value] : members) {
    const std::string* const file = value.string();
    const std::string where = "weight_map[\"" + printable(tensor) + "\"] is ";
    if (file == nullptr) return fail(where + printable(value.dump()) + ", expected a file name");
    if (!is_plain_file_name(*file)) {
      return fail(where + "\"" + printable(*file) + "\", expected the plain name of a file in the model's folder");
    }
    if (!file->ends_with(".safetensors")) {
      return fail(where + "\"" + printable(*file) + "\", expected a name that ends with .safetensors");
    }
    if (result.shards.empty() || result.shards.back() != *file) result.shards.push_back(*file);
  }
  std::ranges::sort(result.shards);
  result.shards.erase(std::unique(result.shards.begin(), result.shards.end()), result.shards.end());
  if (result.shards.size() > kMaxShards)
    return fail("weight_map names more than " + std::to_string(kMaxShards) + " files");
  result.tensors.reserve(members.size());
  for (const auto& [tensor, value] : members) {
    const auto shard = std::ranges::lower_bound(result.shards, *value.string()) - result.shards.begin();
    result.tensors.emplace_back(tensor, static_cast<std::size_t>(shard));
  }
  std::ranges::sort(result.tensors);
  return result;
}

}  // namespace layerscope
