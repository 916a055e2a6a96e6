// XXH3-128: guards against damage and mix-ups at memory speed; no defence against a forger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "layerscope/error.h"

namespace layerscope {

/// A running XXH3-128.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes) noexcept;
  void update(std::string_view text) noexcept;
  /// 32 lower-case hex digits, high half first, of everything so far. More may be added afterwards.
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The hash of a whole file, read in pieces (never mapped, never whole in memory).
[[nodiscard]] Result<std::string> hash_file(const std::string& path, ErrorCode code);

/// XXH3-64 of these bytes.
[[nodiscard]] std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

}  // namespace layerscope
