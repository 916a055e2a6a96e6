// Tokens whose experts were chosen by a hair: honest engines choose otherwise, and everything behind differs rightly.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "diff/chain.h"

namespace layerscope {

class Undecided {
 public:
  /// Looks at every part with experts of a chain, from states[row][name].
  [[nodiscard]] static Result<Undecided> find(const Model& model, std::span<const ChainLink> chain,
                                              std::span<const SideRow> rows,
                                              std::span<const std::vector<SideBlock>> states,
                                              std::span<const std::string> names, const LiveOptions& options);
  /// Whether a token's value at a site means something in a run from the tokens on, and in its block alone.
  [[nodiscard]] bool counts(std::size_t row, std::size_t token, int block) const noexcept;
  [[nodiscard]] bool counts_alone(std::size_t row, std::size_t token, int block) const noexcept;
  /// Tokens that were undecided anywhere.
  [[nodiscard]] std::int64_t tokens() const noexcept { return tokens_; }

 private:
  struct Mark {
    std::size_t row = 0, token = 0;
    int block = 0;
  };
  std::vector<Mark> marks_;
  std::vector<std::vector<int>> first_;  // by row and token: the first block whose outcome does not count
  std::int64_t tokens_ = 0;
};

/// The block of a site: -1 for `embed`, beyond all blocks for `final` and `logits`.
[[nodiscard]] int block_of_site(const SiteTable& table, std::string_view name) noexcept;

}  // namespace layerscope
