#include "store/dataset_export.h"

#include "base/hash.h"
#include "base/try.h"
#include "store/dataset_columns.h"
#include "store/file_io.h"
#include "store/merged_rows.h"
#include "store/tensor_copy.h"

namespace layerscope {
namespace {

constexpr std::int64_t kBatchRows = 1000;  // as datasets writes them
constexpr std::uint64_t kBatchBytes = std::uint64_t{32} << 20;
constexpr int kBatchShards = 128;  // a batch keeps the files of its rows open
constexpr std::string_view kInfoName = "dataset_info.json", kStateName = "state.json";

std::string five_digits(std::size_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return digits;
}
std::string shard_name(std::size_t shard, std::size_t of) {
  return "data-" + five_digits(shard) + "-of-" + five_digits(of) + ".arrow";
}
/// While it is not known how many there will be.
std::string unnumbered_name(std::size_t shard) { return "data-" + five_digits(shard) + ".arrow"; }

/// Files of a dataset: ours, and what datasets keeps beside them of filtered and mapped rows.
bool is_ours(std::string_view name) {
  return name == kInfoName || name == kStateName ||
         ((name.starts_with("data-") || name.starts_with("cache-")) && name.ends_with(".arrow"));
}

/// The files of a folder. Errors: kUsage where one is none of a dataset's.
Result<std::vector<std::string>> dataset_files(const std::string& folder) {
  LAYERSCOPE_ASSIGN(std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names) {
    if (is_ours(name)) continue;
    return Error{ErrorCode::kUsage,
                 folder + ": holds something else than a dataset (" + name + "); name another folder"};
  }
  return names;
}

/// Removes a dataset. The folder stays.
Status clear_folder(const std::string& folder) {
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, dataset_files(folder));
  for (const std::string& name : names) LAYERSCOPE_TRY(remove_file(folder + "/" + name));
  return {};
}

/// A file that is appended to in large pieces.
class StreamFile {
 public:
  [[nodiscard]] bool is_open() const noexcept { return file_.is_open(); }
  Status open(const std::string& path) {
    LAYERSCOPE_ASSIGN(file_, File::create(path));
    at_ = 0;
    return {};
  }
  Status put(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return buffer_.size() < kCopyPiece ? Status() : flush();
  }
  Status put(std::string_view text) { return put(std::as_bytes(std::span(text))); }
  Status finish() {
    LAYERSCOPE_TRY(flush());
    LAYERSCOPE_TRY(file_.sync());
    file_ = File();
    return {};
  }

 private:
  Status flush() {
    LAYERSCOPE_TRY(file_.write_at(at_, buffer_));
    at_ += buffer_.size();
    buffer_.clear();
    return {};
  }
  File file_;
  std::vector<std::byte> buffer_;
  std::uint64_t at_ = 0;
};

/// The folder in the making, beside its final place; gone at the end of its life unless finished.
class PendingFolder {
 public:
  explicit PendingFolder(const std::string& target) : target_(target), path_(target + ".partial") {}
  ~PendingFolder() {
    if (!open_) return;
    // Nobody is left to tell; the next export clears what stays.
    static_cast<void>(clear_folder(path_));
    static_cast<void>(remove_folder(path_));
  }
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  Status open() {
    LAYERSCOPE_TRY(make_folders(path_));
    LAYERSCOPE_TRY(clear_folder(path_));
    open_ = true;
    return {};
  }
  Status finish() {
    LAYERSCOPE_TRY(sync_folder(path_));
    if (path_exists(target_)) LAYERSCOPE_TRY(clear_folder(target_));
    LAYERSCOPE_TRY(rename_file(path_, target_));  // over an empty folder, if there is one
    open_ = false;
    const std::size_t slash = target_.rfind('/');
    return sync_folder(slash == std::string::npos ? "." : slash == 0 ? "/" : target_.substr(0, slash));
  }

 private:
  std::string target_, path_;
  bool open_ = false;
};

class DatasetWriter {
 public:
  DatasetWriter(const RunView& run, DatasetColumns columns, std::string folder, std::uint64_t shard_bytes)
      : run_(run), columns_(std::move(columns)), folder_(std::move(folder)), shard_bytes_(shard_bytes) {
    for (const DatasetColumn& column : columns_.columns) fields_.push_back(arrow_field(column));
  }

  Status write() {
    LAYERSCOPE_TRY(open_shard());
    LAYERSCOPE_TRY(for_each_row_span(run_, columns_.offsets, [&](const RowSpan& span) { return add(span); }));
    LAYERSCOPE_TRY(write_rows());
    if (file_.is_open()) LAYERSCOPE_TRY(end_shard());
    for (std::size_t shard = 0; shard < shards_; ++shard) {
      LAYERSCOPE_TRY(rename_file(folder_ + "/" + unnumbered_name(shard), folder_ + "/" + shard_name(shard, shards_)));
    }
    LAYERSCOPE_TRY(write_text(kInfoName, info().dump()));
    return write_text(kStateName, state().dump());
  }

