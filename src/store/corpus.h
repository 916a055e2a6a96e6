// One vector a row, as it lies on disk: a run folder of vectors or a .npy, mapped and never copied.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/vector_block.h"
#include "layerscope/error.h"
#include "store/mapped_shard.h"
#include "store/run_reader.h"

namespace layerscope {

/// The site of a run that `name` asks for, with one vector a row; empty: `embedding`, or the only such site. Errors:
/// kUsage if there is none, or several (they are listed), naming `run`.
[[nodiscard]] Result<StoredSite> choose_vector_site(const Manifest& manifest, const std::string& run,
                                                    const std::string& name);

/// Vectors opened for reading; larger than memory is fine, as pages come from the files when they are touched.
class Corpus {
 public:
  /// A path that ends in .npy is an array [rows, width] of float32, float16, int8 or uint8, its rows numbered from 0;
  /// any other is a run folder, its parts as one. `site` as choose_vector_site. Errors: kUsage for an incomplete run
  /// unless `allow_incomplete`, and for a site that is not there or holds states of tokens (those that would do are
  /// listed); kRuntime, kDamage for what is no run, no array or not what was written. Values are not read: `verify`
  /// checks them.
  [[nodiscard]] static Result<Corpus> open(const std::string& path, const std::string& site, bool allow_incomplete);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  /// Elements of a row as it is stored: of packed bits, the bytes.
  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  [[nodiscard]] DType dtype() const noexcept { return dtype_; }
  /// All rows; a row's number is that of the run, or its index in the .npy. The views live as long as the corpus.
  [[nodiscard]] std::span<const VectorBlock> blocks() const noexcept { return blocks_; }
  /// Null for a .npy.
  [[nodiscard]] const Manifest* manifest() const noexcept { return run_ ? &run_->parts.front().manifest : nullptr; }
  /// The site that is read; null for a .npy.
  [[nodiscard]] const StoredSite* site() const noexcept { return site_ ? &*site_ : nullptr; }
  /// The vector of a row by its number; nothing if there is no such row.
  [[nodiscard]] const std::byte* row(std::int64_t number) const noexcept;
  /// The row's "id" as compact JSON, nothing if it has none.
  [[nodiscard]] std::optional<std::string> id(std::int64_t number) const;

 private:
  struct Place {
    std::size_t block = 0;
    std::int64_t row = 0;
  };
  Status open_npy();
  Status open_run_folder(const std::string& site, bool allow_incomplete);
  Status add_shard(const std::string& path, const ShardRecord& record);
  [[nodiscard]] std::optional<Place> place(std::int64_t number) const noexcept;

  std::string path_;
  std::int64_t rows_ = 0, width_ = 0;
  DType dtype_ = DType::kF32;
  std::optional<RunView> run_;
  std::optional<StoredSite> site_;
  MappedFile array_;  ///< of a .npy
  std::vector<MappedShard> shards_;
  std::vector<VectorBlock> blocks_;
  std::vector<RowIds> ids_;  ///< of every block
};

}  // namespace layerscope
