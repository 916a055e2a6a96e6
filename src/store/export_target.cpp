#include "store/export_target.h"

#include <algorithm>

#include "base/try.h"
#include "store/file_io.h"
#include "store/npy.h"
#include "store/zip.h"

namespace layerscope {
namespace {

std::string parent_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// One file, written under a temporary name beside its own; a file that is never finished is removed.
class PendingFile {
 public:
  Status open(const std::string& path) {
    path_ = path;
    LAYERSCOPE_ASSIGN(file_, File::create(path + ".tmp"));
    return {};
  }
  ~PendingFile() {
    if (!file_.is_open()) return;
    // Nobody is left to tell; a stray file with this name is overwritten by the next export.
    static_cast<void>(remove_file(path_ + ".tmp"));
  }
  PendingFile() = default;
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  [[nodiscard]] const File& file() const noexcept { return file_; }
  Status finish() {
    LAYERSCOPE_TRY(file_.sync());
    LAYERSCOPE_TRY(rename_file(path_ + ".tmp", path_));
    file_ = File();
    return sync_folder(parent_folder(path_));
  }

 private:
  std::string path_;
  File file_;
};

class NpyFolder final : public ExportTarget {
 public:
  explicit NpyFolder(std::string folder) : folder_(std::move(folder)) {}
  Status begin(const ShardTensor& tensor) override {
    pending_ = std::make_unique<PendingFile>();
    LAYERSCOPE_TRY(pending_->open(folder_ + "/" + tensor.name + ".npy"));
    at_ = 0;
    const std::string header = npy_header(tensor.dtype, tensor.shape);
    return write(std::as_bytes(std::span(header)));
  }
  Status write(std::span<const std::byte> bytes) override {
    LAYERSCOPE_TRY(pending_->file().write_at(at_, bytes));
    at_ += bytes.size();
    return {};
  }
  Status end() override { return pending_->finish(); }
  Status finish() override { return {}; }

 private:
  std::string folder_;
  std::unique_ptr<PendingFile> pending_;
  std::uint64_t at_ = 0;
};

class NpzFile final : public ExportTarget {
 public:
  Status open(const std::string& path) { return pending_.open(path); }
  Status begin(const ShardTensor& tensor) override {
    LAYERSCOPE_TRY(zip_.begin(tensor.name + ".npy"));
    const std::string header = npy_header(tensor.dtype, tensor.shape);
    return zip_.write(std::as_bytes(std::span(header)));
  }
  Status write(std::span<const std::byte> bytes) override { return zip_.write(bytes); }
  Status end() override { return zip_.end(); }
  Status finish() override {
    LAYERSCOPE_TRY(zip_.finish());
    return pending_.finish();
  }

 private:
  PendingFile pending_;
  ZipWriter zip_{pending_.file()};
};

class SafetensorsFile final : public ExportTarget {
 public:
  Status open(const std::string& path, const ShardLayout& layout) {
    LAYERSCOPE_TRY(pending_.open(path));
    return write(std::as_bytes(std::span(layout.header())));
  }
  Status begin(const ShardTensor&) override { return {}; }
  Status write(std::span<const std::byte> bytes) override {
    LAYERSCOPE_TRY(pending_.file().write_at(at_, bytes));
    at_ += bytes.size();
    return {};
  }
  Status end() override { return {}; }
  Status finish() override { return pending_.finish(); }

 private:
  PendingFile pending_;
  std::uint64_t at_ = 0;
};

/// Vectors end to end, each behind its width.
class FvecsFile final : public ExportTarget {
 public:
  Status open(const std::string& path) { return pending_.open(path); }
  Status begin(const ShardTensor& tensor) override {
    width_ = static_cast<std::int32_t>(tensor.shape[1]);
    return {};
  }
  Status write(std::span<const std::byte> bytes) override {
    const std::size_t row = static_cast<std::size_t>(width_) * sizeof(float);
    std::vector<std::byte> out;
    while (!bytes.empty()) {
      if (in_row_ == 0) {
        const auto head = std::as_bytes(std::span<const std::int32_t, 1>(&width_, 1));
        out.insert(out.end(), head.begin(), head.end());
      }
      const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), row - in_row_));
      out.insert(out.end(), piece.begin(), piece.end());
      in_row_ = (in_row_ + piece.size()) % row;
      bytes = bytes.subspan(piece.size());
    }
    LAYERSCOPE_TRY(pending_.file().write_at(at_, out));
    at_ += out.size();
    return {};
  }
  Status end() override { return {}; }
  Status finish() override { return pending_.finish(); }

 private:
  PendingFile pending_;
  std::int32_t width_ = 0;
  std::size_t in_row_ = 0;  // bytes of the row that is being written
  std::uint64_t at_ = 0;
};

/// The folder of an .npy export: new, empty, or holding nothing but arrays, which are removed.
Status prepare_folder(const std::string& folder) {
  LAYERSCOPE_TRY(make_folders(folder));
  LAYERSCOPE_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".npy") && !name.ends_with(".npy.tmp")) {
      return Error{ErrorCode::kUsage,
                   folder + ": holds something else than arrays (" + name + "); name another folder"};
    }
  }
  for (const std::string& name : names) LAYERSCOPE_TRY(remove_file(folder + "/" + name));
  return {};
}

}  // namespace

Result<std::unique_ptr<ExportTarget>> open_export_target(ExportFormat format, const std::string& path,
                                                         const ShardLayout& layout) {
  switch (format) {
    case ExportFormat::kNpy: {
      LAYERSCOPE_TRY(prepare_folder(path));
      return std::unique_ptr<ExportTarget>(std::make_unique<NpyFolder>(path));
    }
    case ExportFormat::kNpz: {
      auto target = std::make_unique<NpzFile>();
      LAYERSCOPE_TRY(target->open(path));
      return std::unique_ptr<ExportTarget>(std::move(target));
    }
    case ExportFormat::kFvecs: {
      auto target = std::make_unique<FvecsFile>();
      LAYERSCOPE_TRY(target->open(path));
      return std::unique_ptr<ExportTarget>(std::move(target));
    }
    case ExportFormat::kHfDataset:
    case ExportFormat::kSafetensors: break;
  }
  auto target = std::make_unique<SafetensorsFile>();
  LAYERSCOPE_TRY(target->open(path, layout));
  return std::unique_ptr<ExportTarget>(std::move(target));
}

}  // namespace layerscope
