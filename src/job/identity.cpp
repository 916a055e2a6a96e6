#include "job/identity.h"

#include <algorithm>
#include <cctype>

#include "base/file.h"
#include "base/hash.h"
#include "base/try.h"

namespace layerscope {
namespace {

Json text_json(std::string_view text) { return Json(std::string(text)); }

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return out;
}

/// What an edit does, its vectors by their hash.
Json edit_json(const Edit& edit) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(edit.values)));
  return Json(Json::Object{{"site", text_json(edit.site)},
                           {"op", text_json(edit_op_name(edit.op))},
                           {"positions", text_json(edit.positions)},
                           {"row", edit.row ? Json(*edit.row) : Json()},
                           {"vectors", Json(edit.vectors)},
                           {"xxh128", Json(hasher.hex())}});
}

/// A file's name within the model folder, or its last component.
std::string relative_name(const std::string& folder, const std::string& file) {
  const std::string prefix = folder.ends_with('/') ? folder : folder + "/";
  if (file.starts_with(prefix)) return file.substr(prefix.size());
  return file.substr(file.rfind('/') + 1);
}

}  // namespace

Manifest describe_run(const ModelInfo& info, const ShardSchema& schema, const RowReader& rows,
                      const StatesJobOptions& options) {
  Manifest manifest;
  const TapRequest& request = options.request;
  const TokenizeOptions& tokenize = options.tokenize;
  manifest.config = {{"dtype", text_json(info.dtype)},
                     {"device", text_json(info.device)},
                     {"positions", options.embedding.is_null() ? text_json(request.positions) : text_json("all")},
                     {"seed", Json(static_cast<std::int64_t>(request.seed))},
                     {"pool", options.embedding.is_null() ? text_json(pooling_name(request.pool)) : Json()},
                     {"mix", text_json(request.mix)},
                     {"save_dtype", text_json(lower_case(dtype_name(request.save_dtype)))},
                     {"add_special_tokens", Json(tokenize.add_special_tokens)},
                     {"on_long", text_json(tokenize.truncate ? "truncate" : "error")},
                     {"max_length", tokenize.max_length ? Json(*tokenize.max_length) : Json()},
                     {"on_bad", text_json(options.skip_bad ? "skip" : "stop")},
                     {"input", text_json(rows.kind())},
                     {"shard_size", Json(static_cast<std::int64_t>(options.shard_bytes))}};
  if (!options.embedding.is_null()) manifest.config.emplace_back("embedding", options.embedding);
  if (!options.edits.empty()) {
    Json::Array edits;
    for (const Edit& edit : options.edits) edits.push_back(edit_json(edit));
    manifest.config.emplace_back("edits", Json(std::move(edits)));
  }
  manifest.model_path = info.path;
  manifest.model_type = info.model_type;
  manifest.parameters = info.parameters;
  if (!info.tokenizer_hash.empty()) manifest.tokenizer = info.tokenizer_hash;
  manifest.schema = schema;
  manifest.isa = info.isa;
  manifest.build = "layerscope " LAYERSCOPE_VERSION ", " + info.library + ", compiler " __VERSION__;
  manifest.determinism = info.determinism;
  manifest.part = options.part;
  return manifest;
}

Status hash_model_files(const ModelInfo& info, Manifest& manifest) {
  manifest.files.clear();
  for (const std::string& path : info.files) {
    ManifestFile file{.name = relative_name(info.path, path), .size = 0, .xxh128 = {}};
    {
      LAYERSCOPE_ASSIGN(const RegularFile opened, RegularFile::open(path, ErrorCode::kModel));
      file.size = opened.size();
    }
    LAYERSCOPE_ASSIGN(file.xxh128, hash_file(path, ErrorCode::kModel));
    manifest.files.push_back(std::move(file));
  }
  return {};
}

}  // namespace layerscope
