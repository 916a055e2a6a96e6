#include "diff/narrowing.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "diff/error_shape.h"
#include "diff/hypotheses.h"
#include "diff/slot_changes.h"

namespace layerscope {
namespace {

// Relative error of every token.
std::vector<double> token_errors(const BlockLab& lab, const std::vector<double>& ours) {
  const std::vector<double>& theirs = lab.expected();
  const auto width = static_cast<std::size_t>(lab.output_width());
  std::vector<double> errors;
  for (std::size_t at = 0; at < theirs.size(); at += width) {
    double apart = 0, size = 0;
    for (std::size_t j = at; j < at + width; ++j) {
      apart += (ours[j] - theirs[j]) * (ours[j] - theirs[j]);
      size += theirs[j] * theirs[j];
    }
    errors.push_back(size > 0 ? std::sqrt(apart / size) : 0);
  }
  return errors;
}

// True if only tokens that see others differ: of causal rows the first ones do not.
bool first_tokens_agree(const BlockLab& lab, const std::vector<double>& errors) {
  const bool causal = !lab.base().stack.blocks.empty() &&
                      std::ranges::any_of(lab.base().stack.blocks.front().steps, [](const Step& step) {
                        const auto* attention = std::get_if<Attention>(&step.mixer);
                        return attention != nullptr && attention->keys == KeySource::kSelfCausal;
                      });
  if (!causal) return false;
  std::size_t at = 0;
  for (const BlockEvidence::Row& row : lab.rows()) {
    if (errors[at] > kHonest * lab.noise()) return false;
    at += row.ids.size();
  }
  return true;
}

bool all_in(const std::vector<double>& values, Rounding rounding) {
  return std::ranges::all_of(values, [&](double value) {
    const auto narrow = static_cast<float>(value);
    return rounded(rounding, narrow) == narrow;
  });
}

const Step* first_step(const BlockLab& lab) {
  return lab.base().stack.blocks.empty() ? nullptr : &lab.base().stack.blocks.front().steps.front();
}

// The first site inside of the block at which the other side's own values are not ours.
std::string first_inside(const BlockLab& lab, double& error) {
  if (first_step(lab) == nullptr) return "";
  for (const Step& step : lab.base().stack.blocks.front().steps) {
    for (const char* point : {"in", "q", "k", "v", "z", "act", "router", "out", "presum", "sum"}) {
      const std::string site = step.slot + "." + point;
      const std::optional<double> apart = lab.inside_error(site);
      if (!apart || *apart <= kHonest * lab.noise()) continue;
      error = *apart;
      return site;
    }
  }
  return "";
}

constexpr double kAsItsOwn = 0.75;  // of the alignment that changes of a tensor have among themselves
constexpr double kBeforeOthers = 1.1;

// The tensor of which the difference has the shape, where one stands out.
std::optional<Cause> tensor_of_shape(const BlockLab& lab, const std::vector<ShapeMatch>& matches, double before) {
  if (matches.size() < 2) return std::nullopt;
  const ShapeMatch& best = matches.front();
  const auto next = std::ranges::find_if(
      matches, [&](const ShapeMatch& match) { return site_of_slot(match.slot) != site_of_slot(best.slot); });
  if (best.alignment < kAsItsOwn * best.own || next == matches.end() ||
      best.alignment < kBeforeOthers * next->alignment)
    return std::nullopt;
  return Cause{
      lab.site_name(site_of_slot(best.slot)), "weights",
      fmt::format("no known fault, but the error has the shape that other values of {} give (alignment {:.2f}, that of "
                  "random changes of it {:.2f}; of {} {:.2f})",
                  slot_text(best.slot), best.alignment, best.own, slot_text(next->slot), next->alignment),
      before, before};
}

// The step whose tensors give such shapes rather than those of others; empty where that is not plain.
std::string step_of_shape(const std::vector<ShapeMatch>& matches) {
  const auto step = [](const ShapeMatch& match) {
    const std::string site = site_of_slot(match.slot);
    return site.substr(0, site.find('.'));
  };
  if (matches.empty()) return "";
  const auto other =
      std::ranges::find_if(matches, [&](const ShapeMatch& match) { return step(match) != step(matches.front()); });
  const bool plain = other == matches.end() || matches.front().alignment > kBeforeOthers * other->alignment;
  return plain && step(matches.front()) != "final" ? step(matches.front()) : "";
}

}  // namespace

Cause narrow_down(const BlockLab& lab, const std::vector<double>& base, const Finding& nearest, double before) {
  const auto unknown = [&](const std::string& site, const std::string& evidence) {
    return Cause{lab.site_name(site), "unknown", evidence, before, before};
  };
  double inside = 0;
  const std::string first = first_inside(lab, inside);
  if (!first.empty())
    return unknown(
        first, fmt::format("the first of its inner sites that differs, by {:.2g}; nothing known explains it", inside));
  for (const Rounding rounding : {Rounding::kBF16, Rounding::kF16}) {
    if (!all_in(lab.expected(), rounding)) continue;
    const double unit = rounding == Rounding::kBF16 ? 0x1p-8 : 0x1p-11;
    if (before > 16 * unit) continue;
    return {lab.site_name(lab.has_end()        ? "final"
                          : lab.is_embedding() ? "embed"
                                               : "out"),
            "precision",
            "every value of the other side is a " + rounding_name(rounding) +
                " number, and the error has the size of its rounding",
            before, before};
  }
  if (lab.is_embedding()) return unknown("embed", "nothing known explains the embedding's difference");
  if (lab.is_end()) return unknown("final", "nothing known explains the difference behind the last block");
  const std::vector<ShapeMatch> matches = match_shapes(lab, base);
  if (const std::optional<Cause> tensor = tensor_of_shape(lab, matches, before)) return *tensor;
  if (first_tokens_agree(lab, token_errors(lab, base)))
    return unknown(
        first_step(lab)->slot + ".probs",
        "first tokens, which see themselves alone, agree and others differ: queries, keys, rotation, scores or mask");
  if (nearest.after < 0.5 * before)
    return unknown(
        nearest.site,
        fmt::format("nothing known explains it; nearest comes: {}, with an error of {:.2g} instead of {:.2g}",
                    nearest.says, nearest.after, before));
  if (const std::string step = step_of_shape(matches); !step.empty())
    return unknown(step + ".out", "nothing known explains it, but the error has the shape of changes within " + step);
  return unknown("out", "nothing known explains it");
}

}  // namespace layerscope
