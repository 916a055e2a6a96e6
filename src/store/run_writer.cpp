#include "store/run_writer.h"

#include <charconv>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kMaxManifestBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxJournalBytes = std::size_t{1} << 30;
constexpr std::string_view kStartAnew = "--overwrite starts anew";

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 16 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// The text between a prefix and a suffix, or nothing.
std::optional<std::string_view> between(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (name.size() < prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix))
    return std::nullopt;
  return name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
}

bool is_shard(std::string_view name) {
  const auto digits = between(name, "shard-", ".safetensors");
  return digits && is_number(*digits);
}

/// What stands in a folder, by kind.
struct Survey {
  bool manifest = false, journal = false, shards = false;
  std::optional<std::string> foreign, part;
};

Result<Survey> survey(const std::string& folder) {
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  Survey found;
  for (const std::string& name : names) {
    switch (classify_entry(name)) {
      case RunEntry::kManifest: found.manifest = true; break;
      case RunEntry::kJournal: found.journal = true; break;
      case RunEntry::kShard: found.shards = true; break;
      case RunEntry::kPart: found.part = name; break;
      case RunEntry::kForeign: found.foreign = name; break;
      case RunEntry::kLock:
      case RunEntry::kTemporary: break;
    }
  }
  return found;
}

/// Refuses to write into a folder that holds something else than the run that is meant.
Status check_folder(const std::string& folder, const Survey& found, bool overwrite) {
  if (found.manifest) return {};
  if (found.foreign) {
    return Error{ErrorCode::kUsage,
                 folder + ": is not empty and no run (it holds " + *found.foreign + "); name another folder"};
  }
  if (overwrite) return {};
  if (found.part) {
    return Error{ErrorCode::kUsage,
                 folder + ": holds a run in parts (" + *found.part + "); give --shard i/N or name another folder"};
  }
  if (found.journal || found.shards) {
    return Error{ErrorCode::kDamage, folder + ": holds shards or a journal but no " + std::string(kManifestName) +
                                         "; " + std::string(kStartAnew)};
  }
  return {};
}

Status remove_entries(const std::string& folder, bool (*wanted)(RunEntry)) {
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names) {
    if (wanted(classify_entry(name))) LAYERSCOPE_TRY(remove_file(folder + "/" + name));
  }
  return {};
}

}  // namespace

std::optional<int> part_number(std::string_view name) {
  const auto digits = between(name, "part-", "");
  if (!digits || !is_number(*digits)) return std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), number);
  if (error != std::errc() || end != digits->data() + digits->size()) return std::nullopt;
  return number;
}

RunEntry classify_entry(std::string_view name) {
  if (name == kManifestName) return RunEntry::kManifest;
  if (name == kJournalName) return RunEntry::kJournal;
  if (name == kLockName) return RunEntry::kLock;
  if (is_shard(name)) return RunEntry::kShard;
  if (part_number(name)) return RunEntry::kPart;
  if (name == ".manifest.json.tmp" || between(name, ".spool-", ".tmp")) return RunEntry::kTemporary;
  const auto shard = between(name, ".", ".tmp");
  return shard && is_shard(*shard) ? RunEntry::kTemporary : RunEntry::kForeign;
}

Result<RunWriter> RunWriter::open(const std::string& folder, const Options& options) {
  std::string own = folder;
  if (options.part) {
    if (is_folder(folder)) {
      LAYERSCOPE_ASSIGN(const Survey found, survey(folder));
      if (found.manifest) {
        return Error{ErrorCode::kUsage, folder + ": holds a run without parts; name another folder for --shard"};
      }
    }
    own += "/part-" + std::to_string(options.part->first);
  }
  if (is_folder(own)) {
    LAYERSCOPE_ASSIGN(const Survey found, survey(own));
    LAYERSCOPE_TRY(check_folder(own, found, options.overwrite));
  }
  LAYERSCOPE_TRY(make_folders(own));
  LAYERSCOPE_ASSIGN(RunLock lock, RunLock::take(own));
  RunWriter writer(std::move(own), std::move(lock));
  if (options.overwrite) {
    LAYERSCOPE_TRY(writer.remove_old(!options.part));
  } else {
    LAYERSCOPE_TRY(writer.read_found());
  }
  return writer;
}

Status RunWriter::remove_old(bool with_parts) const {
  // The manifest goes last: until then the folder is a run, however this is interrupted.
  LAYERSCOPE_TRY(remove_file(path(kJournalName)));
  LAYERSCOPE_TRY(remove_entries(
      folder_, [](RunEntry entry) { return entry == RunEntry::kShard || entry == RunEntry::kTemporary; }));
  if (with_parts) {
    LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder_));
    for (const std::string& name : names) {
      if (!part_number(name) || !is_folder(path(name))) continue;
      LAYERSCOPE_ASSIGN(const Survey found, survey(path(name)));
      if (found.foreign || found.part) continue;
      LAYERSCOPE_ASSIGN(const RunLock lock, RunLock::take(path(name)));
      LAYERSCOPE_TRY(remove_entries(path(name), [](RunEntry) { return true; }));
      LAYERSCOPE_TRY(remove_folder(path(name)));
    }
  }
  LAYERSCOPE_TRY(remove_file(path(kManifestName)));
  return sync_folder(folder_);
}

