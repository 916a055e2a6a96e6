#include "store/corpus.h"

#include <algorithm>
#include <functional>

#include "base/try.h"
#include "base/utf8.h"
#include "store/npy.h"
#include "store/shard_reader.h"

namespace layerscope {
namespace {

/// The values of a mapped tensor, whose bytes must be aligned to their size.
template <class T>
Result<std::span<const T>> values_of(const MappedFile& file, const ShardReader& shard, const ShardTensor& tensor) {
  const std::byte* const data = file.bytes().data() + shard.data_begin() + tensor.begin;
  if (reinterpret_cast<std::uintptr_t>(data) % sizeof(T) != 0)
    return Error{ErrorCode::kDamage, file.path() + ": tensor \"" + printable(tensor.name) + "\" is not aligned"};
  return std::span(reinterpret_cast<const T*>(data), (tensor.end - tensor.begin) / sizeof(T));
}

bool one_vector_a_row(const StoredSite& site) { return site.unit == StoredUnit::kPooled; }

}  // namespace

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
  files_.push_back(std::move(file));
  return {};
}

Status Corpus::open_run_folder(const std::string& site, bool allow_incomplete) {
  LAYERSCOPE_ASSIGN(run_, layerscope::open_run(path_, allow_incomplete));
  LAYERSCOPE_TRY(choose_site(site));
  width_ = site_->width;
  dtype_ = site_->dtype;
  for (const RunPart& part : run_->parts) {
    for (const ShardRecord& record : part.records) LAYERSCOPE_TRY(add_shard(part.shard_path(record), record));
  }
  return {};
}

Status Corpus::choose_site(const std::string& name) {
  const std::vector<StoredSite>& sites = manifest()->schema.sites;
  std::string fitting;
  std::vector<const StoredSite*> pooled;
  for (const StoredSite& site : sites) {
    if (!one_vector_a_row(site)) continue;
    if (site.name == name || (name.empty() && site.name == "embedding")) {
      site_ = site;
      return {};
    }
    pooled.push_back(&site);
    fitting += (fitting.empty() ? "" : ", ") + printable(site.name);
  }
  if (name.empty() && pooled.size() == 1) {
    site_ = *pooled.front();
    return {};
  }
  if (pooled.empty()) {
    return Error{ErrorCode::kUsage,
                 path_ + ": has no site with one vector a row; embed -o RUN makes one, and states --pool mean -o RUN"};
  }
  const std::string found = name.empty() ? "several sites hold one vector a row, --site picks one"
                                         : "no site \"" + printable(name) + "\" with one vector a row";
  return Error{ErrorCode::kUsage, path_ + ": " + found + " (there are: " + fitting + ")"};
}

Status Corpus::add_shard(const std::string& path, const ShardRecord& record) {
  const auto damage = [&](const std::string& what) { return Error{ErrorCode::kDamage, path + ": " + what}; };
  LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(path));
  LAYERSCOPE_ASSIGN(MappedFile file, MappedFile::open(path, ErrorCode::kDamage));
  if (shard.bytes() != record.bytes || file.bytes().size() != record.bytes) {
    return damage("has " + std::to_string(file.bytes().size()) + " bytes, the journal says " +
                  std::to_string(record.bytes));
  }
  const ShardTensor* const rows = shard.find("row");
  if (rows == nullptr || rows->dtype != DType::kI64 || rows->shape.rank() != 1 || rows->shape[0] != record.rows)
    return damage("tensor \"row\" is not I64 [" + std::to_string(record.rows) + "], as the journal says");
  const ShardTensor* const values = shard.find(site_->name);
  if (values == nullptr || values->dtype != site_->dtype || values->shape != Shape{record.rows, site_->width}) {
    return damage("tensor \"" + printable(site_->name) + "\" is not " + std::string(dtype_name(site_->dtype)) + " " +
                  Shape{record.rows, site_->width}.text() + ", as manifest and journal say");
  }
  VectorBlock block{
      .values = {dtype_, file.bytes().data() + shard.data_begin() + values->begin, record.rows, width_, width_},
      .numbers = {}};
  LAYERSCOPE_ASSIGN(block.numbers, values_of<std::int64_t>(file, shard, *rows));
  if (std::adjacent_find(block.numbers.begin(), block.numbers.end(), std::greater_equal<>()) != block.numbers.end())
    return damage("its row numbers do not ascend");
  if (reinterpret_cast<std::uintptr_t>(block.values.data) % dtype_size(dtype_) != 0)
    return damage("tensor \"" + printable(site_->name) + "\" is not aligned");
  Ids ids;
  const ShardTensor* const offsets = shard.find("id_offsets");
  const ShardTensor* const text = shard.find("id");
  if (offsets != nullptr && text != nullptr) {
    if (offsets->dtype != DType::kI64 || offsets->shape != Shape{record.rows + 1} || text->dtype != DType::kU8)
      return damage("tensor \"id_offsets\" is not I64 [rows + 1]");
    LAYERSCOPE_ASSIGN(ids.offsets, values_of<std::int64_t>(file, shard, *offsets));
    LAYERSCOPE_ASSIGN(ids.text, values_of<std::byte>(file, shard, *text));
  }
  blocks_.push_back(block);
  ids_.push_back(ids);
  files_.push_back(std::move(file));
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

Result<std::optional<std::string>> Corpus::id(std::int64_t number) const {
  const std::optional<Place> found = place(number);
  if (!found || ids_[found->block].offsets.empty()) return std::optional<std::string>();
  const Ids& ids = ids_[found->block];
  const std::int64_t begin = ids.offsets[static_cast<std::size_t>(found->row)];
  const std::int64_t end = ids.offsets[static_cast<std::size_t>(found->row) + 1];
  if (begin < 0 || begin > end || end > static_cast<std::int64_t>(ids.text.size())) {
    return Error{ErrorCode::kDamage,
                 files_[found->block].path() + ": the offsets of tensor \"id\" leave it; layerscope verify tells more"};
  }
  if (begin == end) return std::optional<std::string>();
  const auto text = ids.text.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return std::optional(std::string(reinterpret_cast<const char*>(text.data()), text.size()));
}

}  // namespace layerscope
