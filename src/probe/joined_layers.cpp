#include "probe/joined_layers.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

void append_values(const LayerBlock& from, const LayerRow& row, const std::vector<StoredSite>& sites,
                   std::size_t first_site, LayerBlock& out) {
  for (std::size_t site = 0; site < sites.size(); ++site) {
    const auto begin = from.values[site].begin() + static_cast<std::ptrdiff_t>(row.first * sites[site].width);
    std::vector<float>& into = out.values[first_site + site];
    into.insert(into.end(), begin, begin + static_cast<std::ptrdiff_t>(row.count * sites[site].width));
  }
}

}  // namespace

Result<bool> JoinedLayers::fill(LayerSource& source, Side& side) {
  while (side.empty()) {
    LAYERSCOPE_ASSIGN(const bool more, source.next(side.block));
    side.at = 0;
    if (!more) return false;
  }
  return true;
}

Result<bool> JoinedLayers::next(LayerBlock& block) {
  if (b_ == nullptr) return a_.next(block);
  block.clear();
  block.values.resize(a_.sites().size() + b_->sites().size());
  while (block.rows.empty()) {
    LAYERSCOPE_ASSIGN(const bool left, fill(a_, left_));
    LAYERSCOPE_ASSIGN(const bool right, fill(*b_, right_));
    if (!left || !right) {
      unmatched_ +=
          static_cast<std::int64_t>(left_.block.rows.size() - left_.at + right_.block.rows.size() - right_.at);
      left_.at = left_.block.rows.size();
      right_.at = right_.block.rows.size();
      return false;
    }
    LAYERSCOPE_TRY(append_common(block));
  }
  return true;
}

Status JoinedLayers::append_common(LayerBlock& out) {
  while (!left_.empty() && !right_.empty()) {
    const LayerRow& a = left_.row();
    const LayerRow& b = right_.row();
    if (a.number != b.number) {
      ++unmatched_;
      ++(a.number < b.number ? left_ : right_).at;
      continue;
    }
    const auto of_a = left_.block.positions.begin() + static_cast<std::ptrdiff_t>(a.first);
    const auto of_b = right_.block.positions.begin() + static_cast<std::ptrdiff_t>(b.first);
    if (!std::equal(of_a, of_a + a.count, of_b, of_b + b.count)) {
      return Error{ErrorCode::kUsage, b_->path() + ": row " + std::to_string(b.number) + " has " +
                                          std::to_string(b.count) + " vectors where " + a_.path() + " has " +
                                          std::to_string(a.count) +
                                          ", or at other positions: vectors are compared one by one; pooled states "
                                          "(--pool mean) are one a row in any model"};
    }
    out.rows.push_back({a.number, out.vectors(), a.count});
    out.positions.insert(out.positions.end(), of_a, of_a + a.count);
    append_values(left_.block, a, a_.sites(), 0, out);
    append_values(right_.block, b, b_->sites(), a_.sites().size(), out);
    ++left_.at;
    ++right_.at;
  }
  return {};
}

}  // namespace layerscope
