#include "diff/align.h"

#include <algorithm>
#include <map>

#include "base/try.h"
#include "base/utf8.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

std::string label_of(const Side& a, const Side& b, std::int32_t id) {
  for (const Side* side : {&a, &b}) {
    const auto model = side->model();
    if (model == nullptr || model->state().tokenizer == nullptr) continue;
    if (const auto token = model->state().tokenizer->token(id))
      return "\"" + printable(*token) + "\" (" + std::to_string(id) + ")";
  }
  return std::to_string(id);
}

std::string list_of(const Side& a, const Side& b, std::span<const std::int32_t> ids) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(ids.size(), 4); ++i)
    text += (i == 0 ? "" : " ") + label_of(a, b, ids[i]);
  return ids.size() > 4 ? text + " ..." : text;
}

/// What one list of ids has around the other, if that is all: tokens in front, tokens behind.
struct Frame {
  std::size_t front = 0, back = 0;
};
std::optional<Frame> frame_of(std::span<const std::int32_t> longer, std::span<const std::int32_t> shorter) {
  if (shorter.empty() || longer.size() <= shorter.size() || longer.size() - shorter.size() > 4) return std::nullopt;
  const std::size_t more = longer.size() - shorter.size();
  for (std::size_t front = 0; front <= more; ++front) {
    if (std::ranges::equal(longer.subspan(front, shorter.size()), shorter)) return Frame{front, more - front};
  }
  return std::nullopt;
}

/// How two lists of ids differ, in words, and where first.
struct TokenDifference {
  std::size_t at = 0;
  std::string words;
};
TokenDifference describe(const Side& a, const Side& b, std::span<const std::int32_t> ids_a,
                         std::span<const std::int32_t> ids_b) {
  TokenDifference difference;
  const std::size_t common = std::min(ids_a.size(), ids_b.size());
  while (difference.at < common && ids_a[difference.at] == ids_b[difference.at]) ++difference.at;
  const bool a_longer = ids_a.size() > ids_b.size();
  const auto longer = a_longer ? ids_a : ids_b, shorter = a_longer ? ids_b : ids_a;
  if (const auto frame = frame_of(longer, shorter)) {
    std::string parts;
    if (frame->front > 0) parts += list_of(a, b, longer.first(frame->front)) + " in front";
    if (frame->back > 0)
      parts += (parts.empty() ? "" : " and ") + list_of(a, b, longer.last(frame->back)) + " at the end";
    difference.words = a_longer ? "B lacks " + parts + ", otherwise its tokens are A's"
                                : "B adds " + parts + ", otherwise its tokens are A's";
    return difference;
  }
  const auto at = [&](std::span<const std::int32_t> ids) {
    return difference.at < ids.size() ? label_of(a, b, ids[difference.at]) : std::string("no token");
  };
  difference.words = "A has " + at(ids_a) + ", B has " + at(ids_b);
  if (ids_a.size() != ids_b.size())
    difference.words +=
        ", and A's row has " + std::to_string(ids_a.size()) + " tokens, B's " + std::to_string(ids_b.size());
  return difference;
}

class Aligner {
 public:
  Aligner(const Side& a, const Side& b) : a_(a), b_(b) {}

  Result<AlignedRows> run(const std::vector<DiffInput>& texts, const TokenizeOptions& options) {
    const bool live_a = a_.kind() == SideKind::kModel, live_b = b_.kind() == SideKind::kModel;
    if (!texts.empty() && !live_a && !live_b)
      return Error{ErrorCode::kUsage, "texts are for sides that are models; " + a_.path() + " and " + b_.path() +
                                          " have rows of their own"};
    if (texts.empty() && live_a && live_b)
      return Error{ErrorCode::kUsage, "two models have no rows of their own: give a TEXT, or -i FILE (- for stdin)"};
    LAYERSCOPE_ASSIGN(const std::vector<SideRow> rows_a, rows_of(a_, b_, texts, options));
    LAYERSCOPE_ASSIGN(const std::vector<SideRow> rows_b, rows_of(b_, a_, texts, options));
    pair_up(rows_a, rows_b);
    if (differing_ > 0) {
      found_.ids_equal = false;
      DiffCause cause{.site = a_.sites().empty() ? "embed" : a_.sites().front().name, .kind = "tokens"};
      cause.evidence =
          "in " + std::to_string(differing_) + " of " + std::to_string(compared_) + " rows; " + first_words_;
      found_.causes.push_back(std::move(cause));
    }
    note_positions(rows_a, "A");
    note_positions(rows_b, "B");
    return std::move(found_);
  }

