// manifest.json: what a run is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"
#include "store/layout.h"

namespace layerscope {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kRunFormat = "layerscope-run";
inline constexpr std::int64_t kRunVersion = 1;

struct ManifestFile {
  std::string name;  ///< relative to the model folder
  std::uint64_t size = 0;
  std::string xxh128;
};

struct Manifest {
  Json::Object
      config;  ///< everything that affects bytes and is not named below; "generation" where rows were written on
  std::string model_path, model_type;
  std::uint64_t parameters = 0;
  std::vector<ManifestFile> files;
  std::optional<std::string> tokenizer;  ///< hash of the tokenizer, nothing without one
  ShardSchema schema;
  std::string isa, build, determinism;
  std::optional<std::pair<int, int>> part;
  bool complete = false;
  // Of a complete run; 0 and empty before.
  std::int64_t rows = 0, tokens = 0, skipped = 0;
  std::uint64_t input_bytes = 0;
  std::string input_xxh128;
  std::string journal_xxh128;
};

/// The file's text. Its last field is the hash of the text with that field's own digits as zeros, so that damage is
/// seen.
[[nodiscard]] std::string manifest_text(const Manifest& manifest);
/// Errors: kRuntime for what is no manifest of a run, kDamage where the hash or a field is wrong.
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view text, const std::string& name);

/// The first thing that must be equal for a run to be continued and is not: "config.pool: the run has "mean", this
/// command has "max"". Nothing if the run may be continued.
[[nodiscard]] std::optional<std::string> manifest_difference(const Manifest& run, const Manifest& command);

}  // namespace layerscope
