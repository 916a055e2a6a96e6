#include "store/corpus.h"

#include <algorithm>

#include "base/try.h"
#include "base/utf8.h"
#include "store/npy.h"

namespace layerscope {

Result<StoredSite> choose_vector_site(const Manifest& manifest, const std::string& run, const std::string& name) {
  std::string fitting;
  std::vector<const StoredSite*> pooled;
  for (const StoredSite& site : manifest.schema.sites) {
    if (site.unit != StoredUnit::kPooled) continue;
    if (site.name == name || (name.empty() && site.name == "embedding")) return site;
    pooled.push_back(&site);
    fitting += (fitting.empty() ? "" : ", ") + printable(site.name);
  }
  if (name.empty() && pooled.size() == 1) return *pooled.front();
  if (pooled.empty()) {
    return Error{ErrorCode::kUsage,
                 run + ": has no site with one vector a row; embed -o RUN makes one, and states --pool mean -o RUN"};
  }
  const std::string found = name.empty() ? "several sites hold one vector a row, --site picks one"
                                         : "no site \"" + printable(name) + "\" with one vector a row";
  return Error{ErrorCode::kUsage, run + ": " + found + " (there are: " + fitting + ")"};
}

Result<Corpus> Corpus::open(const std::string& path, const std::string& site, bool allow_incomplete) {
  Corpus corpus;
  corpus.path_ = path;
  if (path.ends_with(".npy")) {
    if (!site.empty()) return Error{ErrorCode::kUsage, path + ": a .npy has no sites (--site " + printable(site) + ")"};
    LAYERSCOPE_TRY(corpus.open_npy());
  } else {
    LAYERSCOPE_TRY(corpus.open_run_folder(site, allow_incomplete));
  }
  for (const VectorBlock& block : corpus.blocks_) corpus.rows_ += block.values.rows;
  return corpus;
}

Status Corpus::open_npy() {
  LAYERSCOPE_ASSIGN(MappedFile file, MappedFile::open(path_, ErrorCode::kRuntime));
  LAYERSCOPE_ASSIGN(const NpyHeader header, parse_npy_header(file.bytes(), path_));
  dtype_ = header.dtype;
  const bool known = dtype_ == DType::kF32 || dtype_ == DType::kF16 || dtype_ == DType::kI8 || dtype_ == DType::kU8;
  if (!known) {
    return Error{ErrorCode::kRuntime, path_ + ": elements of type " + std::string(dtype_name(dtype_)) +
                                          ", expected float32, float16, int8 or uint8 (array.astype(\"float32\"))"};
  }
  if (header.shape.rank() != 2 || header.shape[1] == 0)
    return Error{ErrorCode::kRuntime, path_ + ": its shape is " + header.shape.text() + ", expected [rows, width]"};
  width_ = header.shape[1];
  blocks_.push_back(
      {.values = {dtype_, file.bytes().data() + header.begin, header.shape[0], width_, width_}, .numbers = {}});
  ids_.emplace_back();
  array_ = std::move(file);
  return {};
}

Status Corpus::open_run_folder(const std::string& site, bool allow_incomplete) {
  LAYERSCOPE_ASSIGN(run_, layerscope::open_run(path_, allow_incomplete));
  LAYERSCOPE_ASSIGN(site_, choose_vector_site(*manifest(), path_, site));
  width_ = site_->width;
  dtype_ = site_->dtype;
  for (const RunPart& part : run_->parts) {
    for (const ShardRecord& record : part.records) LAYERSCOPE_TRY(add_shard(part.shard_path(record), record));
  }
  return {};
}

Status Corpus::add_shard(const std::string& path, const ShardRecord& record) {
  LAYERSCOPE_ASSIGN(MappedShard shard, MappedShard::open(path, record));
  LAYERSCOPE_ASSIGN(const TensorView values, shard.tensor(site_->name, site_->dtype, Shape{record.rows, site_->width}));
  VectorBlock block{.values = {dtype_, values.data, record.rows, width_, width_}, .numbers = {}};
  LAYERSCOPE_ASSIGN(block.numbers, shard.row_numbers());
  LAYERSCOPE_ASSIGN(RowIds ids, shard.ids());
  blocks_.push_back(block);
  ids_.push_back(ids);
  shards_.push_back(std::move(shard));
  return {};
}

std::optional<Corpus::Place> Corpus::place(std::int64_t number) const noexcept {
  for (std::size_t at = 0; at < blocks_.size(); ++at) {
    const VectorBlock& block = blocks_[at];
    if (block.numbers.empty()) {
      const std::int64_t row = number - block.first;
      if (row >= 0 && row < block.values.rows) return Place{at, row};
      continue;
    }
    const auto found = std::lower_bound(block.numbers.begin(), block.numbers.end(), number);
    if (found != block.numbers.end() && *found == number) return Place{at, found - block.numbers.begin()};
  }
  return std::nullopt;
}

const std::byte* Corpus::row(std::int64_t number) const noexcept {
  const std::optional<Place> found = place(number);
  if (!found) return nullptr;
  const std::int64_t bytes = width_ * static_cast<std::int64_t>(dtype_size(dtype_));
  return blocks_[found->block].values.data + found->row * bytes;
}

std::optional<std::string> Corpus::id(std::int64_t number) const {
  const std::optional<Place> found = place(number);
  return found ? ids_[found->block].id(static_cast<std::size_t>(found->row)) : std::nullopt;
}

}  // namespace layerscope