Status RunWriter::read_found() {
  if (!path_exists(path(kManifestName))) return {};
  const auto with_way_out = [](Error error) {
    error.code = error.code == ErrorCode::kRuntime ? ErrorCode::kDamage : error.code;
    error.message += "; " + std::string(kStartAnew);
    return error;
  };
  LAYERSCOPE_ASSIGN(const std::string text, read_file(path(kManifestName), ErrorCode::kRuntime, kMaxManifestBytes));
  auto manifest = parse_manifest(text, path(kManifestName));
  if (!manifest) return with_way_out(std::move(manifest).error());
  found_ = std::move(manifest).value();
  if (!path_exists(path(kJournalName))) {
    if (!found_->complete) return {};
    return with_way_out(
        {ErrorCode::kDamage, path(kJournalName) + ": is missing, but the manifest calls the run complete"});
  }
  LAYERSCOPE_ASSIGN(const std::string lines, read_file(path(kJournalName), ErrorCode::kRuntime, kMaxJournalBytes));
  auto journal = parse_journal(lines, path(kJournalName));
  if (!journal) return with_way_out(std::move(journal).error());
  records_ = std::move(journal->records);
  journal_bytes_ = journal->good_bytes;
  Hasher hasher;
  hasher.update(lines);
  if (found_->complete && hasher.hex() != found_->journal_xxh128) {
    return with_way_out(
        {ErrorCode::kDamage,
         path(kJournalName) + ": is not what was written (field \"journal_xxh128\" of the manifest differs)"});
  }
  return {};
}

Status RunWriter::recover() {
  if (path_exists(path(kJournalName))) {
    LAYERSCOPE_ASSIGN(const File file, File::open_append(path(kJournalName)));
    LAYERSCOPE_ASSIGN(const std::uint64_t size, file.size());
    if (size > journal_bytes_) {
      LAYERSCOPE_TRY(file.truncate(journal_bytes_));
      LAYERSCOPE_TRY(file.sync());
    }
  }
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder_));
  std::set<std::string> journalled;
  for (const ShardRecord& record : records_) journalled.insert(shard_file_name(record.shard));
  bool removed = false;
  for (const std::string& name : names) {
    const RunEntry entry = classify_entry(name);
    if ((entry != RunEntry::kShard && entry != RunEntry::kTemporary) || journalled.contains(name)) continue;
    LAYERSCOPE_TRY(remove_file(path(name)));
    removed = true;
  }
  if (removed) return sync_folder(folder_);
  return {};
}

Status RunWriter::check_shards() const {
  for (const ShardRecord& record : records_) {
    const std::string name = path(shard_file_name(record.shard));
    const auto damaged = [&](const std::string& what) {
      return Error{ErrorCode::kDamage, name + ": " + what + ", the journal says otherwise; restore the file, or " +
                                           std::string(kStartAnew)};
    };
    if (!path_exists(name)) return damaged("is missing");
    LAYERSCOPE_ASSIGN(const File file, File::open_read(name));
    LAYERSCOPE_ASSIGN(const std::uint64_t size, file.size());
    if (size != record.bytes)
      return damaged("has " + std::to_string(size) + " bytes, expected " + std::to_string(record.bytes));
    LAYERSCOPE_ASSIGN(const std::string hash, hash_open_file(file, size));
    if (hash != record.xxh128) return damaged("has the hash " + hash + ", expected " + record.xxh128);
  }
  return {};
}

Status RunWriter::start(const Manifest& manifest) {
  LAYERSCOPE_TRY(replace_file(folder_, std::string(kManifestName), manifest_text(manifest)));
  found_ = manifest;
  return {};
}

std::string RunWriter::temporary_path(std::int64_t shard) const { return path("." + shard_file_name(shard) + ".tmp"); }

Status RunWriter::commit(const ShardWriter& shard, ShardRecord record) {
  record.bytes = shard.layout().file_bytes();
  LAYERSCOPE_ASSIGN(record.xxh128, shard.finish());
  LAYERSCOPE_TRY(rename_file(shard.file().path(), path(shard_file_name(record.shard))));
  if (!journal_.is_open()) {
    LAYERSCOPE_ASSIGN(journal_, File::open_append(path(kJournalName)));
  }
  LAYERSCOPE_TRY(sync_folder(folder_));
  const std::string line = journal_line(record);
  LAYERSCOPE_TRY(journal_.append(line));
  LAYERSCOPE_TRY(journal_.sync());
  journal_bytes_ += line.size();
  records_.push_back(std::move(record));
  return {};
}

Status RunWriter::complete(Manifest manifest) {
  manifest.complete = true;
  Hasher hasher;
  for (const ShardRecord& record : records_) {
    hasher.update(journal_line(record));
    manifest.rows += record.rows;
    manifest.tokens += record.tokens;
  }
  manifest.journal_xxh128 = hasher.hex();
  if (!path_exists(path(kJournalName))) {
    LAYERSCOPE_ASSIGN(const File journal, File::open_append(path(kJournalName)));
    LAYERSCOPE_TRY(journal.sync());
  }
  LAYERSCOPE_TRY(replace_file(folder_, std::string(kManifestName), manifest_text(manifest)));
  found_ = std::move(manifest);
  return {};
}

}  // namespace layerscope
