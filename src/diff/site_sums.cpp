#include "diff/site_sums.h"

#include <cmath>

namespace layerscope {
namespace {

std::span<const double> token_of(const SideBlock& block, std::size_t token) {
  const auto width = static_cast<std::size_t>(block.width);
  return std::span(block.values).subspan(token * width, width);
}

/// The rows of `all` at the positions that `few` kept; without values where it has not all of them.
SideBlock picked(const SideBlock& all, const SideBlock& few) {
  SideBlock block{.rows = few.rows, .width = all.width};
  for (const std::int32_t position : few.positions) {
    if (position < 0 || position >= all.rows) return {};
    const auto from = all.values.begin() + position * all.width;
    block.values.insert(block.values.end(), from, from + all.width);
  }
  return block;
}

bool same_shape(const SideBlock& a, const SideBlock& b) {
  return a.rows == b.rows && a.width == b.width && a.values.size() == b.values.size();
}

}  // namespace

SiteSums::SiteSums(std::vector<std::string> names, DType grid)
    : names_(std::move(names)),
      whole_(names_.size(), Sum(grid)),
      alone_(names_.size(), Sum(grid)),
      has_alone_(names_.size()) {}

double SiteSums::Sum::add(std::span<const double> a, std::span<const double> b, std::int64_t of_row, std::int64_t at) {
  const double error = difference.add(a, b);
  if (error > worst) {
    worst = error;
    row = of_row;
    position = at;
  }
  return error;
}

Error SiteSums::shape_error(std::size_t site, const SideBlock& a, const SideBlock& b, std::int64_t row) const {
  const auto shape = [](const SideBlock& block) {
    return "[" + std::to_string(block.rows) + ", " + std::to_string(block.width) + "]";
  };
  return Error{ErrorCode::kRuntime, "site " + names_[site] + " of row " + std::to_string(row) + " is " + shape(a) +
                                        " in one side and " + shape(b) + " in the other"};
}

Status SiteSums::add(std::size_t site, const SideBlock& whole_a, const SideBlock& whole_b, const TokenFilter& counts,
                     DiffText& text) {
  SideBlock kept;
  const SideBlock *a = &whole_a, *b = &whole_b;
  if (a->positions.empty() != b->positions.empty()) {
    const SideBlock*& all = a->positions.empty() ? a : b;
    kept = picked(*all, a->positions.empty() ? *b : *a);
    all = &kept;
  }
  if (!same_shape(*a, *b)) return shape_error(site, whole_a, whole_b, text.row);
  double difference = 0, size = 0;
  for (std::size_t t = 0; t < static_cast<std::size_t>(b->rows); ++t) {
    double error = 0;
    if (counts(t)) {
      const std::span<const double> of_a = token_of(*a, t), of_b = token_of(*b, t);
      error = whole_[site].add(of_a, of_b, text.row, static_cast<std::int64_t>(t));
      for (std::size_t j = 0; j < of_b.size(); ++j) {
        difference += (of_a[j] - of_b[j]) * (of_a[j] - of_b[j]);
        size += of_b[j] * of_b[j];
      }
    }
    if (!text.token_errors.empty()) text.token_errors[site].push_back(error);
  }
  text.rel_l2[site] = difference == 0 ? 0 : std::sqrt(difference / size);
  return {};
}

Status SiteSums::add_alone(std::size_t site, const SideBlock& own, const SideBlock& other, const TokenFilter& counts,
                           DiffText& text) {
  if (!same_shape(own, other)) return shape_error(site, own, other, text.row);
  has_alone_[site] = true;
  for (std::size_t t = 0; t < static_cast<std::size_t>(own.rows); ++t) {
    const double error =
        counts(t) ? alone_[site].add(token_of(own, t), token_of(other, t), text.row, static_cast<std::int64_t>(t)) : 0;
    if (!text.token_errors.empty()) text.token_errors[site][t] = error;
  }
  return {};
}

void SiteSums::fill(std::vector<DiffSite>& sites, bool live) const {
  for (std::size_t s = 0; s < names_.size(); ++s) {
    DiffSite& site = sites[s];
    site.error = whole_[s].difference.result();
    site.worst_row = whole_[s].row;
    site.worst_position = whole_[s].position;
    const bool start = live && site.hf_index == 0 && !has_alone_[s];
    if (!has_alone_[s] && !start) continue;
    const Sum& sum = start ? whole_[s] : alone_[s];
    const Difference alone = sum.difference.result();
    site.local = alone.rel_l2;
    site.local_token = alone.worst_token_rel;
    site.local_row = sum.row;
    site.local_position = sum.position;
  }
}

}  // namespace layerscope
