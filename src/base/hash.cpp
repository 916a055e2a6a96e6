#include "base/hash.h"

#define XXH_STATIC_LINKING_ONLY  // the state's size, so that it needs no allocation of its own
#include <xxhash.h>

#include <vector>

#include "base/file.h"
#include "base/try.h"

namespace layerscope {

struct Hasher::State {
  XXH3_state_t xxh3;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->xxh3);
  XXH3_128bits_reset(&state_->xxh3);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) noexcept {
  if (!bytes.empty()) XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) noexcept { update(std::as_bytes(std::span(text))); }

std::string Hasher::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh3));
  std::string out;
  for (const unsigned char byte : canonical.digest) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 0xF]);
  }
  return out;
}

Result<std::string> hash_file(const std::string& path, ErrorCode code) {
  LAYERSCOPE_ASSIGN(RegularFile file, RegularFile::open(path, code));
  std::vector<std::byte> piece(std::size_t{1} << 20);
  Hasher hasher;
  while (true) {
    LAYERSCOPE_ASSIGN(const std::size_t count, file.read(piece));
    if (count == 0) return hasher.hex();
    hasher.update(std::span(piece).first(count));
  }
}

std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace layerscope
