// The vectors of a corpus in memory, as k-means takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/vectors.h"
#include "layerscope/error.h"
#include "store/corpus.h"

namespace layerscope::cli {

struct CorpusVectors {
  std::vector<std::int64_t> numbers;  ///< [rows] ascending
  std::vector<float> values;          ///< [rows, width]
  std::size_t width = 0;
  bool normalized = false;
  [[nodiscard]] VectorsView view() const noexcept { return {values, width}; }
};

/// All vectors of a corpus in the order of their row numbers, as float32. `normalize` brings them to length 1 (a vector
/// of zeros stays); nothing: if the run's recipe says that its vectors are compared by cosine. Errors: kUsage for no
/// rows; kRuntime for quantized vectors, and for NaN or infinity with the row; kDamage for a row that comes twice;
/// kResource where they do not fit into memory.
[[nodiscard]] Result<CorpusVectors> load_vectors(const Corpus& corpus, std::optional<bool> normalize);

}  // namespace layerscope::cli
