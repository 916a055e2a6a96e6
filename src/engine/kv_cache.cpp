#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace layerscope {
namespace {

std::uint64_t pages_for(std::int64_t tokens) noexcept {
  return (static_cast<std::uint64_t>(tokens) + KeyValuePages::kTokens - 1) / KeyValuePages::kTokens;
}

std::uint64_t sum_or_most(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::uint64_t product_or_most(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max() : product;
}

}  // namespace

KeyValuePages KvCache::Pages::grow(std::int64_t added, std::size_t page_bytes) {
  tokens_ += added;
  page_bytes_ = page_bytes;
  while (pages_.size() < pages_for(tokens_)) {
    RowBuffer page;
    std::byte* bytes = page.rows(DType::kU8, 1, static_cast<std::int64_t>(page_bytes)).data;
    std::memset(bytes, 0, page_bytes);
    memory_.push_back(std::move(page));
    pages_.push_back(bytes);
  }
  return {.pages = pages_.data(), .tokens = tokens_};
}

void KvCache::History::set(const RowsView& values) {
  const std::size_t row_bytes = static_cast<std::size_t>(values.width) * dtype_size(values.dtype);
  bytes.resize(static_cast<std::size_t>(values.rows) * row_bytes);
  for (std::int64_t i = 0; i < values.rows; ++i) {
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * row_bytes,
                values.data + static_cast<std::size_t>(i * values.stride) * dtype_size(values.dtype), row_bytes);
  }
  rows = values.rows;
}

RowsView KvCache::History::view(DType dtype, std::int64_t width) const noexcept {
  return {.dtype = dtype, .data = bytes.data(), .rows = rows, .width = width, .stride = width};
}

KvCache::StepEntries& KvCache::at(int block, int step) {
  blocks_.resize(std::max(blocks_.size(), static_cast<std::size_t>(block) + 1));
  auto& steps = blocks_[static_cast<std::size_t>(block)];
  steps.resize(std::max(steps.size(), static_cast<std::size_t>(step) + 1));
  return steps[static_cast<std::size_t>(step)];
}

std::uint64_t KvCache::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const std::vector<StepEntries>& steps : blocks_) {
    for (const StepEntries& step : steps) sum += step.pages.bytes() + step.history.bytes.size();
  }
  return sum;
}

std::uint64_t cache_bytes(const ModelSpec& spec, const Backend& backend, std::int64_t tokens,
                          std::int64_t encoder_tokens) noexcept {
  std::uint64_t sum = 0;
  if (!spec.decoder) return sum;
  for (const Block& block : spec.decoder->blocks) {
    for (const Step& step : block.steps) {
      if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
        const std::uint64_t pages = pages_for(attention->keys == KeySource::kEncoder ? encoder_tokens : tokens);
        sum = sum_or_most(
            sum, product_or_most(pages, backend.page_bytes(attention->kv_heads, attention->d_qk, attention->d_v)));
      } else if (const auto* convolution = std::get_if<ShortConv>(&step.mixer); convolution != nullptr && tokens > 0) {
        sum = sum_or_most(
            sum, static_cast<std::uint64_t>((convolution->taps - 1) * spec.width) * dtype_size(backend.info().stream));
      }
    }
  }
  return sum;
}

}  // namespace layerscope
