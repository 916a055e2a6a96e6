#include "diff/verdict.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace layerscope {
namespace {

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

double times_of(double all, double token, double noise, double token_noise, const DiffReport& report) {
  const auto ratio = [](double error, double floor) {
    return error == 0 ? 0 : floor > 0 ? error / floor : std::numeric_limits<double>::infinity();
  };
  return std::max(ratio(all, noise), ratio(token, token_noise) * report.times / report.token_times);
}

void find_first(DiffReport& report) {
  const auto own = [](const DiffSite& site) { return site.local ? site.local_differs : site.differs; };
  auto found = std::ranges::find_if(report.sites, own);
  if (found == report.sites.end()) found = std::ranges::find_if(report.sites, &DiffSite::differs);
  if (found == report.sites.end()) return;
  const bool local = found->local && found->local_differs;
  report.first = {.site = found->site,
                  .hf_index = found->hf_index,
                  .row = local ? found->local_row : found->worst_row,
                  .token = local ? found->local_position : found->worst_position,
                  .rel_l2 = local ? *found->local : found->error.rel_l2,
                  .noise = local ? found->local_noise.value_or(0) : found->noise,
                  .times = local ? found->local_times : found->times,
                  .local = local};
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kSame: return "same";
    case Verdict::kDiffers: return "differs";
    case Verdict::kIncomparable: return "incomparable";
  }
  return "";
}

void judge(DiffReport& report) {
  for (DiffSite& site : report.sites) {
    site.times = times_of(site.error.rel_l2, site.error.worst_token_rel, site.noise, site.token_noise, report);
    if (site.local)
      site.local_times =
          times_of(*site.local, site.local_token, site.local_noise.value_or(0), site.local_token_noise, report);
    site.differs = report.tolerance ? site.error.rel_l2 > *report.tolerance : site.times > report.times;
    site.local_differs = site.local && (report.tolerance ? site.differs && *site.local > *report.tolerance
                                                         : site.local_times > report.times);
  }
  find_first(report);
  const bool differs =
      std::ranges::any_of(report.sites, [](const DiffSite& s) { return s.differs || s.local_differs; });
  report.verdict = differs || !report.ids_equal ? Verdict::kDiffers : Verdict::kSame;
}

std::string times_text(double times) {
  if (std::isinf(times)) return "infinitely many";
  if (times < 10) return number("%.2g", times);
  if (times >= 1e9) return number("%.2g", times);
  std::string digits = number("%.0f", times >= 1000 ? std::round(times / 100) * 100 : times);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string site_text(const std::string& site, const std::optional<int>& hf_index) {
  return site + (hf_index ? " (hidden_states[" + std::to_string(*hf_index) + "])" : "");
}

std::string verdict_sentence(const DiffReport& report) {
  if (report.verdict == Verdict::kSame) {
    const auto largest = std::ranges::max_element(report.sites, {}, [&](const DiffSite& site) {
      return report.tolerance ? site.error.rel_l2 : std::max(site.times, site.local_times);
    });
    if (largest == report.sites.end()) return "same";
    if (std::ranges::all_of(report.sites, [](const DiffSite& site) { return site.error.max_ulps == 0; }))
      return "same: bit for bit, at every site";
    const std::string where = " (" + site_text(largest->site, largest->hf_index) + ")";
    if (report.tolerance)
      return "same: the largest relative difference is " + number("%.2g", largest->error.rel_l2) + where +
             ", the tolerance " + number("%.2g", *report.tolerance);
    return "same: nothing beyond rounding; the largest difference is " +
           times_text(std::max(largest->times, largest->local_times)) + " times the noise floor" + where + ", " +
           times_text(report.times) + " are allowed";
  }
  std::string sentence;
  const auto tokens = std::ranges::find(report.causes, "tokens", &DiffCause::kind);
  const bool states = std::ranges::any_of(report.sites, [](const DiffSite& s) { return s.differs || s.local_differs; });
  if (!report.ids_equal) {
    sentence = "differs: the sides read other tokens";
    if (tokens != report.causes.end()) sentence += ": " + tokens->evidence;
    if (!states) return sentence + (report.sites.empty() ? "" : "; on the same tokens they agree");
    sentence += "; on the same tokens they differ too, first at ";
  } else {
    sentence = "differs first at ";
  }
  const DiffFirst& first = *report.first;
  sentence += site_text(first.site, first.hf_index) + ": ";
  if (report.tolerance) {
    sentence += "relative difference " + number("%.2g", first.rel_l2) + ", the tolerance is " +
                number("%.2g", *report.tolerance);
  } else {
    sentence += times_text(first.times) + " times the noise floor";
  }
  const auto cause = std::ranges::find_if(report.causes, [](const DiffCause& one) { return one.kind != "tokens"; });
  if (cause != report.causes.end()) sentence += "; " + cause->site + ": " + cause->kind + ": " + cause->evidence;
  return sentence;
}

}  // namespace layerscope
