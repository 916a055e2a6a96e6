#include "store/run_reader.h"

#include <algorithm>

#include "base/file.h"
#include "base/hash.h"
#include "base/try.h"
#include "store/run_writer.h"

namespace layerscope {
namespace {

constexpr std::size_t kMaxManifestBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxJournalBytes = std::size_t{1} << 30;

}  // namespace

Result<std::vector<std::pair<int, std::string>>> run_parts(const std::string& folder) {
  if (path_exists(folder + "/" + std::string(kManifestName))) {
    return std::vector<std::pair<int, std::string>>{{-1, folder}};
  }
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  std::vector<std::pair<int, std::string>> parts;
  for (const std::string& name : names) {
    const std::optional<int> part = part_number(name);
    const std::string path = folder + "/" + name;
    if (part && path_exists(path + "/" + std::string(kManifestName))) parts.emplace_back(*part, path);
  }
  if (parts.empty())
    return Error{ErrorCode::kRuntime,
                 folder + ": is no run (it has neither " + std::string(kManifestName) + " nor parts)"};
  std::sort(parts.begin(), parts.end());
  return parts;
}

Result<RunPart> read_run_part(int part, const std::string& folder) {
  RunPart run{.part = part, .folder = folder, .manifest = {}, .records = {}};
  const std::string manifest_path = folder + "/" + std::string(kManifestName);
  const std::string journal_path = folder + "/" + std::string(kJournalName);
  LAYERSCOPE_ASSIGN(const std::string text, read_file(manifest_path, ErrorCode::kRuntime, kMaxManifestBytes));
  auto manifest = parse_manifest(text, manifest_path);
  if (!manifest) {
    // With a journal beside it this was a manifest once.
    Error error = std::move(manifest).error();
    if (path_exists(journal_path)) error.code = ErrorCode::kDamage;
    return error;
  }
  run.manifest = std::move(manifest).value();
  if (!path_exists(journal_path)) {
    if (run.manifest.complete) return Error{ErrorCode::kDamage, journal_path + ": is missing"};
    return run;
  }
  LAYERSCOPE_ASSIGN(const std::string lines, read_file(journal_path, ErrorCode::kDamage, kMaxJournalBytes));
  Hasher hasher;
  hasher.update(lines);
  if (run.manifest.complete && hasher.hex() != run.manifest.journal_xxh128) {
    return Error{ErrorCode::kDamage,
                 journal_path + ": is not what was written (field \"journal_xxh128\" of the manifest differs)"};
  }
  LAYERSCOPE_ASSIGN(Journal journal, parse_journal(lines, journal_path));
  run.records = std::move(journal.records);
  return run;
}

bool RunView::complete() const noexcept {
  return missing == 0 &&
         std::all_of(parts.begin(), parts.end(), [](const RunPart& part) { return part.manifest.complete; });
}

Result<RunView> open_run(const std::string& folder, bool allow_incomplete) {
  LAYERSCOPE_ASSIGN(const auto folders, run_parts(folder));
  RunView view;
  for (const auto& [number, path] : folders) {
    LAYERSCOPE_ASSIGN(RunPart part, read_run_part(number, path));
    const std::optional<std::pair<int, int>> own = part.manifest.part;
    if (number >= 0 && (!own || own->first != number)) {
      return Error{ErrorCode::kDamage, path + ": its manifest is not that of part " + std::to_string(number)};
    }
    if (!view.parts.empty()) {
      Manifest same_part = part.manifest;
      same_part.part = view.parts.front().manifest.part;
      if (own->second != same_part.part->second) {
        return Error{ErrorCode::kUsage, path + ": is one of " + std::to_string(own->second) +
                                            " parts, the others are of " + std::to_string(same_part.part->second)};
      }
      if (const auto difference = manifest_difference(view.parts.front().manifest, same_part)) {
        return Error{ErrorCode::kUsage,
                     path + ": belongs to another run than " + view.parts.front().folder + " (" + *difference + ")"};
      }
    }
    view.parts.push_back(std::move(part));
  }
  if (folders.front().first >= 0) {
    view.missing = view.parts.front().manifest.part->second - static_cast<int>(view.parts.size());
  }
  if (!allow_incomplete && view.missing > 0) {
    return Error{ErrorCode::kUsage, folder + ": " + std::to_string(view.missing) + " of " +
                                        std::to_string(view.parts.front().manifest.part->second) +
                                        " parts are missing; run them, or allow an incomplete run"};
  }
  if (!allow_incomplete && !view.complete()) {
    return Error{ErrorCode::kUsage,
                 folder + ": the run is not complete; finish it with the same command, or allow an incomplete run"};
  }
  return view;
}

}  // namespace layerscope
