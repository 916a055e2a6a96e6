#include "job/resume.h"

#include "base/try.h"
#include "job/identity.h"

namespace layerscope {
namespace {

Error refused(const RunWriter& run, const std::string& difference) {
  return {ErrorCode::kUsage, run.folder() + ": cannot be resumed, " + difference +
                                 "; give the same command, name another folder, or --overwrite starts anew"};
}

/// Reads the input again up to the end of what the journal holds, and compares.
Status replay_input(RowReader& rows, const RunWriter& run) {
  if (run.records().empty()) return {};
  const ShardRecord& last = run.records().back();
  std::int64_t next_row = 0;
  while (next_row < last.next_row) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows.next());
    if (!row) break;
    next_row = row->number + 1;
  }
  if (next_row == last.next_row && rows.bytes() == last.input_bytes && rows.prefix_hash() == last.input_prefix_xxh128)
    return {};
  return refused(run, "the input is another one: up to row " + std::to_string(last.next_row) + " the run has read " +
                          std::to_string(last.input_bytes) + " bytes with hash " + last.input_prefix_xxh128 +
                          ", this command " + std::to_string(rows.bytes()) + " bytes with hash " + rows.prefix_hash());
}

/// A complete run: the rest of the input must be what it was.
Status check_whole_input(RowReader& rows, const RunWriter& run) {
  while (true) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows.next());
    if (!row) break;
  }
  const Manifest& manifest = *run.found();
  if (rows.bytes() == manifest.input_bytes && rows.prefix_hash() == manifest.input_xxh128) return {};
  return refused(run, "the input is another one: the complete run has read " + std::to_string(manifest.input_bytes) +
                          " bytes with hash " + manifest.input_xxh128 + ", this command " +
                          std::to_string(rows.bytes()) + " bytes with hash " + rows.prefix_hash());
}

}  // namespace

Result<Resumed> resume_run(RunWriter& run, const ModelInfo& info, Manifest& manifest, RowReader& rows,
                           const JobHooks& hooks) {
  Resumed resumed;
  if (!run.found()) {
    LAYERSCOPE_TRY(run.recover());
    return resumed;
  }
  LAYERSCOPE_TRY(hash_model_files(info, manifest));
  if (const auto difference = manifest_difference(*run.found(), manifest)) return refused(run, *difference);
  LAYERSCOPE_TRY(replay_input(rows, run));
  resumed.complete = run.found()->complete;
  if (resumed.complete) LAYERSCOPE_TRY(check_whole_input(rows, run));
  LAYERSCOPE_TRY(run.check_shards());
  JobProgress& begin = resumed.begin;
  begin.input_bytes = rows.bytes();
  for (const ShardRecord& record : run.records()) {
    begin.rows += record.rows;
    begin.tokens += record.tokens;
    begin.skipped += record.skipped;
    begin.bytes_written += record.bytes;
    ++begin.shards;
  }
  begin.input_total = rows.total_bytes();
  if (resumed.complete) begin.skipped = run.found()->skipped;
  if (!resumed.complete) LAYERSCOPE_TRY(run.recover());
  if (hooks.note) {
    hooks.note(run.folder() + (resumed.complete ? ": is complete and sound: " : ": resuming after ") +
               std::to_string(begin.rows) + " rows in " + std::to_string(begin.shards) + " shards");
  }
  return resumed;
}

}  // namespace layerscope
