#include <algorithm>

#include "base/try.h"
#include "store/corpus.h"
#include "store/dataset_export.h"
#include "store/export_target.h"
#include "store/merged_rows.h"
#include "store/run.h"
#include "store/tensor_copy.h"

namespace layerscope {
namespace {

/// How the rows of the run lie in one tensor.
struct ExportTensor {
  enum class Kind : std::uint8_t {
    kValues,   ///< copied row by row
    kOffsets,  ///< counted anew over all rows
  };
  Kind kind = Kind::kValues;
  std::string offsets;     ///< the tensor of offsets that delimits rows; empty: one unit a row
  std::string units_like;  ///< where a shard lacks the tensor: zeros, as many as this one has units; empty: nothing
};

/// What the tensors of a schema mean, by name.
ExportTensor describe(const ShardSchema& schema, const std::string& name) {
  using Kind = ExportTensor::Kind;
  if (name == "row") return {};
  if (name == "id_offsets") return {Kind::kOffsets, name, ""};
  if (name == "id") return {Kind::kValues, "id_offsets", ""};
  if (name == "output_offsets") return {Kind::kOffsets, name, ""};
  if (name == "output_ids") return {Kind::kValues, "output_offsets", ""};
  for (const StackId stack : schema.stacks()) {
    const std::string prefix = schema.prefix(stack);
    if (name == prefix + "offsets" || name == prefix + "pos_offsets") return {Kind::kOffsets, name, ""};
    if (name == prefix + "pos") return {Kind::kValues, prefix + "pos_offsets", ""};
    if (name == prefix + "input_ids" || name == prefix + "special") return {Kind::kValues, prefix + "offsets", ""};
    if (name == prefix + "type_ids") return {Kind::kValues, prefix + "offsets", prefix + "input_ids"};
  }
  for (const StoredSite& site : schema.sites) {
    const std::string prefix = schema.prefix(token_stack(site));
    if (name == site.name + ".offsets") return {Kind::kOffsets, name, ""};
    if (name != site.name) continue;
    switch (site.unit) {
      case StoredUnit::kTokens: return {Kind::kValues, prefix + "offsets", ""};
      case StoredUnit::kPooled: return {};
      case StoredUnit::kPicks: return {Kind::kValues, prefix + "pos_offsets", ""};
      case StoredUnit::kProbs: return {Kind::kValues, site.name + ".offsets", ""};
    }
  }
  return {};
}

/// Totals over all shards, from their headers.
Result<ShardCounts> count_run(const RunView& run, const ShardSchema& schema) {
  ShardCounts counts;
  counts.elements.resize(schema.sites.size());
  for (const RunPart& part : run.parts) {
    for (const ShardRecord& record : part.records) {
      LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(part.shard_path(record)));
      const auto units = [&](const std::string& name) -> std::int64_t {
        const ShardTensor* tensor = shard.find(name);
        return tensor == nullptr || tensor->shape.rank() == 0 ? 0 : tensor->shape[0];
      };
      counts.rows += units("row");
      for (const StackId stack : schema.stacks()) {
        const auto index = static_cast<std::size_t>(stack);
        const std::string prefix = schema.prefix(stack);
        counts.tokens[index] += units(prefix + "input_ids");
        counts.picks[index] += units(prefix + "pos");
        counts.has_types[index] = counts.has_types[index] || shard.find(prefix + "type_ids") != nullptr;
      }
      counts.has_ids = counts.has_ids || shard.find("id") != nullptr;
      counts.id_bytes += units("id");
      counts.output_tokens += units("output_ids");
      for (std::size_t site = 0; site < schema.sites.size(); ++site) {
        const ShardTensor* tensor = shard.find(schema.sites[site].name);
        if (tensor == nullptr)
          return Error{ErrorCode::kDamage,
                       shard.file().path() + ": lacks the tensor \"" + schema.sites[site].name + "\""};
        counts.elements[site] += tensor->shape.elements();
      }
    }
  }
  return counts;
}

class Exporter {
 public:
  Exporter(const RunView& run, const ShardSchema& schema, ExportTarget& target, ExportFormat format)
      : run_(run), schema_(schema), target_(target), format_(format) {}

