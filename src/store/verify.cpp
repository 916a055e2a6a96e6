#include "base/try.h"
#include "store/file_io.h"
#include "store/run.h"
#include "store/run_reader.h"
#include "store/shard_check.h"

namespace layerscope {
namespace {

void verify_part(const RunPart& part, VerifyReport& report) {
  std::int64_t next_row = 0;
  std::int64_t rows = 0;
  std::int64_t tokens = 0;
  for (const ShardRecord& record : part.records) {
    const std::string path = part.shard_path(record);
    const auto damaged = [&](std::string why) { report.damaged.push_back({record.shard, part.part, std::move(why)}); };
    if (!path_exists(path)) {
      damaged(path + ": is missing");
    } else if (Status checked = check_shard(path, part.manifest.schema, record, next_row); !checked) {
      damaged(checked.error().message);
    }
    next_row = record.next_row;
    rows += record.rows;
    tokens += record.tokens;
    ++report.shards;
  }
  report.rows += rows;
  if (part.manifest.complete && (rows != part.manifest.rows || tokens != part.manifest.tokens)) {
    report.damaged.push_back({-1, part.part,
                              part.folder + ": the journal has " + std::to_string(rows) + " rows, the manifest " +
                                  std::to_string(part.manifest.rows)});
  }
}

}  // namespace

Result<VerifyReport> verify_run(const std::string& folder) {
  LAYERSCOPE_ASSIGN(const auto folders, run_parts(folder));
  VerifyReport report;
  report.complete = true;
  for (const auto& [number, path] : folders) {
    auto part = read_run_part(number, path);
    if (!part) {
      if (part.error().code != ErrorCode::kDamage) return std::move(part).error();
      report.complete = false;
      report.damaged.push_back({-1, number, part.error().message});
      continue;
    }
    report.complete = report.complete && part->manifest.complete;
    if (part->manifest.part && part->manifest.part->second != static_cast<int>(folders.size())) report.complete = false;
    verify_part(*part, report);
  }
  return report;
}

}  // namespace layerscope
