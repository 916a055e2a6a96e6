// Progress of a long run, on stderr.
#pragma once

#include <chrono>
#include <string>

#include "cli/arguments.h"
#include "cli/output.h"
#include "job/states_job.h"
#include "view/display_text.h"

namespace layerscope::cli {

/// "1.2 GB": three digits, units of 1000.
[[nodiscard]] std::string byte_text(std::uint64_t bytes);
/// "12 s", "4 min 10 s", "3 h 12 min".
[[nodiscard]] std::string duration_text(double seconds);

/// "1,204 rows  33,333 tokens  10,300 tokens/s  41.2 MB  ETA 12 s"; the time left is reckoned from the input's bytes.
[[nodiscard]] std::string progress_text(const JobProgress& progress);
[[nodiscard]] std::string progress_json(const JobProgress& progress);

/// A line that is rewritten in place, or a JSON object every ten seconds, or nothing.
class ProgressReporter {
 public:
  /// kAuto is a bar on a terminal, otherwise nothing; --quiet is nothing.
  ProgressReporter(ProgressMode mode, bool terminal, std::size_t columns, Messages& messages);
  void report(const JobProgress& progress);
  /// Erases the line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  ProgressMode mode_;
  std::size_t columns_;
  Messages& messages_;
  bool shown_ = false;
  Clock::time_point last_;
};

}  // namespace layerscope::cli