  Status copy(const ShardTensor& tensor) {
    LAYERSCOPE_TRY(target_.begin(tensor));
    written_ = 0;
    const ExportTensor meaning = describe(schema_, tensor.name);
    if (meaning.kind == ExportTensor::Kind::kOffsets) {
      LAYERSCOPE_TRY(count_offsets(meaning.offsets));
    } else {
      LAYERSCOPE_TRY(for_each_row_span(run_, {meaning.offsets},
                                       [&](const RowSpan& span) { return copy_span(span, tensor, meaning); }));
    }
    LAYERSCOPE_TRY(flush());
    if (written_ != tensor.end - tensor.begin) {
      return Error{ErrorCode::kDamage, "tensor \"" + tensor.name + "\": its rows have " + std::to_string(written_) +
                                           " bytes, the headers say " + std::to_string(tensor.end - tensor.begin) +
                                           "; layerscope verify tells more"};
    }
    return target_.end();
  }

 private:
  Status put(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    if (buffer_.size() >= kCopyPiece) return flush();
    return {};
  }
  Status flush() {
    written_ += buffer_.size();
    LAYERSCOPE_TRY(target_.write(buffer_));
    buffer_.clear();
    return {};
  }

  /// The offsets of all rows, counted on from shard to shard.
  Status count_offsets(const std::string& name) {
    std::int64_t total = 0;
    const auto put_value = [&](std::int64_t value) {
      return put(std::as_bytes(std::span<const std::int64_t, 1>(&value, 1)));
    };
    LAYERSCOPE_TRY(put_value(0));
    return for_each_row_span(run_, {name}, [&](const RowSpan& span) -> Status {
      for (std::int64_t row = span.first; row < span.first + span.count; ++row) {
        const auto at = static_cast<std::size_t>(row);
        const std::vector<std::int64_t>& offsets = span.shard->offsets.front();
        if (!offsets.empty()) total += offsets[at + 1] - offsets[at];
        LAYERSCOPE_TRY(put_value(total));
      }
      return {};
    });
  }

  Status copy_span(const RowSpan& span, const ShardTensor& tensor, const ExportTensor& meaning) {
    std::int64_t first = span.first;
    std::int64_t count = span.count;
    if (!meaning.offsets.empty()) {
      const std::vector<std::int64_t>& offsets = span.shard->offsets.front();
      if (offsets.empty()) return {};
      first = offsets[static_cast<std::size_t>(span.first)];
      count = offsets[static_cast<std::size_t>(span.first + span.count)] - first;
    }
    const ShardTensor* source = span.shard->reader.find(tensor.name);
    if (source == nullptr) {
      if (meaning.units_like.empty()) return {};
      const std::vector<std::byte> zeros(static_cast<std::size_t>(count));
      return put(zeros);
    }
    return copy_units(span.shard->reader, *source, first, count, exported_dtype(format_, source->dtype),
                      [&](std::span<const std::byte> piece) { return put(piece); });
  }

  const RunView& run_;
  const ShardSchema& schema_;
  ExportTarget& target_;
  const ExportFormat format_;
  std::vector<std::byte> buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace

Status export_run(const std::string& folder, ExportFormat format, const std::string& target,
                  const ExportOptions& options) {
  LAYERSCOPE_ASSIGN(const RunView run, open_run(folder, options.allow_incomplete));
  if (path_exists(target) && !options.overwrite)
    return Error{ErrorCode::kUsage, target + ": exists already; name another target, or --overwrite"};
  if (format == ExportFormat::kHfDataset) return export_dataset(run, target, options);
  const ShardSchema& schema = run.parts.front().manifest.schema;
  LAYERSCOPE_ASSIGN(const ShardCounts counts, count_run(run, schema));
  std::vector<ShardTensor> tensors = shard_tensors(schema, counts);
  if (format == ExportFormat::kFvecs) {
    LAYERSCOPE_ASSIGN(const StoredSite chosen, choose_vector_site(run.parts.front().manifest, folder, options.site));
    std::erase_if(tensors, [&](const ShardTensor& tensor) { return tensor.name != chosen.name; });
  }
  for (ShardTensor& tensor : tensors) tensor.dtype = exported_dtype(format, tensor.dtype);
  const ShardLayout layout(std::move(tensors));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<ExportTarget> out, open_export_target(format, target, layout));
  Exporter exporter(run, schema, *out, format);
  for (const ShardTensor& tensor : layout.tensors()) LAYERSCOPE_TRY(exporter.copy(tensor));
  return out->finish();
}

}  // namespace layerscope
