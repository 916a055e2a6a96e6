#include "store/spool.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::uint64_t kCopyPiece = std::uint64_t{1} << 20;

}  // namespace

Status SpoolStream::append(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() <= buffer_bytes_) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return {};
  }
  if (!file_.is_open()) {
    LAYERSCOPE_ASSIGN(file_, File::create_unnamed(folder_));
  }
  LAYERSCOPE_TRY(file_.write_at(spilled_, buffer_));
  spilled_ += buffer_.size();
  buffer_.clear();
  if (bytes.size() <= buffer_bytes_) {
    buffer_.assign(bytes.begin(), bytes.end());
    return {};
  }
  LAYERSCOPE_TRY(file_.write_at(spilled_, bytes));
  spilled_ += bytes.size();
  return {};
}

Status SpoolStream::copy(std::uint64_t begin, std::uint64_t size, const File& to, std::uint64_t offset) const {
  std::vector<std::byte> piece;
  while (size > 0 && begin < spilled_) {
    piece.resize(static_cast<std::size_t>(std::min({size, spilled_ - begin, kCopyPiece})));
    LAYERSCOPE_TRY(file_.read_at(begin, piece));
    LAYERSCOPE_TRY(to.write_at(offset, piece));
    begin += piece.size();
    offset += piece.size();
    size -= piece.size();
  }
  if (size == 0) return {};
  return to.write_at(
      offset, std::span(buffer_).subspan(static_cast<std::size_t>(begin - spilled_), static_cast<std::size_t>(size)));
}

Status SpoolStream::read(std::uint64_t begin, std::span<std::byte> into) const {
  if (begin < spilled_) {
    const auto stored = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), spilled_ - begin));
    LAYERSCOPE_TRY(file_.read_at(begin, into.first(stored)));
    begin += stored;
    into = into.subspan(stored);
  }
  if (into.empty()) return {};
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin - spilled_), into.size(), into.begin());
  return {};
}

}  // namespace layerscope
