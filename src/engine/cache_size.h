// What a cache of keys and values takes, known before there is one.
#pragma once

#include <cstdint>

#include "engine/kv_cache.h"
#include "spec/spec.h"

namespace layerscope {

/// Bytes of one sequence's cache over a decoder.
struct CacheSize {
  std::uint64_t token = 0;         ///< for every token of the decoder
  std::uint64_t source_token = 0;  ///< for every token that the encoder read
  std::uint64_t sequence = 0;      ///< beside them
  /// Of a sequence; the largest number there is where it does not fit 64 bits.
  [[nodiscard]] std::uint64_t bytes(std::int64_t tokens, std::int64_t source_tokens) const noexcept;
};

/// Of a cache whose entries are of this type.
[[nodiscard]] CacheSize cache_size(const ModelSpec& spec, DType dtype) noexcept;

/// Makes room for a sequence of that many tokens, so that the cache takes what cache_size says and is never moved.
void reserve_cache(const ModelSpec& spec, DType dtype, std::int64_t tokens, std::int64_t source_tokens, KvCache& cache);

}  // namespace layerscope
