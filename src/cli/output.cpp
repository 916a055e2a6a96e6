#include "cli/output.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "base/json.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

std::string error_object(const Error& error) {
  std::string text = "{\"code\":";
  append_json_string(text, error_code_name(error.code));
  text += ",\"message\":";
  append_json_string(text, error.message);
  return text;
}

}  // namespace

void Output::write(std::string_view text) {
  if (closed()) return;
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !closed()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error_number_ = errno;
    }
  }
  buffer_.clear();
}

Status Output::finish() {
  flush();
  if (error_number_ == 0 || error_number_ == EPIPE) return {};
  const bool full = error_number_ == ENOSPC || error_number_ == EDQUOT || error_number_ == EFBIG;
  return Error{full ? ErrorCode::kResource : ErrorCode::kRuntime,
               fmt::format("standard output: {}", std::strerror(error_number_))};
}

void Messages::line(std::string_view text) {
  if (progress_line_) err_.write("\r\033[K");
  progress_line_ = false;
  err_.write(text);
  err_.write("\n");
  err_.flush();
}

void Messages::error(const Error& error) {
  line(json_ ? error_object(error) + "}" : "layerscope: " + visible(error.message));
}

void Messages::skipped(const Error& error) {
  line(json_ ? error_object(error) + ",\"skipped\":true}" : "layerscope: skipped: " + visible(error.message));
}

void Messages::note(std::string_view text) {
  if (quiet_) return;
  if (!json_) return line("layerscope: " + visible(text));
  std::string object = "{\"note\":";
  append_json_string(object, text);
  line(object + "}");
}

int exit_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kRuntime:
    case ErrorCode::kInput: return 1;
    case ErrorCode::kUsage: return 2;
    case ErrorCode::kModel: return 4;
    case ErrorCode::kResource: return 5;
    case ErrorCode::kDamage: return 6;
    case ErrorCode::kCancelled: return 130;
  }
  return 1;
}

}  // namespace layerscope::cli
