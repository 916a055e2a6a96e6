#include "diff/suspects.h"

#include <algorithm>
#include <optional>

#include "base/try.h"
#include "diff/cause.h"
#include "diff/site_choice.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostParts = 4;  // a search takes seconds, and what comes later is often a consequence
constexpr std::int64_t kEvidenceTokens = 512;

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

class Search {
 public:
  Search(const Suspects& suspects, DiffReport& report) : given_(suspects), report_(report) {}

  Status run() {
    std::size_t searched = 0, left_out = 0;
    for (DiffSite& site : report_.sites) {
      if (!site.local_differs || site.local_times <= report_.times) continue;  // rounding has no cause
      const auto link = std::ranges::find_if(given_.chain, [&](const ChainLink& one) {
        return std::ranges::find(one.outputs, site.site) != one.outputs.end();
      });
      if (link != given_.chain.end() && std::ranges::find(done_, &*link) != done_.end()) continue;
      if (searched == kMostParts) {
        ++left_out;
        continue;
      }
      ++searched;
      if (link == given_.chain.end()) {
        LAYERSCOPE_TRY(search(site, nullptr));
      } else {
        done_.push_back(&*link);
        LAYERSCOPE_TRY(search(site, &*link));
      }
    }
    if (left_out > 0)
      report_.notes.push_back("causes were looked for in the first " + std::to_string(kMostParts) +
                              " parts that differ; " + std::to_string(left_out) + " more sites do");
    return {};
  }

 private:
  /// `link` null: the embedding.
  Status search(const DiffSite& site, const ChainLink* link) {
    if (link != nullptr && link->head) {
      report_.causes.push_back({.site = "logits",
                                .kind = "unknown",
                                .evidence = "the head over the vocabulary differs",
                                .before = *site.local,
                                .after = *site.local});
      return {};
    }
    const std::optional<BlockEvidence> evidence = read_evidence(site, link);
    if (error_) return *error_;
    if (!evidence) return {};
    LAYERSCOPE_ASSIGN(const std::vector<Cause> causes, find_causes(given_.model, *evidence));
    for (const Cause& cause : causes)
      report_.causes.push_back({cause.site, cause.kind, cause.evidence, cause.before, cause.after});
    return {};
  }

  /// The sites of the other side that tell of a part, its outcome first; nothing where the outcome is not there.
  std::vector<std::string> names_of(const DiffSite& site, const ChainLink* link) const {
    if (link == nullptr) return {site.site};
    const SiteTable& table = given_.model.sites();
    const bool end = link->block == static_cast<int>(given_.model.state().spec.stack(link->stack).blocks.size());
    std::vector<std::string> names;
    for (const std::string& output : link->outputs) {
      const Site& one = *table.find(output);
      if (one.kind == SiteKind::kBlockOut || one.kind == SiteKind::kFinal) names.assign({output});
    }
    if (names.empty()) {  // only insides were compared
      for (const Site& one : table.sites) {
        if (one.stack == link->stack && one.block == link->block && one.kind == SiteKind::kBlockOut &&
            find_site(given_.other, one.name) != nullptr)
          names.assign({one.name});
      }
    }
    if (names.empty()) return names;
    names.push_back(link->input);
    if (!link->encoded.empty()) names.push_back(link->encoded);
    for (const Site& one : table.sites) {
      const bool inside = !end && one.stack == link->stack && one.block == link->block;
      const SideSite* there = find_site(given_.other, one.name);
      if (inside && there != nullptr && (there->unit == StoredUnit::kTokens || there->unit == StoredUnit::kProbs) &&
          std::ranges::find(names, one.name) == names.end())
        names.push_back(one.name);
    }
    return names;
  }

  /// The row with the worst token, rows with padding, and others, up to a bounded number of tokens.
  std::vector<SideRow> rows_for(const DiffSite& site) const {
    std::vector<const SideRow*> order;
    for (const RowPair& pair : given_.pairs) order.push_back(given_.b_is_other ? &pair.b : &pair.a);
    const auto rank = [&](const SideRow* row) {
      if (row->number == site.local_row) return 0;
      return row->padding[0].left + row->padding[0].right + row->padding[1].left + row->padding[1].right > 0 ? 1 : 2;
    };
    std::ranges::stable_sort(order, {}, rank);
    std::vector<SideRow> rows;
    std::int64_t tokens = 0;
    for (const SideRow* row : order) {
      tokens += static_cast<std::int64_t>(row->tokens.main.ids.size());
      if (!rows.empty() && tokens > kEvidenceTokens) break;
      rows.push_back(*row);
    }
    return rows;
  }

  std::optional<BlockEvidence> read_evidence(const DiffSite& site, const ChainLink* link) {
    const std::vector<std::string> names = names_of(site, link);
    if (names.empty()) return std::nullopt;
    const std::vector<SideRow> rows = rows_for(site);
    auto blocks = given_.other.read(rows, names);
    if (!blocks) {
      error_ = blocks.error();
      return std::nullopt;
    }
    BlockEvidence evidence{.stack = site.stack,
                           .block = link == nullptr ? -1 : link->block,
                           .through_end = link != nullptr && link->through_end,
                           .noise = site.local_noise.value_or(0)};
    const auto stack = static_cast<std::size_t>(site.stack);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::vector<SideBlock>& values = (*blocks)[i];
      const Tokens& tokens = tokens_of(given_.model, rows[i], site.stack);
      BlockEvidence::Row row{.ids = tokens.ids, .type_ids = tokens.type_ids, .output = floats(values.front().values)};
      row.left_padding = rows[i].padding[stack].left;
      row.right_padding = rows[i].padding[stack].right;
      row.number = rows[i].number;
      for (std::size_t n = 1; n < names.size(); ++n) {
        if (names[n] == link->input) {
          row.input = floats(values[n].values);
          row.padding_input = floats(values[n].padding);
        } else if (names[n] == link->encoded) {
          row.encoder = floats(values[n].values);
          row.encoder_left = rows[i].padding[0].left;
          row.encoder_right = rows[i].padding[0].right;
          row.encoder_padding = floats(values[n].padding);
        } else {
          row.inside[names[n]] = floats(values[n].values);
        }
      }
      evidence.rows.push_back(std::move(row));
    }
    return evidence;
  }

  const Suspects& given_;
  DiffReport& report_;
  std::vector<const ChainLink*> done_;
  std::optional<Error> error_;
};

}  // namespace

Status add_causes(const Suspects& suspects, DiffReport& report) { return Search(suspects, report).run(); }

}  // namespace layerscope
