// The vectors of all samples, layer by layer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/vector_set.h"
#include "base/mapped_file.h"
#include "layerscope/error.h"
#include "store/file_io.h"

namespace layerscope {

struct ProbeSite {
  std::string name;
  std::optional<int> hf_index;
  std::int64_t width = 0;
};

/// Vectors that somebody keeps.
class ProbeLayers {
 public:
  virtual ~ProbeLayers() = default;
  [[nodiscard]] const std::vector<ProbeSite>& sites() const noexcept { return sites_; }
  /// The vectors of a site, end to end one a sample, in the order of the samples. What they point to lives as long as
  /// this.
  [[nodiscard]] virtual std::vector<VectorBlock> blocks(std::size_t site) const = 0;

 protected:
  explicit ProbeLayers(std::vector<ProbeSite> sites) : sites_(std::move(sites)) {}
  std::vector<ProbeSite> sites_;
};

/// Vectors that are gathered one after the other: in memory while they are few, otherwise in unnamed files of a folder.
class GatheredLayers final : public ProbeLayers {
 public:
  /// Bytes of all sites together that stay in memory.
  static constexpr std::size_t kMemory = std::size_t{256} << 20;

  explicit GatheredLayers(std::vector<ProbeSite> sites, std::string folder, std::size_t memory = kMemory);

  /// Appends whole vectors to a site. Errors: kResource, kRuntime for the folder's files.
  [[nodiscard]] Status append(std::size_t site, std::span<const float> vectors);
  /// Nothing is appended any more.
  [[nodiscard]] Status finish();
  /// Valid after finish().
  [[nodiscard]] std::vector<VectorBlock> blocks(std::size_t site) const override;

 private:
  struct Column {
    std::vector<float> held;
    File file;
    std::uint64_t written = 0;  // bytes
    MappedFile mapped;
  };
  [[nodiscard]] Status write(Column& column, std::span<const float> vectors) const;

  std::string folder_;
  std::size_t floats_;  // that a site holds before they go to its file
  std::vector<Column> columns_;
};

}  // namespace layerscope
