#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "store/run.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

std::string report_json(const VerifyReport& report) {
  std::string out = fmt::format("{{\"complete\":{},\"rows\":{},\"shards\":{},\"damaged\":[", report.complete,
                                report.rows, report.shards);
  for (const ShardDamage& damage : report.damaged) {
    if (out.back() != '[') out += ',';
    out += fmt::format("{{\"shard\":{}", damage.shard);
    if (damage.part >= 0) out += fmt::format(",\"part\":{}", damage.part);
    out += ",\"why\":";
    append_json_string(out, damage.why);
    out += '}';
  }
  return out + "]}\n";
}

std::string report_text(const std::string& run, const VerifyReport& report) {
  std::string out =
      fmt::format("{}: {}, {} rows in {} {}, {}\n", visible(run), report.complete ? "complete" : "incomplete",
                  count_text(report.rows), count_text(report.shards), report.shards == 1 ? "shard" : "shards",
                  report.damaged.empty() ? "every byte as it was written" : "damaged:");
  for (const ShardDamage& damage : report.damaged) {
    const std::string part = damage.part >= 0 ? fmt::format("part {} ", damage.part) : "";
    out += fmt::format("  {}shard {}: {}\n", part, damage.shard, visible(damage.why));
  }
  return out;
}

}  // namespace

Result<int> run_verify(const VerifyArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const VerifyReport report, verify_run(arguments.run));
  context.out.write(context.common.json ? report_json(report) : report_text(arguments.run, report));
  if (report.damaged.empty()) return 0;
  context.out.flush();
  return Error{ErrorCode::kDamage, fmt::format("{}: {} of {} shards are not what was written", arguments.run,
                                               report.damaged.size(), report.shards)};
}

}  // namespace layerscope::cli
