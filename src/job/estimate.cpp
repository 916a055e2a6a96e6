#include "job/estimate.h"

#include <array>
#include <chrono>
#include <cstdio>

#include "base/try.h"
#include "job/planner.h"
#include "store/file_io.h"

namespace layerscope {
namespace {

/// Takes values and drops them.
class NullSink final : public Sink {
 public:
  Status accept(const StateFrame&) override { return {}; }
};

}  // namespace

std::optional<SizeEstimate> estimate_size(const RowFeed::Preview& preview, const TapPlan& plan,
                                          const ShardSchema& schema, std::uint64_t begin,
                                          std::optional<std::uint64_t> total, const PickTokens& picks) {
  ShardCounts counts;
  counts.elements.resize(schema.sites.size());
  for (const FedRow* row : preview.rows) {
    if (row->row) add_row(counts, schema, plan_row(plan, schema, row->number, row->id, *row->row, picks));
  }
  SizeEstimate estimate{counts.rows, counts.all_tokens(), shard_tensor_bytes(schema, counts), preview.whole_input};
  if (preview.whole_input) return estimate;
  if (!total || preview.input_bytes <= begin || *total <= begin) return std::nullopt;
  const double factor = static_cast<double>(*total - begin) / static_cast<double>(preview.input_bytes - begin);
  estimate.rows = static_cast<std::int64_t>(static_cast<double>(estimate.rows) * factor);
  estimate.tokens = static_cast<std::int64_t>(static_cast<double>(estimate.tokens) * factor);
  estimate.bytes = static_cast<std::uint64_t>(static_cast<double>(estimate.bytes) * factor);
  return estimate;
}

Result<double> measure_rate(const RowFeed::Preview& preview, const RowRunner& model, const TapPlan& plan,
                            std::int64_t batch_tokens) {
  Batch batch;
  std::int64_t tokens = 0;
  for (const FedRow* row : preview.rows) {
    if (tokens >= batch_tokens) break;
    if (!row->row) continue;
    model.append(batch, *row->row, row->number, batch.sequences());
    tokens +=
        static_cast<std::int64_t>(row->row->main.ids.size() + (row->row->decoder ? row->row->decoder->ids.size() : 0));
  }
  if (batch.sequences() == 0) return 0.0;
  NullSink sink;
  LAYERSCOPE_TRY(model.run(batch, plan, sink));
  const auto begin = std::chrono::steady_clock::now();
  LAYERSCOPE_TRY(model.run(batch, plan, sink));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return seconds.count() > 0 ? static_cast<double>(tokens) / seconds.count() : 0.0;
}

std::string existing_folder(std::string path) {
  while (!path.empty() && !is_folder(path)) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    path.resize(slash);
  }
  return path.empty() ? "/" : path;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return text.data();
}

}  // namespace layerscope
