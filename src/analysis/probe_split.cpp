#include "analysis/probe_split.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "analysis/random.h"

namespace layerscope {
namespace {

constexpr std::size_t kChoose = 4;  // one in so many groups is held out for a choice
constexpr std::array kCuts = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0};

void assign(ProbeParts& parts, const std::vector<std::int64_t>& rows, std::size_t part) {
  for (const std::int64_t row : rows) parts.of_row[static_cast<std::size_t>(row)] = static_cast<std::uint8_t>(part);
}

/// The class of all rows of a group, or -1.
std::int32_t stratum(const std::vector<std::int64_t>& rows, std::span<const std::int32_t> classes) {
  if (classes.empty()) return -1;
  const std::int32_t first = classes[static_cast<std::size_t>(rows[0])];
  const bool one = std::all_of(rows.begin(), rows.end(),
                               [&](std::int64_t row) { return classes[static_cast<std::size_t>(row)] == first; });
  return one ? first : -1;
}

}  // namespace

ProbeGroups number_groups(std::vector<std::int64_t> rows, std::span<const std::int64_t> given, std::size_t all_rows) {
  ProbeGroups groups;
  groups.rows = std::move(rows);
  groups.of_row.resize(all_rows);
  std::map<std::int64_t, std::uint32_t> numbers;
  for (const std::int64_t row : groups.rows) {
    const auto at = static_cast<std::size_t>(row);
    const auto next = static_cast<std::uint32_t>(groups.members.size());
    const std::uint32_t number = given.empty() ? next : numbers.try_emplace(given[at], next).first->second;
    if (number == next) groups.members.emplace_back();
    groups.members[number].push_back(row);
    groups.of_row[at] = number;
  }
  return groups;
}

std::vector<std::uint32_t> shuffled_groups(std::size_t groups, std::uint64_t seed) {
  std::vector<std::uint32_t> order(groups);
  std::iota(order.begin(), order.end(), 0U);
  SplitMix64 random(seed);
  for (std::size_t left = groups; left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
  return order;
}

ProbeParts deal_folds(const ProbeGroups& groups, std::span<const std::uint32_t> order,
                      std::span<const std::int32_t> classes, std::size_t folds) {
  ProbeParts parts{std::vector<std::uint8_t>(groups.of_row.size()), folds};
  std::map<std::int32_t, std::vector<std::uint32_t>> strata;
  for (const std::uint32_t group : order) strata[stratum(groups.members[group], classes)].push_back(group);
  std::vector<std::size_t> rows(folds), dealt(folds);
  for (const auto& [label, members] : strata) {
    std::vector<std::size_t> here(folds);
    for (const std::uint32_t group : members) {
      std::size_t fold = 0;
      for (std::size_t other = 1; other < folds; ++other) {
        if (std::tuple(here[other], rows[other]) < std::tuple(here[fold], rows[fold])) fold = other;
      }
      here[fold] += groups.members[group].size();
      rows[fold] += groups.members[group].size();
      const bool chooses = (dealt[fold]++ + fold) % kChoose == 0;
      assign(parts, groups.members[group], 2 * fold + (chooses ? 1 : 0));
    }
  }
  return parts;
}

ProbeParts cut_blocks(const ProbeGroups& groups, std::span<const std::uint32_t> order) {
  ProbeParts parts{std::vector<std::uint8_t>(groups.of_row.size()), 0};
  std::size_t done = 0, cut = 0, in_block = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::vector<std::int64_t>& rows = groups.members[order[i]];
    assign(parts, rows, 2 * parts.count + (i % kChoose == kChoose - 1 ? 1 : 0));
    done += rows.size();
    in_block += rows.size();
    const double share = static_cast<double>(done) / static_cast<double>(groups.rows.size());
    bool closes = false;
    for (; cut < kCuts.size() && share >= kCuts[cut]; ++cut) closes = true;
    if (closes && in_block > 0) {
      ++parts.count;
      in_block = 0;
    }
  }
  return parts;
}

std::vector<std::int64_t> first_rows(const ProbeGroups& groups, std::span<const std::uint32_t> order,
                                     std::int64_t most) {
  std::vector<std::int64_t> rows;
  for (const std::uint32_t group : order) {
    if (static_cast<std::int64_t>(rows.size()) >= most) break;
    rows.insert(rows.end(), groups.members[group].begin(), groups.members[group].end());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<std::int64_t> control_rows(const ProbeGroups& groups, std::span<const std::int64_t> types,
                                       std::uint64_t seed) {
  std::map<std::int64_t, std::int64_t> drawn;
  for (const std::int64_t row : groups.rows) drawn.try_emplace(types[static_cast<std::size_t>(row)], 0);
  SplitMix64 random(seed);
  for (auto& [type, row] : drawn) row = groups.rows[random.below(groups.rows.size())];
  std::vector<std::int64_t> rows(groups.of_row.size(), -1);
  for (const std::int64_t row : groups.rows)
    rows[static_cast<std::size_t>(row)] = drawn.at(types[static_cast<std::size_t>(row)]);
  return rows;
}

}  // namespace layerscope
