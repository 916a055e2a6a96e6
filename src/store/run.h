// Reading run folders back (docs/run-folder.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"
#include "layerscope/tap.h"

namespace layerscope {

/// One finished shard as its journal line describes it.
struct ShardRecord {
  std::int64_t shard = 0, rows = 0, next_row = 0, tokens = 0, skipped = 0;
  std::uint64_t bytes = 0, input_bytes = 0;
  std::string xxh128, input_prefix_xxh128;
};

/// What is wrong with a shard, or with the manifest or journal (shard -1).
struct ShardDamage {
  std::int64_t shard = 0;
  int part = -1;  ///< -1 in a run without parts
  std::string why;
};

struct VerifyReport {
  bool complete = false;
  std::int64_t rows = 0, shards = 0;
  std::vector<ShardDamage> damaged;
};

/// Checks every byte: manifest, journal, each shard's size, hash, header, and that rows and offsets are consistent.
/// Errors (kRuntime): `folder` is no run. Damage is not an error but is reported.
[[nodiscard]] Result<VerifyReport> verify_run(const std::string& folder);

enum class ExportFormat : std::uint8_t { kNpy, kNpz, kSafetensors, kFvecs, kHfDataset };

/// The text of a row by its number, asked for in ascending order; nothing where it has none.
using TextOfRow = std::function<Result<std::optional<std::string>>(std::int64_t row)>;

struct ExportOptions {
  bool allow_incomplete = false;
  bool overwrite = false;
  std::string site;                         ///< of fvecs; as Corpus::open
  std::uint64_t shard_bytes = 500'000'000;  ///< of hf-dataset: values after which a file ends
  TextOfRow text_of;                        ///< of hf-dataset: makes the column `text`
};

/// Writes all rows of a run, parts joined and ordered by row, to `target`: npy = a folder with one .npy a tensor, npz =
/// one .npz file, safetensors = one file, fvecs = one file of one site's vectors, each its int32 width and float32
/// elements (corpus-texmex.irisa.fr), hf-dataset = a folder of Arrow files (store/dataset_export.h). bfloat16 becomes
/// float32 in npy, npz and hf-dataset. Never holds a whole run in memory. Errors: kRuntime for no run, kDamage, kUsage
/// for an incomplete run and an existing target unless allowed, kResource for the disk.
[[nodiscard]] Status export_run(const std::string& folder, ExportFormat format, const std::string& target,
                                const ExportOptions& options = {});

}  // namespace layerscope
