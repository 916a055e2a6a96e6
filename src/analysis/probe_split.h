// Who learns and who is asked: folds of groups, the order of online coding, and the labels of the control task.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace layerscope {

/// A part is twice a fold (or a block of the code) plus 1 for rows that a choice of the strength holds out.
struct ProbeParts {
  std::vector<std::uint8_t> of_row;  ///< by row index; 0 for rows that take no part
  std::size_t count = 0;             ///< of folds or blocks
  [[nodiscard]] std::size_t parts() const noexcept { return 2 * count; }
  /// Masks over parts: one fold, everything but it, and what of the latter learns or is held out for a choice.
  [[nodiscard]] static std::uint64_t both(std::size_t fold) noexcept { return std::uint64_t{3} << (2 * fold); }
  [[nodiscard]] std::uint64_t others(std::size_t fold) const noexcept { return before(count) & ~both(fold); }
  [[nodiscard]] static std::uint64_t before(std::size_t fold) noexcept { return (std::uint64_t{1} << (2 * fold)) - 1; }
  [[nodiscard]] static std::uint64_t learning(std::uint64_t mask) noexcept { return mask & 0x5555555555555555U; }
  [[nodiscard]] static std::uint64_t choosing(std::uint64_t mask) noexcept { return mask & 0xAAAAAAAAAAAAAAAAU; }
};

/// Groups of the rows that take part, numbered from 0.
struct ProbeGroups {
  std::vector<std::int64_t> rows;                  ///< that take part, ascending
  std::vector<std::uint32_t> of_row;               ///< by row index
  std::vector<std::vector<std::int64_t>> members;  ///< of each group, ascending
};

/// `given` is empty (every row its own group) or has an entry a row.
[[nodiscard]] ProbeGroups number_groups(std::vector<std::int64_t> rows, std::span<const std::int64_t> given,
                                        std::size_t all_rows);

/// The groups in a random order.
[[nodiscard]] std::vector<std::uint32_t> shuffled_groups(std::size_t groups, std::uint64_t seed);

/// Folds of about equal numbers of rows. Groups with one class alone are dealt out class by class, so that folds have
/// equal shares of it; `classes` is by row index, or empty. A quarter of each fold's groups is held out for a choice.
[[nodiscard]] ProbeParts deal_folds(const ProbeGroups& groups, std::span<const std::uint32_t> order,
                                    std::span<const std::int32_t> classes, std::size_t folds);

/// Blocks of the online code: groups in their order, cut after the shares of ProbeTask's DescriptionLength; blocks that
/// would be empty are left out.
[[nodiscard]] ProbeParts cut_blocks(const ProbeGroups& groups, std::span<const std::uint32_t> order);

/// Rows of the first groups in the order, until there are `most`; ascending.
[[nodiscard]] std::vector<std::int64_t> first_rows(const ProbeGroups& groups, std::span<const std::uint32_t> order,
                                                   std::int64_t most);

/// A row of `rows` for every row that takes part, the same for all rows of a type, drawn evenly: whose label is the
/// control task's label (Hewitt and Liang 2019, section 2: labels as frequent as in the real task). By row index.
[[nodiscard]] std::vector<std::int64_t> control_rows(const ProbeGroups& groups, std::span<const std::int64_t> types,
                                                     std::uint64_t seed);

}  // namespace layerscope
