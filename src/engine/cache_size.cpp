#include "engine/cache_size.h"

#include <limits>

#include "base/numbers.h"

namespace layerscope {

std::uint64_t CacheSize::bytes(std::int64_t tokens, std::int64_t source_tokens) const noexcept {
  const auto own = checked_multiply(token, static_cast<std::uint64_t>(tokens));
  const auto source = checked_multiply(source_token, static_cast<std::uint64_t>(source_tokens));
  const auto both = own && source ? checked_add(*own, *source) : std::nullopt;
  return (both ? checked_add(*both, sequence) : std::nullopt).value_or(std::numeric_limits<std::uint64_t>::max());
}

CacheSize cache_size(const ModelSpec& spec, DType dtype) noexcept {
  CacheSize size;
  const std::uint64_t element = dtype_size(dtype);
  for (const Block& block : spec.decoder->blocks) {
    for (const Step& step : block.steps) {
      if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
        const auto row = static_cast<std::uint64_t>(attention->kv_heads * (attention->d_qk + attention->d_v)) * element;
        (attention->keys == KeySource::kEncoder ? size.source_token : size.token) += row;
      } else if (const auto* conv = std::get_if<ShortConv>(&step.mixer)) {
        size.sequence += static_cast<std::uint64_t>((conv->taps - 1) * spec.width) * element;
      }
    }
  }
  return size;
}

void reserve_cache(const ModelSpec& spec, DType dtype, std::int64_t tokens, std::int64_t source_tokens,
                   KvCache& cache) {
  for (std::size_t block = 0; block < spec.decoder->blocks.size(); ++block) {
    const std::vector<Step>& steps = spec.decoder->blocks[block].steps;
    for (std::size_t step = 0; step < steps.size(); ++step) {
      const auto* attention = std::get_if<Attention>(&steps[step].mixer);
      if (attention == nullptr) continue;
      const auto rows =
          static_cast<std::size_t>(attention->keys == KeySource::kEncoder ? source_tokens : tokens) * dtype_size(dtype);
      KvCache::StepEntries& entries = cache.at(static_cast<int>(block), static_cast<int>(step));
      entries.keys.bytes.reserve(rows * static_cast<std::size_t>(attention->kv_heads * attention->d_qk));
      entries.values.bytes.reserve(rows * static_cast<std::size_t>(attention->kv_heads * attention->d_v));
    }
  }
}

}  // namespace layerscope
