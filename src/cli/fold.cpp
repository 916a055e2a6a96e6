#include "cli/fold.h"

#include <charconv>
#include <map>

namespace layerscope::cli {
namespace {

/// `text` with the first dotted part that is `number` replaced, searched from `from` on.
std::string with_placeholder(const std::string& text, int number, std::size_t from) {
  const std::string part = std::to_string(number);
  for (std::size_t at = text.find(part, from); at != std::string::npos; at = text.find(part, at + 1)) {
    const std::size_t end = at + part.size();
    const bool whole = (at == 0 || text[at - 1] == '.') && (end == text.size() || text[end] == '.');
    if (whole) return text.substr(0, at) + "{i}" + text.substr(end);
  }
  return text;
}

}  // namespace

int block_of(std::string_view name) {
  constexpr std::string_view kMark = "block.";
  const std::size_t at = name.find(kMark);
  if (at == std::string_view::npos || (at > 0 && name[at - 1] != '.')) return -1;
  int number = -1;
  const std::string_view rest = name.substr(at + kMark.size());
  std::from_chars(rest.data(), rest.data() + rest.size(), number);
  return number;
}

std::vector<FoldedLine> fold(std::span<const BlockLine> lines) {
  std::vector<FoldedLine> folded;
  std::map<std::vector<std::string>, std::size_t> known;
  for (const BlockLine& line : lines) {
    const int block = line.fields.empty() ? -1 : block_of(line.fields.front());
    if (block < 0) {
      folded.push_back({line.fields, {}});
      continue;
    }
    std::vector<std::string> fields;
    for (std::size_t k = 0; k < line.fields.size(); ++k) {
      const std::size_t from = k == 0 ? line.fields[k].find("block.") : 0;
      fields.push_back(with_placeholder(line.fields[k], block, from));
    }
    const auto [place, is_new] = known.try_emplace(fields, folded.size());
    if (is_new) folded.push_back({std::move(fields), {}});
    folded[place->second].blocks.push_back(block);
  }
  return folded;
}

std::string range_text(std::span<const int> numbers) {
  std::string text;
  for (std::size_t first = 0; first < numbers.size();) {
    std::size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[first]);
    if (last > first) text += ".." + std::to_string(numbers[last]);
    first = last + 1;
  }
  return text;
}

}  // namespace layerscope::cli