 private:
  [[nodiscard]] Json features() const {
    Json::Object features;
    for (const ArrowField& field : fields_) features.emplace_back(field.name, dataset_feature(field));
    return Json(std::move(features));
  }
  [[nodiscard]] Json info() const {
    const Json nothing{std::string()};
    return Json(Json::Object{{"citation", nothing},
                             {"description", nothing},
                             {"features", features()},
                             {"homepage", nothing},
                             {"license", nothing}});
  }
  /// What datasets names its caches by: another run has another.
  [[nodiscard]] std::string fingerprint() const {
    Hasher hasher;
    for (const RunPart& part : run_.parts) {
      hasher.update(manifest_text(part.manifest));
      for (const ShardRecord& record : part.records) hasher.update(record.xxh128);
    }
    return hasher.hex().substr(0, 16);
  }
  [[nodiscard]] Json state() const {
    Json::Array files;
    for (std::size_t shard = 0; shard < shards_; ++shard)
      files.emplace_back(Json::Object{{"filename", Json(shard_name(shard, shards_))}});
    return Json(Json::Object{{"_data_files", Json(std::move(files))},
                             {"_fingerprint", Json(fingerprint())},
                             {"_format_columns", Json()},
                             {"_format_kwargs", Json(Json::Object{})},
                             {"_format_type", Json()},
                             {"_output_all_columns", Json(false)},
                             {"_split", Json()}});
  }
  Status write_text(std::string_view name, const std::string& text) {
    LAYERSCOPE_TRY(file_.open(folder_ + "/" + std::string(name)));
    LAYERSCOPE_TRY(file_.put(text));
    return file_.finish();
  }

  Status open_shard() {
    LAYERSCOPE_TRY(file_.open(folder_ + "/" + unnumbered_name(shards_++)));
    const Json metadata(Json::Object{{"info", Json(Json::Object{{"features", features()}})}});
    const std::pair<std::string, std::string> pair{"huggingface", metadata.dump()};
    return file_.put(arrow_schema_message(fields_, {&pair, 1}));
  }
  Status end_shard() {
    LAYERSCOPE_TRY(file_.put(kArrowEnd));
    return file_.finish();
  }

  /// Takes rows into the batch, which is written when it or the file is full.
  Status add(const RowSpan& span) {
    std::int64_t first = span.first;
    if (first == 0) ++opened_;
    for (std::int64_t row = first; row < span.first + span.count; ++row) {
      if (!file_.is_open()) LAYERSCOPE_TRY(open_shard());
      const std::uint64_t bytes = row_bytes(columns_, *span.shard, row);
      in_batch_ += bytes;
      in_shard_ += bytes;
      ++rows_;
      const bool shard_is_full = in_shard_ >= shard_bytes_;
      if (!shard_is_full && rows_ < kBatchRows && in_batch_ < kBatchBytes) continue;
      batch_.push_back({span.shard, first, row + 1 - first});
      first = row + 1;
      LAYERSCOPE_TRY(write_rows());
      if (!shard_is_full) continue;
      LAYERSCOPE_TRY(end_shard());
      in_shard_ = 0;
    }
    if (first < span.first + span.count) batch_.push_back({span.shard, first, span.first + span.count - first});
    return opened_ < kBatchShards ? Status() : write_rows();
  }
  Status write_rows() {
    if (batch_.empty()) return {};
    LAYERSCOPE_TRY(write_batch(columns_, batch_, [&](std::span<const std::byte> bytes) { return file_.put(bytes); }));
    batch_.clear();
    in_batch_ = 0;
    rows_ = 0;
    opened_ = 0;
    return {};
  }

  const RunView& run_;
  DatasetColumns columns_;
  std::string folder_;
  std::uint64_t shard_bytes_;
  std::vector<ArrowField> fields_;
  StreamFile file_;
  std::size_t shards_ = 0;
  std::vector<RowSpan> batch_;
  std::int64_t rows_ = 0;                      // of the batch
  int opened_ = 0;                             // shards that the batch has come to
  std::uint64_t in_batch_ = 0, in_shard_ = 0;  // bytes of values
};

}  // namespace

Status export_dataset(const RunView& run, const std::string& target, const ExportOptions& options) {
  std::string folder = target;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  LAYERSCOPE_ASSIGN(DatasetColumns columns, dataset_columns(run, options.text_of));
  if (path_exists(folder)) LAYERSCOPE_TRY(dataset_files(folder));
  PendingFolder pending(folder);
  LAYERSCOPE_TRY(pending.open());
  LAYERSCOPE_TRY(DatasetWriter(run, std::move(columns), pending.path(), options.shard_bytes).write());
  return pending.finish();
}

}  // namespace layerscope
