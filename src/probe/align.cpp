#include "probe/align.h"

#include <algorithm>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

using Span = std::pair<std::int64_t, std::int64_t>;

Error bad(std::string what) { return {ErrorCode::kInput, std::move(what)}; }

/// Unicode's White_Space property (PropList.txt).
bool is_space(char32_t point) noexcept {
  return (point >= 0x09 && point <= 0x0D) || point == 0x20 || point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F ||
         point == 0x205F || point == 0x3000;
}

/// A text by its code points.
class Points {
 public:
  explicit Points(std::string_view text) : text_(text) {
    std::size_t offset = 0;
    while (offset < text.size()) {
      begins_.push_back(offset);
      space_.push_back(is_space(next_code_point(text, offset)));
    }
    begins_.push_back(text.size());
  }
  [[nodiscard]] std::int64_t count() const noexcept { return static_cast<std::int64_t>(space_.size()); }
  [[nodiscard]] bool space(std::int64_t point) const noexcept { return space_[static_cast<std::size_t>(point)]; }
  [[nodiscard]] std::string_view from(std::int64_t point) const noexcept {
    return text_.substr(begins_[static_cast<std::size_t>(point)]);
  }
  [[nodiscard]] std::string_view part(const Span& span) const noexcept {
    const std::size_t begin = begins_[static_cast<std::size_t>(span.first)];
    return text_.substr(begin, begins_[static_cast<std::size_t>(span.second)] - begin);
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;
  std::vector<bool> space_;
};

std::string there(const Points& text, std::int64_t point) {
  return "at character " + std::to_string(point) + " of the text stands \"" + printable(text.from(point), 24) + "\"";
}

/// Where the words stand: one after the other, nothing but white space between them.
Result<std::vector<Span>> find_words(const std::vector<std::string>& words, const Points& text) {
  std::vector<Span> spans;
  std::int64_t at = 0;
  const auto pass_space = [&] {
    while (at < text.count() && text.space(at)) ++at;
  };
  for (const std::string& word : words) {
    pass_space();
    if (!text.from(at).starts_with(word)) {
      return bad("word " + std::to_string(spans.size()) + " is \"" + printable(word, 24) + "\", but " +
                 there(text, at));
    }
    const auto length = static_cast<std::int64_t>(count_code_points(word));
    spans.emplace_back(at, at + length);
    at += length;
  }
  pass_space();
  if (at == text.count()) return spans;
  return bad("behind the last word, " + there(text, at) +
             " (every word of the text needs a label, null leaves it out)");
}

/// The tokens of each span: a token belongs to the first one that it overlaps.
LabelAlignment share_tokens(const RowLabels& row, const std::vector<Span>& spans, const Points& text,
                            const LabelledTokens& tokens) {
  std::vector<Span> owned(spans.size(), {0, 0});  // first token and how many
  std::size_t span = 0;
  for (std::size_t token = 0; token < tokens.offsets.size(); ++token) {
    auto [begin, end] = tokens.offsets[token];
    if (begin < 0 || tokens.sequence[token] != 0) continue;
    end = std::min(end, text.count());
    while (begin < end && text.space(begin)) ++begin;
    if (begin >= end) continue;
    while (span < spans.size() && spans[span].second <= begin) ++span;
    if (span == spans.size()) break;
    if (spans[span].first >= end) continue;
    if (owned[span].second++ == 0) owned[span].first = static_cast<std::int64_t>(token);
  }
  LabelAlignment aligned;
  for (std::size_t k = 0; k < spans.size(); ++k) {
    if (row.labels[k].none()) continue;
    if (owned[k].second == 0) {
      ++aligned.without_token;
    } else {
      aligned.labels.push_back({owned[k].first, owned[k].second, row.labels[k], std::string(text.part(spans[k]))});
    }
  }
  return aligned;
}

Result<LabelAlignment> align_tokens(const RowLabels& row, const LabelledTokens& tokens) {
  const std::size_t all = tokens.ids.size();
  const auto special = static_cast<std::size_t>(
      std::count_if(tokens.special.begin(), tokens.special.end(), [](std::uint8_t one) { return one != 0; }));
  const bool every = row.labels.size() == all;
  if (!every && row.labels.size() != all - special) {
    return bad("has " + std::to_string(row.labels.size()) + " labels for a row of " + std::to_string(all) +
               " tokens, " + std::to_string(special) + " of them special (give one a token, with or without those; " +
               "\"words\" beside them make them labels of words)");
  }
  LabelAlignment aligned;
  std::size_t next = 0;
  for (std::size_t token = 0; token < all; ++token) {
    if (!every && tokens.special[token] != 0) continue;
    const LabelValue& label = row.labels[next++];
    if (!label.none())
      aligned.labels.push_back({static_cast<std::int64_t>(token), 1, label, std::to_string(tokens.ids[token])});
  }
  return aligned;
}

}  // namespace

Result<LabelAlignment> align_labels(const RowLabels& row, LabelLevel level, const LabelledTokens& tokens) {
  if (row.labels.empty()) return LabelAlignment{};
  if (level == LabelLevel::kTokens) return align_tokens(row, tokens);
  if (!tokens.text || tokens.offsets.size() != tokens.ids.size() || tokens.sequence.size() != tokens.ids.size())
    return bad("labels words, but the row has no text whose tokens are known (rows of ids take a label a token)");
  const Points text(*tokens.text);
  if (level == LabelLevel::kSpans) {
    if (row.spans.back().second <= text.count()) return share_tokens(row, row.spans, text, tokens);
    return bad("a span ends at character " + std::to_string(row.spans.back().second) + " of a text of " +
               std::to_string(text.count()));
  }
  LAYERSCOPE_ASSIGN(const std::vector<Span> spans, find_words(row.words, text));
  return share_tokens(row, spans, text, tokens);
}

}  // namespace layerscope