 private:
  /// What a side reads: its own rows, the texts in its own tokens, or the other side's rows.
  static Result<std::vector<SideRow>> rows_of(const Side& side, const Side& other, const std::vector<DiffInput>& texts,
                                              const TokenizeOptions& options) {
    if (side.kind() != SideKind::kModel) return side.rows();
    std::vector<SideRow> rows;
    if (texts.empty()) {
      for (const SideRow& row : other.rows()) rows.push_back({.number = row.number, .tokens = row.tokens});
      return rows;
    }
    for (const DiffInput& text : texts) {
      auto tokens = side.model()->tokenize(text.row, options);
      if (!tokens)
        return Error{tokens.error().code,
                     side.path() + ": row " + std::to_string(text.number) + ": " + tokens.error().message};
      rows.push_back({.number = text.number, .tokens = std::move(tokens).value()});
    }
    return rows;
  }

  /// By number; a dump has none but its order.
  void pair_up(const std::vector<SideRow>& rows_a, const std::vector<SideRow>& rows_b) {
    std::size_t only_a = 0, only_b = 0;
    if (a_.kind() == SideKind::kDump || b_.kind() == SideKind::kDump) {
      const std::size_t count = std::min(rows_a.size(), rows_b.size());
      for (std::size_t i = 0; i < count; ++i) add(rows_a[i], rows_b[i]);
      only_a = rows_a.size() - count;
      only_b = rows_b.size() - count;
    } else {
      std::size_t i = 0, j = 0;  // both ascend
      while (i < rows_a.size() || j < rows_b.size()) {
        if (j == rows_b.size() || (i < rows_a.size() && rows_a[i].number < rows_b[j].number)) {
          ++only_a, ++i;
        } else if (i == rows_a.size() || rows_b[j].number < rows_a[i].number) {
          ++only_b, ++j;
        } else {
          add(rows_a[i++], rows_b[j++]);
        }
      }
    }
    if (only_a > 0) found_.notes.push_back(std::to_string(only_a) + " rows of A have no counterpart in B");
    if (only_b > 0) found_.notes.push_back(std::to_string(only_b) + " rows of B have no counterpart in A");
  }

  void add(SideRow a, SideRow b) {
    ++compared_;
    const auto same = [](const Tokens& x, const Tokens& y) { return x.ids == y.ids && x.type_ids == y.type_ids; };
    const bool second = a.tokens.decoder && b.tokens.decoder;
    const bool equal = same(a.tokens.main, b.tokens.main) && (!second || same(*a.tokens.decoder, *b.tokens.decoder));
    if (!equal && differing_++ == 0) tell_first(a, b);
    if (!equal || !second) {  // a model runs on what the other side read
      if (a_.kind() == SideKind::kModel) {
        a.tokens = b.tokens;
      } else if (b_.kind() == SideKind::kModel) {
        b.tokens = a.tokens;
      } else if (!equal) {
        return;
      }
    }
    found_.pairs.push_back({std::move(a), std::move(b)});
  }

  void tell_first(const SideRow& a, const SideRow& b) {
    found_.row = a.number;
    const bool main = a.tokens.main.ids != b.tokens.main.ids;
    const bool decoder =
        !main && a.tokens.decoder && b.tokens.decoder && a.tokens.decoder->ids != b.tokens.decoder->ids;
    const std::string where = "row " + std::to_string(a.number);
    if (main || decoder) {
      const TokenDifference difference = main ? describe(a_, b_, a.tokens.main.ids, b.tokens.main.ids)
                                              : describe(a_, b_, a.tokens.decoder->ids, b.tokens.decoder->ids);
      found_.token = static_cast<std::int64_t>(difference.at);
      first_words_ = where + (decoder ? " of the decoder" : "") + ", position " + std::to_string(difference.at) + ": " +
                     difference.words;
      return;
    }
    found_.token = 0;
    first_words_ =
        where + ": the token type ids differ (" + (b.tokens.main.type_ids.empty() ? "B's" : "A's") + " are all 0)";
  }

  /// Positions that count padding are the likeliest reason for states that differ in every row with padding.
  void note_positions(const std::vector<SideRow>& rows, const std::string& name) {
    for (const SideRow& row : rows) {
      for (std::size_t stack = 0; stack < 2; ++stack) {
        const std::vector<std::int32_t>& positions = row.position_ids[stack];
        if (positions.empty() || row.padding[stack].left == 0 || positions.front() < row.padding[stack].left) continue;
        found_.notes.push_back(name + " counts positions from the padding: row " + std::to_string(row.number) +
                               " begins at position " + std::to_string(positions.front()));
        return;
      }
    }
  }

  const Side &a_, &b_;
  AlignedRows found_;
  std::int64_t compared_ = 0, differing_ = 0;
  std::string first_words_;
};

}  // namespace

Result<AlignedRows> align(const Side& a, const Side& b, const std::vector<DiffInput>& texts,
                          const TokenizeOptions& options) {
  return Aligner(a, b).run(texts, options);
}

}  // namespace layerscope
