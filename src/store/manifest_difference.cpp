#include "store/manifest.h"

namespace layerscope {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string difference(std::string_view field, const std::string& run, const std::string& command) {
  return std::string(field) + ": the run has " + run + ", this command has " + command;
}

std::optional<std::string> config_difference(const Json::Object& run, const Json::Object& command) {
  const Json run_json(run);
  const Json command_json(command);
  for (const auto& [key, value] : command) {
    const Json* other = run_json.find(key);
    if (other == nullptr) return difference("config." + key, "nothing", value.dump());
    if (*other != value) return difference("config." + key, other->dump(), value.dump());
  }
  for (const auto& [key, value] : run) {
    if (command_json.find(key) == nullptr) return difference("config." + key, value.dump(), "nothing");
  }
  return std::nullopt;
}

std::string file_text(const ManifestFile& file) {
  return std::to_string(file.size) + " bytes with hash " + file.xxh128;
}

std::optional<std::string> model_difference(const Manifest& run, const Manifest& command) {
  if (run.model_type != command.model_type)
    return difference("model.type", quoted(run.model_type), quoted(command.model_type));
  if (run.parameters != command.parameters) {
    return difference("model.parameters", std::to_string(run.parameters), std::to_string(command.parameters));
  }
  if (run.files.size() != command.files.size()) {
    return difference("model.files", std::to_string(run.files.size()) + " files",
                      std::to_string(command.files.size()) + " files");
  }
  for (std::size_t index = 0; index < run.files.size(); ++index) {
    const ManifestFile& old_file = run.files[index];
    const ManifestFile& new_file = command.files[index];
    if (old_file.name != new_file.name) return difference("model.files", quoted(old_file.name), quoted(new_file.name));
    if (old_file.size != new_file.size || old_file.xxh128 != new_file.xxh128) {
      return difference("model file " + old_file.name, file_text(old_file), file_text(new_file));
    }
  }
  return std::nullopt;
}

std::string site_text(const StoredSite& site) {
  return quoted(site.name) + " of width " + std::to_string(site.width) + " as " + std::string(dtype_name(site.dtype));
}

std::optional<std::string> site_difference(const ShardSchema& run, const ShardSchema& command) {
  for (std::size_t index = 0; index < run.sites.size() || index < command.sites.size(); ++index) {
    const std::string old_text = index < run.sites.size() ? site_text(run.sites[index]) : "nothing";
    const std::string new_text = index < command.sites.size() ? site_text(command.sites[index]) : "nothing";
    if (old_text != new_text || run.sites[index].unit != command.sites[index].unit) {
      return difference("sites[" + std::to_string(index) + "]", old_text, new_text);
    }
  }
  return std::nullopt;
}

std::string part_text(const std::optional<std::pair<int, int>>& part) {
  return part ? std::to_string(part->first) + "/" + std::to_string(part->second) : "none";
}

}  // namespace

std::optional<std::string> manifest_difference(const Manifest& run, const Manifest& command) {
  if (auto found = config_difference(run.config, command.config)) return found;
  if (auto found = site_difference(run.schema, command.schema)) return found;
  if (auto found = model_difference(run, command)) return found;
  if (run.tokenizer != command.tokenizer) {
    return difference("tokenizer", quoted(run.tokenizer.value_or("none")), quoted(command.tokenizer.value_or("none")));
  }
  if (run.isa != command.isa) return difference("isa", quoted(run.isa), quoted(command.isa));
  if (run.build != command.build) return difference("build", quoted(run.build), quoted(command.build));
  if (run.determinism != command.determinism)
    return difference("determinism", quoted(run.determinism), quoted(command.determinism));
  if (run.part != command.part) return difference("part", part_text(run.part), part_text(command.part));
  return std::nullopt;
}

}  // namespace layerscope
