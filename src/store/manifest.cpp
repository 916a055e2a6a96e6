#include "store/manifest.h"

#include <array>

#include "base/hash.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::string_view kHashField = "\"manifest_xxh128\": \"";
constexpr std::string_view kNoHash = "00000000000000000000000000000000";
constexpr std::array<std::string_view, 4> kUnits = {"tokens", "pooled", "picks", "probs"};
constexpr std::array<std::string_view, 2> kStacks = {"encoder", "decoder"};

Json text_json(std::string_view text) { return Json(std::string(text)); }
Json number_json(std::uint64_t number) { return Json(static_cast<std::int64_t>(number)); }
Json optional_json(const std::optional<int>& number) {
  return number ? Json(static_cast<std::int64_t>(*number)) : Json();
}

Json site_json(const StoredSite& site) {
  return Json(Json::Object{{"name", text_json(site.name)},
                           {"hf_index", optional_json(site.hf_index)},
                           {"width", Json(site.width)},
                           {"heads", site.heads > 0 ? Json(site.heads) : Json()},
                           {"dtype", text_json(dtype_name(site.dtype))},
                           {"unit", text_json(kUnits[static_cast<std::size_t>(site.unit)])},
                           {"stack", text_json(kStacks[static_cast<std::size_t>(site.stack)])},
                           {"cross", Json(site.cross)}});
}

Json model_json(const Manifest& manifest) {
  Json::Array files;
  for (const ManifestFile& file : manifest.files) {
    files.push_back(Json(Json::Object{
        {"name", text_json(file.name)}, {"size", number_json(file.size)}, {"xxh128", text_json(file.xxh128)}}));
  }
  return Json(Json::Object{{"path", text_json(manifest.model_path)},
                           {"type", text_json(manifest.model_type)},
                           {"parameters", number_json(manifest.parameters)},
                           {"files", Json(std::move(files))}});
}

/// Reads fields; the first that is missing or of another kind is remembered as damage.
class FieldReader {
 public:
  explicit FieldReader(std::string name) : name_(std::move(name)) {}

  const Json* get(const Json& object, std::string_view key) {
    const Json* value = object.find(key);
    if (value == nullptr) fail(key, "is missing");
    return value;
  }
  std::string text(const Json& object, std::string_view key) {
    const Json* value = get(object, key);
    if (value == nullptr) return {};
    if (value->string() == nullptr) return fail(key, "is no string"), std::string();
    return *value->string();
  }
  std::int64_t number(const Json& object, std::string_view key) {
    const Json* value = get(object, key);
    if (value == nullptr) return 0;
    if (value->integer() == nullptr || *value->integer() < 0) return fail(key, "is no integer from 0 on"), 0;
    return *value->integer();
  }
  bool flag(const Json& object, std::string_view key) {
    const Json* value = get(object, key);
    if (value == nullptr) return false;
    if (value->boolean() == nullptr) return fail(key, "is neither true nor false"), false;
    return *value->boolean();
  }
  const Json::Array& array(const Json& object, std::string_view key) {
    static const Json::Array kEmpty;
    const Json* value = get(object, key);
    if (value == nullptr) return kEmpty;
    if (value->array() == nullptr) return fail(key, "is no array"), kEmpty;
    return *value->array();
  }
  template <std::size_t N>
  std::size_t choice(const Json& object, std::string_view key, const std::array<std::string_view, N>& names) {
    const std::string value = text(object, key);
    for (std::size_t index = 0; index < N; ++index) {
      if (names[index] == value) return index;
    }
    fail(key, "has an unknown value");
    return 0;
  }
  void fail(std::string_view key, std::string_view what) {
    if (!error_)
      error_ = Error{ErrorCode::kDamage, name_ + ": field \"" + std::string(key) + "\" " + std::string(what)};
  }
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  std::string name_;
  std::optional<Error> error_;
};

StoredSite parse_site(FieldReader& reader, const Json& json) {
  StoredSite site;
  site.name = reader.text(json, "name");
  if (const Json* index = reader.get(json, "hf_index"); index != nullptr && index->integer() != nullptr) {
    site.hf_index = static_cast<int>(*index->integer());
  }
  site.width = reader.number(json, "width");
  if (const Json* heads = reader.get(json, "heads"); heads != nullptr && heads->integer() != nullptr)
    site.heads = *heads->integer();
  if (const auto dtype = dtype_from_name(reader.text(json, "dtype"))) {
    site.dtype = *dtype;
  } else {
    reader.fail("dtype", "is no type of a tensor");
  }
  site.unit = static_cast<StoredUnit>(reader.choice(json, "unit", kUnits));
  site.stack = static_cast<StackId>(reader.choice(json, "stack", kStacks));
  site.cross = reader.flag(json, "cross");
  if (site.unit != StoredUnit::kProbs && site.width < 1) reader.fail("width", "is below 1");
  return site;
}

/// True if the hash at the end of the text is that of the text.
bool hash_matches(std::string_view text) {
  const std::size_t at = text.rfind(kHashField);
  if (at == std::string_view::npos || at + kHashField.size() + kNoHash.size() > text.size()) return false;
  std::string plain(text);
  plain.replace(at + kHashField.size(), kNoHash.size(), kNoHash);
  Hasher hasher;
  hasher.update(plain);
  return hasher.hex() == text.substr(at + kHashField.size(), kNoHash.size());
}

