#include "session/text_stream.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // what bytes that are no character yet are decoded to
constexpr std::size_t kMostHeld = 8;                       // tokens; the bytes of one character never take as many

}  // namespace

Result<std::string> TextStream::decoded(std::size_t first, std::size_t end) const {
  const auto at = [&](std::size_t index) { return ids_.begin() + static_cast<std::ptrdiff_t>(index); };
  return tokenizer_->decode(std::vector<std::int32_t>(at(first), at(end)), true);
}

bool TextStream::cut_at_stop(std::size_t first) {
  std::size_t least = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t from = first >= stop.size() ? first - stop.size() + 1 : 0;
    least = std::min(least, text_.find(stop, from));
  }
  if (least == std::string::npos) return false;
  text_.resize(least);
  return true;
}

Result<bool> TextStream::add(std::int32_t id) {
  // A vocabulary may be wider than its tokenizer; such tokens have no text.
  if (tokenizer_ == nullptr || !tokenizer_->token(id)) return false;
  ids_.push_back(id);
  // Decoders look at neighbours (a space at the start goes), so the tokens before stand in front each time.
  LAYERSCOPE_ASSIGN(const std::string before, decoded(context_, read_));
  LAYERSCOPE_ASSIGN(const std::string now, decoded(context_, ids_.size()));
  if (now.size() <= before.size()) return false;
  if (now.ends_with(kReplacement) && ids_.size() - read_ < kMostHeld) return false;
  const std::size_t old = text_.size();
  text_ += std::string_view(now).substr(before.size());
  context_ = read_;
  read_ = ids_.size();
  stopped_ = cut_at_stop(old);
  return stopped_;
}

Result<bool> TextStream::finish() {
  finished_ = true;
  if (tokenizer_ == nullptr || stopped_) return stopped_;
  LAYERSCOPE_ASSIGN(text_, decoded(0, ids_.size()));
  stopped_ = cut_at_stop(0);
  return stopped_;
}

std::string TextStream::take() {
  std::size_t held = 0;
  for (const std::string& stop : finished_ || stopped_ ? std::vector<std::string>() : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, text_.size()); length > held; --length) {
      if (text_.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  const std::size_t end = std::max(taken_, text_.size() - held);
  std::string piece = text_.substr(std::min(taken_, text_.size()), end - taken_);
  taken_ = end;
  return piece;
}

}  // namespace layerscope
