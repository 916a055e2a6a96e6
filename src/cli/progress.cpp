#include "cli/progress.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "view/display_text.h"

namespace layerscope::cli {
namespace {

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

/// Seconds left, or nothing where the input's size is not known or nothing has been read.
std::optional<double> seconds_left(const JobProgress& progress) {
  if (!progress.input_total || progress.input_bytes == 0 || *progress.input_total < progress.input_bytes)
    return std::nullopt;
  return progress.seconds * static_cast<double>(*progress.input_total - progress.input_bytes) /
         static_cast<double>(progress.input_bytes);
}

}  // namespace

std::string byte_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string duration_text(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (!(seconds < 1e12)) return "for ever";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", count_text(whole / 3600), whole % 3600 / 60);
}

std::string progress_text(const JobProgress& progress) {
  std::string text =
      fmt::format("{} rows  {} tokens  {} tokens/s  {} written", count_text(progress.rows), count_text(progress.tokens),
                  count_text(std::llround(per_second(static_cast<double>(progress.tokens), progress.seconds))),
                  byte_text(progress.bytes_written));
  if (progress.skipped > 0) text += fmt::format("  {} skipped", count_text(progress.skipped));
  if (const std::optional<double> left = seconds_left(progress)) text += "  " + duration_text(*left) + " left";
  return text;
}

std::string progress_json(const JobProgress& progress) {
  std::string text = fmt::format(
      "{{\"rows\":{},\"skipped\":{},\"tokens\":{},\"shards\":{},\"bytes_written\":{},\"input_bytes\":{},\"seconds\":{:."
      "3f}",
      progress.rows, progress.skipped, progress.tokens, progress.shards, progress.bytes_written, progress.input_bytes,
      progress.seconds);
  if (progress.input_total) text += fmt::format(",\"input_total\":{}", *progress.input_total);
  if (const std::optional<double> left = seconds_left(progress)) text += fmt::format(",\"seconds_left\":{:.1f}", *left);
  return text + "}";
}

ProgressReporter::ProgressReporter(ProgressMode mode, bool terminal, std::size_t columns, Messages& messages)
    : mode_(mode), columns_(columns), messages_(messages), last_(Clock::now()) {
  if (mode_ == ProgressMode::kAuto) mode_ = terminal ? ProgressMode::kBar : ProgressMode::kNone;
  if (messages.quiet()) mode_ = ProgressMode::kNone;
}

void ProgressReporter::report(const JobProgress& progress) {
  const auto interval =
      mode_ == ProgressMode::kJson ? std::chrono::milliseconds(10'000) : std::chrono::milliseconds(200);
  const Clock::time_point now = Clock::now();
  if (mode_ == ProgressMode::kNone || now - last_ < interval) return;
  last_ = now;
  Output& stream = messages_.stream();
  if (mode_ == ProgressMode::kJson) {
    stream.write(progress_json(progress) + "\n");
  } else {
    stream.write("\r\033[K" + clipped(progress_text(progress), columns_ - 1));
    messages_.set_progress_line(true);
    shown_ = true;
  }
  stream.flush();
}

void ProgressReporter::finish() {
  if (!shown_) return;
  messages_.stream().write("\r\033[K");
  messages_.stream().flush();
  messages_.set_progress_line(false);
}

}  // namespace layerscope::cli
