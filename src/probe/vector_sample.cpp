#include "probe/vector_sample.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/hash.h"

namespace layerscope {

VectorSample::VectorSample(std::int64_t capacity, std::uint64_t seed, std::vector<std::int64_t> widths)
    : capacity_(static_cast<std::size_t>(capacity)), seed_(seed), widths_(std::move(widths)), values_(widths_.size()) {}

void VectorSample::add(const LayerBlock& block) {
  for (const LayerRow& row : block.rows) {
    for (std::int64_t vector = row.first; vector < row.first + row.count; ++vector) {
      const std::array<std::int64_t, 2> name = {row.number, block.positions[static_cast<std::size_t>(vector)]};
      Kept one{hash64(std::as_bytes(std::span(name)), seed_), name[0], name[1], kept_.size()};
      if (kept_.size() == capacity_) {
        one.slot = kept_.front().slot;
        if (!(one < kept_.front())) continue;
        std::pop_heap(kept_.begin(), kept_.end());
        kept_.pop_back();
      }
      kept_.push_back(one);
      std::push_heap(kept_.begin(), kept_.end());
      for (std::size_t site = 0; site < widths_.size(); ++site) {
        const auto width = static_cast<std::size_t>(widths_[site]);
        values_[site].resize(std::max(values_[site].size(), (one.slot + 1) * width));
        std::copy_n(block.values[site].begin() + static_cast<std::ptrdiff_t>(vector * widths_[site]), width,
                    values_[site].begin() + static_cast<std::ptrdiff_t>(one.slot * width));
      }
    }
  }
}

std::vector<std::vector<float>> VectorSample::take() {
  std::ranges::sort(
      kept_, [](const Kept& a, const Kept& b) { return std::pair(a.row, a.position) < std::pair(b.row, b.position); });
  std::vector<std::vector<float>> out(values_.size());
  for (std::size_t site = 0; site < values_.size(); ++site) {
    out[site].reserve(values_[site].size());
    for (const Kept& one : kept_) {
      const auto first = values_[site].begin() + static_cast<std::ptrdiff_t>(one.slot) * widths_[site];
      out[site].insert(out[site].end(), first, first + widths_[site]);
    }
    std::vector<float>().swap(values_[site]);
  }
  return out;
}

}  // namespace layerscope
