#include "diff/undecided.h"

#include <algorithm>
#include <limits>

#include "base/try.h"

namespace layerscope {

int block_of_site(const SiteTable& table, std::string_view name) noexcept {
  const Site* site = table.find(name);
  if (site == nullptr) return -1;
  if (site->kind == SiteKind::kFinal || site->kind == SiteKind::kLogits) return std::numeric_limits<int>::max() - 1;
  return site->block;
}

Result<Undecided> Undecided::find(const Model& model, std::span<const ChainLink> chain, std::span<const SideRow> rows,
                                  std::span<const std::vector<SideBlock>> states, std::span<const std::string> names,
                                  const LiveOptions& options) {
  Undecided all;
  for (const ChainLink& link : chain) {
    if (!link.experts) continue;
    LAYERSCOPE_ASSIGN(const auto undecided, undecided_tokens(model, link, rows, states, names, options));
    if (all.first_.empty()) {
      for (const auto& row : undecided) all.first_.emplace_back(row.size(), std::numeric_limits<int>::max());
    }
    for (std::size_t row = 0; row < undecided.size(); ++row) {
      bool seen = false;  // the model's tokens see those before them; a later block reads what is off
      for (std::size_t t = 0; t < undecided[row].size(); ++t) {
        int& first = all.first_[row][t];
        if (undecided[row][t] != 0) {
          all.marks_.push_back({row, t, link.block});
          first = std::min(first, link.block);
          seen = true;
        } else if (seen) {
          first = std::min(first, link.block + 1);
        }
      }
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> tokens;
  for (const Mark& mark : all.marks_) tokens.emplace_back(mark.row, mark.token);
  std::ranges::sort(tokens);
  all.tokens_ = std::ranges::unique(tokens).begin() - tokens.begin();
  return all;
}

bool Undecided::counts(std::size_t row, std::size_t token, int block) const noexcept {
  return first_.empty() || row >= first_.size() || token >= first_[row].size() || block < first_[row][token];
}

bool Undecided::counts_alone(std::size_t row, std::size_t token, int block) const noexcept {
  return std::ranges::none_of(
      marks_, [&](const Mark& mark) { return mark.row == row && mark.token == token && mark.block == block; });
}

}  // namespace layerscope
