#include "cli/cluster_vectors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include <fmt/format.h>

#include "base/half.h"
#include "base/numbers.h"
#include "base/try.h"

namespace layerscope::cli {
namespace {

bool compares_by_cosine(const Corpus& corpus) {
  if (corpus.manifest() == nullptr || corpus.site()->name != "embedding") return false;
  for (const auto& [name, value] : corpus.manifest()->config) {
    if (name != "embedding") continue;
    const Json* const similarity = value.find("similarity");
    return similarity != nullptr && similarity->string() != nullptr && *similarity->string() == "cosine";
  }
  return false;
}

/// One row as float32.
void convert(DType dtype, const std::byte* from, std::span<float> into) {
  if (dtype == DType::kF32) {
    std::memcpy(into.data(), from, into.size_bytes());
    return;
  }
  const auto* const bits = reinterpret_cast<const std::uint16_t*>(from);
  for (std::size_t i = 0; i < into.size(); ++i)
    into[i] = dtype == DType::kF16 ? f16_to_float(bits[i]) : bf16_to_float(bits[i]);
}

void scale_to_one(std::span<float> vector) {
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * static_cast<double>(value);
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : vector) value = static_cast<float>(static_cast<double>(value) / length);
}

struct Place {
  std::int64_t number = 0;
  const std::byte* data = nullptr;
};

/// Every row, by its number.
Result<std::vector<Place>> rows_in_order(const Corpus& corpus) {
  const std::int64_t bytes = corpus.width() * static_cast<std::int64_t>(dtype_size(corpus.dtype()));
  std::vector<Place> places;
  places.reserve(static_cast<std::size_t>(corpus.rows()));
  for (const VectorBlock& block : corpus.blocks()) {
    for (std::int64_t row = 0; row < block.values.rows; ++row)
      places.push_back({block.number(row), block.values.data + row * bytes});
  }
  std::ranges::sort(places, {}, &Place::number);
  const auto twice = std::ranges::adjacent_find(places, {}, &Place::number);
  if (twice != places.end())
    return Error{ErrorCode::kDamage, fmt::format("{}: row {} comes twice", corpus.path(), twice->number)};
  return places;
}

}  // namespace

Result<CorpusVectors> load_vectors(const Corpus& corpus, std::optional<bool> normalize) try {
  const DType dtype = corpus.dtype();
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
    return Error{ErrorCode::kRuntime, fmt::format("{}: vectors of {}, expected floats (embed without --precision)",
                                                  corpus.path(), dtype_name(dtype))};
  }
  LAYERSCOPE_ASSIGN(const std::vector<Place> places, rows_in_order(corpus));
  if (places.empty()) return Error{ErrorCode::kUsage, corpus.path() + ": has no rows"};
  CorpusVectors vectors;
  vectors.width = static_cast<std::size_t>(corpus.width());
  vectors.normalized = normalize.value_or(compares_by_cosine(corpus));
  const auto elements = checked_multiply(places.size(), vectors.width);
  if (!elements || *elements > vectors.values.max_size()) throw std::bad_alloc();
  vectors.values.resize(*elements);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::span<float> vector = std::span(vectors.values).subspan(i * vectors.width, vectors.width);
    convert(dtype, places[i].data, vector);
    if (!std::ranges::all_of(vector, [](float value) { return std::isfinite(value); })) {
      return Error{ErrorCode::kRuntime,
                   fmt::format("{}: row {}: its vector holds NaN or infinity", corpus.path(), places[i].number)};
    }
    if (vectors.normalized) scale_to_one(vector);
    vectors.numbers.push_back(places[i].number);
  }
  return vectors;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, fmt::format("{}: {} vectors of {} elements do not fit into memory", corpus.path(),
                                                 corpus.rows(), corpus.width())};
}

}  // namespace layerscope::cli
