// The errors of every site, gathered row by row: of whole runs, and of parts by themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/difference.h"
#include "diff/report.h"
#include "diff/side.h"

namespace layerscope {

/// Whether a token of the row takes part.
using TokenFilter = std::function<bool(std::size_t)>;

class SiteSums {
 public:
  /// `grid`: the type whose steps count as ulps.
  SiteSums(std::vector<std::string> names, DType grid);

  /// One site of one row of both sides. Where one of them kept some positions only, those are compared. Errors:
  /// kRuntime for shapes that do not fit each other.
  [[nodiscard]] Status add(std::size_t site, const SideBlock& a, const SideBlock& b, const TokenFilter& counts,
                           DiffText& text);
  /// Likewise, what a part of the live side made of the other side's input, against what the other side made of it.
  [[nodiscard]] Status add_alone(std::size_t site, const SideBlock& own, const SideBlock& other,
                                 const TokenFilter& counts, DiffText& text);
  /// Writes the errors into the sites, in the order of the names. With `live` the start of a stack, which reads tokens,
  /// has made its whole error itself.
  void fill(std::vector<DiffSite>& sites, bool live) const;

 private:
  /// An error that grows token by token, and where its worst token stands.
  struct Sum {
    explicit Sum(DType grid) : difference(grid) {}
    double add(std::span<const double> a, std::span<const double> b, std::int64_t row, std::int64_t position);
    DifferenceSum difference;
    double worst = 0;
    std::int64_t row = -1, position = -1;
  };
  [[nodiscard]] Error shape_error(std::size_t site, const SideBlock& a, const SideBlock& b, std::int64_t row) const;

  std::vector<std::string> names_;
  std::vector<Sum> whole_, alone_;
  std::vector<bool> has_alone_;
};

}  // namespace layerscope