void parse_fields(FieldReader& reader, const Json& json, Manifest& manifest) {
  if (const Json* config = reader.get(json, "config"); config != nullptr && config->object() != nullptr) {
    manifest.config = *config->object();
    const Json* generation = config->find("generation");
    manifest.schema.generated = generation != nullptr && !generation->is_null();
  } else {
    reader.fail("config", "is no object");
  }
  if (const Json* model = reader.get(json, "model")) {
    manifest.model_path = reader.text(*model, "path");
    manifest.model_type = reader.text(*model, "type");
    manifest.parameters = static_cast<std::uint64_t>(reader.number(*model, "parameters"));
    for (const Json& file : reader.array(*model, "files")) {
      manifest.files.push_back({reader.text(file, "name"), static_cast<std::uint64_t>(reader.number(file, "size")),
                                reader.text(file, "xxh128")});
    }
  }
  if (const Json* tokenizer = reader.get(json, "tokenizer"); tokenizer != nullptr && !tokenizer->is_null()) {
    manifest.tokenizer = reader.text(*tokenizer, "xxh128");
  }
  const Json::Array& stacks = reader.array(json, "stacks");
  manifest.schema.two_stacks = stacks.size() == 2;
  manifest.schema.main =
      stacks.size() == 1 && stacks[0] == text_json(kStacks[1]) ? StackId::kDecoder : StackId::kEncoder;
  for (const Json& site : reader.array(json, "sites")) manifest.schema.sites.push_back(parse_site(reader, site));
  manifest.isa = reader.text(json, "isa");
  manifest.build = reader.text(json, "build");
  manifest.determinism = reader.text(json, "determinism");
  if (json.find("part") != nullptr) {
    const Json::Array& part = reader.array(json, "part");
    if (part.size() == 2 && part[0].integer() != nullptr && part[1].integer() != nullptr) {
      manifest.part = {static_cast<int>(*part[0].integer()), static_cast<int>(*part[1].integer())};
    } else {
      reader.fail("part", "is not [i, N]");
    }
  }
  manifest.complete = reader.flag(json, "complete");
  manifest.rows = reader.number(json, "rows");
  manifest.tokens = reader.number(json, "tokens");
  manifest.skipped = reader.number(json, "skipped");
  if (const Json* input = reader.get(json, "input")) {
    manifest.input_bytes = static_cast<std::uint64_t>(reader.number(*input, "bytes"));
    manifest.input_xxh128 = reader.text(*input, "xxh128");
  }
  manifest.journal_xxh128 = reader.text(json, "journal_xxh128");
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  std::string text = "{\n";
  const auto field = [&](std::string_view key, const Json& value) {
    text += "  \"" + std::string(key) + "\": " + value.dump() + ",\n";
  };
  field("format", text_json(kRunFormat));
  field("version", Json(kRunVersion));
  field("config", Json(manifest.config));
  field("model", model_json(manifest));
  field("tokenizer", manifest.tokenizer ? Json(Json::Object{{"xxh128", text_json(*manifest.tokenizer)}}) : Json());
  Json::Array stacks;
  for (const StackId stack : manifest.schema.stacks())
    stacks.push_back(text_json(kStacks[static_cast<std::size_t>(stack)]));
  field("stacks", Json(std::move(stacks)));
  text += "  \"sites\": [";
  for (std::size_t index = 0; index < manifest.schema.sites.size(); ++index) {
    text += (index == 0 ? "\n    " : ",\n    ") + site_json(manifest.schema.sites[index]).dump();
  }
  text += "\n  ],\n";
  field("isa", text_json(manifest.isa));
  field("build", text_json(manifest.build));
  field("determinism", text_json(manifest.determinism));
  if (manifest.part) {
    field("part",
          Json(Json::Array{Json(std::int64_t{manifest.part->first}), Json(std::int64_t{manifest.part->second})}));
  }
  field("rows", Json(manifest.rows));
  field("tokens", Json(manifest.tokens));
  field("skipped", Json(manifest.skipped));
  field("input",
        Json(Json::Object{{"bytes", number_json(manifest.input_bytes)}, {"xxh128", text_json(manifest.input_xxh128)}}));
  field("journal_xxh128", text_json(manifest.journal_xxh128));
  field("complete", Json(manifest.complete));
  text += "  " + std::string(kHashField);
  const std::size_t at = text.size();
  text += std::string(kNoHash) + "\"\n}\n";
  Hasher hasher;
  hasher.update(text);
  return text.replace(at, kNoHash.size(), hasher.hex());
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& name) {
  LAYERSCOPE_ASSIGN(const Json json, parse_json(text, name, ErrorCode::kRuntime));
  const Json* format = json.find("format");
  if (format == nullptr || *format != text_json(kRunFormat)) {
    return Error{ErrorCode::kRuntime,
                 name + ": is no manifest of a run (field \"format\", expected \"" + std::string(kRunFormat) + "\")"};
  }
  const Json* version = json.find("version");
  if (version == nullptr || *version != Json(kRunVersion)) {
    return Error{ErrorCode::kRuntime, name + ": has another version (field \"version\" is " +
                                          (version == nullptr ? "missing" : version->dump()) + ", expected " +
                                          std::to_string(kRunVersion) + ")"};
  }
  if (!hash_matches(text)) {
    return Error{ErrorCode::kDamage,
                 name + ": is not what was written (field \"manifest_xxh128\" does not match the text)"};
  }
  Manifest manifest;
  FieldReader reader(name);
  parse_fields(reader, json, manifest);
  if (reader.error()) return *reader.error();
  return manifest;
}

}  // namespace layerscope
