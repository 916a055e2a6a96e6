#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "base/try.h"
#include "job/identity.h"
#include "job/streams.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace layerscope {
namespace {

constexpr std::int64_t kTokens = 4096;  // a batch

void append_floats(DType dtype, std::span<const std::byte> bytes, std::vector<float>& out) {
  const std::size_t count = bytes.size() / dtype_size(dtype);
  const std::size_t first = out.size();
  out.resize(first + count);
  if (dtype == DType::kF32) {
    std::memcpy(out.data() + first, bytes.data(), bytes.size());
    return;
  }
  for (std::size_t k = 0; k < count; ++k) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + k * sizeof half, sizeof half);
    out[first + k] = dtype == DType::kF16 ? f16_to_float(half) : bf16_to_float(half);
  }
}

class RunStreams final : public StreamSource {
 public:
  RunStreams(std::string folder, RunView run, std::int64_t width)
      : folder_(std::move(folder)), run_(std::move(run)), width_(width) {}

  Result<std::vector<std::string>> available(const std::vector<std::string>& sites) const override {
    std::vector<std::string> found;
    for (const std::string& name : sites) {
      const std::vector<StoredSite>& stored = run_.parts.front().manifest.schema.sites;
      const auto site = std::find_if(stored.begin(), stored.end(), [&](const StoredSite& s) { return s.name == name; });
      if (site == stored.end()) continue;
      const bool tokens = site->unit == StoredUnit::kTokens || site->unit == StoredUnit::kPicks;
      const bool floats = site->dtype == DType::kF32 || site->dtype == DType::kF16 || site->dtype == DType::kBF16;
      if (!tokens || !floats || site->width != width_) {
        return Error{ErrorCode::kUsage, folder_ + ": site " + name + " is not stored token by token, " +
                                            std::to_string(width_) + " wide (was the run pooled?)"};
      }
      found.push_back(name);
    }
    return found;
  }

  Status walk(const std::vector<std::string>& sites, const std::function<Status(const StreamBatch&)>& take) override {
    for (const RunPart& part : run_.parts) {
      for (const ShardRecord& record : part.records) LAYERSCOPE_TRY(walk_shard(part, record, sites, take));
    }
    return {};
  }

 private:
  Status walk_shard(const RunPart& part, const ShardRecord& record, const std::vector<std::string>& sites,
                    const std::function<Status(const StreamBatch&)>& take) const {
    LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(part.shard_path(record)));
    const ShardSchema& schema = part.manifest.schema;
    const StackId stack = schema.two_stacks ? StackId::kDecoder : schema.main;
    const std::string prefix = schema.prefix(stack) + (schema.picks(stack) ? "pos_" : "");
    LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> numbers, shard.read_i64("row"));
    LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> offsets, shard.read_i64(prefix + "offsets"));
    LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> rows, rows_of_tokens(part, record, numbers, offsets));
    const auto tokens = static_cast<std::int64_t>(rows.size());
    for (std::int64_t first = 0; first < tokens; first += kTokens) {
      const std::int64_t count = std::min(kTokens, tokens - first);
      StreamBatch batch;
      batch.rows.assign(rows.begin() + first, rows.begin() + first + count);
      for (const std::string& site : sites) {
        const ShardTensor* const tensor = shard.find(site);
        if (tensor == nullptr || tensor->shape.rank() != 2 || tensor->shape[0] != tokens || tensor->shape[1] != width_)
          return Error{ErrorCode::kDamage, part.shard_path(record) + ": tensor \"" + site + "\" is not as planned"};
        const std::uint64_t row = static_cast<std::uint64_t>(width_) * dtype_size(tensor->dtype);
        std::vector<std::byte> bytes(static_cast<std::size_t>(static_cast<std::uint64_t>(count) * row));
        LAYERSCOPE_TRY(shard.read(*tensor, static_cast<std::uint64_t>(first) * row, bytes));
        append_floats(tensor->dtype, bytes, batch.streams.emplace_back());
      }
      LAYERSCOPE_TRY(take(batch));
    }
    return {};
  }

  static Result<std::vector<std::int64_t>> rows_of_tokens(const RunPart& part, const ShardRecord& record,
                                                          const std::vector<std::int64_t>& numbers,
                                                          const std::vector<std::int64_t>& offsets) {
    const bool sound = offsets.size() == numbers.size() + 1 && offsets.front() == 0 &&
                       std::is_sorted(offsets.begin(), offsets.end()) &&
                       static_cast<std::uint64_t>(offsets.back()) <= record.bytes;
    if (!sound) return Error{ErrorCode::kDamage, part.shard_path(record) + ": rows and offsets contradict each other"};
    std::vector<std::int64_t> rows;
    for (std::size_t k = 0; k < numbers.size(); ++k)
      rows.insert(rows.end(), static_cast<std::size_t>(offsets[k + 1] - offsets[k]), numbers[k]);
    return rows;
  }

  std::string folder_;
  RunView run_;
  std::int64_t width_;
};

/// The files that decide a model's states are those that the run was made with.
Status check_model(const Model& model, const std::string& folder, const Manifest& run) {
  Manifest own;
  LAYERSCOPE_TRY(hash_model_files(model.info(), own));
  for (const ManifestFile& file : own.files) {
    if (!file.name.ends_with(".safetensors") && file.name != "config.json") continue;
    const auto same = [&](const ManifestFile& other) { return other.name == file.name && other.xxh128 == file.xxh128; };
    if (std::none_of(run.files.begin(), run.files.end(), same)) {
      return Error{ErrorCode::kUsage, folder + ": the run was made with another model (" + run.model_path + "); its " +
                                          file.name + " is not that of " + model.info().path};
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<StreamSource>> run_streams(const Model& model, const std::string& folder) {
  LAYERSCOPE_ASSIGN(RunView run, open_run(folder, false));
  LAYERSCOPE_TRY(check_model(model, folder, run.parts.front().manifest));
  const std::int64_t width = model.sites().find(model.info().two_stacks ? "dec.embed" : "embed")->width;
  return std::unique_ptr<StreamSource>(std::make_unique<RunStreams>(folder, std::move(run), width));
}

}  // namespace layerscope
