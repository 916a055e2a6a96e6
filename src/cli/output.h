// stdout and stderr: data on one, messages on the other, and nothing lost without a word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "layerscope/error.h"

namespace layerscope::cli {

/// Buffered writing to a file descriptor. After a failure everything further is dropped.
class Output {
 public:
  explicit Output(int descriptor) noexcept : descriptor_(descriptor) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(std::string_view text);
  /// Hands everything to the system.
  void flush();
  /// True if nothing more can be written: stop producing.
  [[nodiscard]] bool closed() const noexcept { return error_number_ != 0; }
  /// Flushes; kResource if the disk is full, kRuntime for other failures. A reader that went away is no failure.
  [[nodiscard]] Status finish();
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
  int error_number_ = 0;
  std::string buffer_;
};

/// Messages to people on stderr, one line each, or JSON objects.
class Messages {
 public:
  Messages(Output& err, bool json, bool quiet) noexcept : err_(err), json_(json), quiet_(quiet) {}

  /// "layerscope: MESSAGE", or {"code","message"}.
  void error(const Error& error);
  /// A row left out under --on-bad skip: "layerscope: skipped: MESSAGE", or {"code","message","skipped":true}.
  void skipped(const Error& error);
  /// Told only without --quiet: "layerscope: TEXT", or {"note"}.
  void note(std::string_view text);
  [[nodiscard]] bool quiet() const noexcept { return quiet_; }
  [[nodiscard]] bool json() const noexcept { return json_; }
  [[nodiscard]] Output& stream() noexcept { return err_; }
  /// Set while a progress line stands on the terminal: the next message erases it first.
  void set_progress_line(bool stands) noexcept { progress_line_ = stands; }

 private:
  void line(std::string_view text);

  Output& err_;
  bool json_, quiet_;
  bool progress_line_ = false;
};

/// The exit status of an error (contract: docs/cli.md).
[[nodiscard]] int exit_status(ErrorCode code) noexcept;

}  // namespace layerscope::cli
