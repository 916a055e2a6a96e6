// A run folder being written: opened or resumed, shards committed in order, completed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerscope/error.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/shard_writer.h"

namespace layerscope {

/// The one writer of a run folder. A shard becomes visible whole or not at all, in order: temporary file, fsync,
/// rename, fsync of the folder, journal line, fsync of the journal.
class RunWriter {
 public:
  struct Options {
    std::optional<std::pair<int, int>> part;  ///< i of N: the run is FOLDER/part-i
    bool overwrite = false;
  };

  /// Creates the folder or takes what is there, and locks it; reads manifest and journal of a run that was begun. With
  /// `overwrite` a run's files are removed first, and nothing else. Errors: kUsage for a locked run and for a folder
  /// that holds something else, kDamage for a run that cannot be read, kResource.
  [[nodiscard]] static Result<RunWriter> open(const std::string& folder, const Options& options);

  /// The folder that holds this run: FOLDER, or FOLDER/part-i.
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  /// The manifest of the run that was begun here, if any.
  [[nodiscard]] const std::optional<Manifest>& found() const noexcept { return found_; }
  [[nodiscard]] const std::vector<ShardRecord>& records() const noexcept { return records_; }

  /// Drops what a killed or failed run left: a torn journal line, shards that are not in the journal, temporary files.
  [[nodiscard]] Status recover();
  /// Checks size and hash of every shard in the journal: kDamage, with the way out.
  [[nodiscard]] Status check_shards() const;
  /// Writes the manifest of a new run. No shard may be committed before.
  [[nodiscard]] Status start(const Manifest& manifest);
  /// A temporary name for a shard in this folder.
  [[nodiscard]] std::string temporary_path(std::int64_t shard) const;
  /// Makes a written shard visible. `record` is complete but for bytes and hash, and its shard is the next one.
  [[nodiscard]] Status commit(const ShardWriter& shard, ShardRecord record);
  /// Writes the final manifest. `manifest` is complete but for what the journal knows.
  [[nodiscard]] Status complete(Manifest manifest);

 private:
  RunWriter(std::string folder, RunLock lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}
  [[nodiscard]] Status remove_old(bool with_parts) const;
  [[nodiscard]] Status read_found();
  [[nodiscard]] std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }

  std::string folder_;
  RunLock lock_;
  std::optional<Manifest> found_;
  std::vector<ShardRecord> records_;
  std::uint64_t journal_bytes_ = 0;
  File journal_;
};

/// What a name in a run folder is.
enum class RunEntry : std::uint8_t { kManifest, kJournal, kShard, kLock, kTemporary, kPart, kForeign };
[[nodiscard]] RunEntry classify_entry(std::string_view name);
/// i of "part-i", or nothing.
[[nodiscard]] std::optional<int> part_number(std::string_view name);

}  // namespace layerscope
