#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/logits_rows.h"
#include "cli/rows.h"
#include "session/workers.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

std::string row_json(const Model& model, bool picked, const ScoredRow& row) {
  std::string out = fmt::format("{{\"row\":{},\"id\":{},", row.input.number, row.input.id.value_or("null"));
  append_input_ids_json(out, model, row.row);
  if (picked) {
    out += ",\"positions\":";
    append_numbers_json(out, row.positions);
  }
  const auto each = [&](std::string_view key, const auto& append) {
    out += fmt::format(",\"{}\":[", key);
    for (const PositionScores& scores : row.scores) {
      if (&scores != &row.scores.front()) out += ',';
      append(scores);
    }
    out += ']';
  };
  each("top", [&](const PositionScores& scores) { append_top_json(out, model, scores.top, scores.of, true); });
  each("entropy",
       [&](const PositionScores& scores) { append_json_number(out, static_cast<float>(scores.of.entropy)); });
  each("next", [&](const PositionScores& scores) {
    if (!scores.next) {
      out += "null";
      return;
    }
    out += fmt::format("{{\"id\":{},\"rank\":{},\"logprob\":", scores.next->id, scores.next->rank);
    append_json_number(out, static_cast<float>(scores.next->logprob));
    out += '}';
  });
  Perplexity perplexity;
  perplexity.add(row);
  out += ",\"perplexity\":";
  if (const auto value = perplexity.value(); value && std::isfinite(*value)) {
    append_json_number(out, *value);
  } else {
    out += "null";
  }
  return out + "}\n";
}

}  // namespace

Result<int> run_logits_json(const Model& model, const LogitsArguments& arguments, Context& context) {
  const auto take = [&](const ScoredRow& row) {
    context.out.write(row_json(model, arguments.positions != "all", row));
  };
  LAYERSCOPE_ASSIGN(LogitsRows rows, LogitsRows::open(model, arguments, all_cores(context.common.threads), take));
  LAYERSCOPE_ASSIGN(const RowCounts counts, rows.run(context));
  if (const auto value = rows.perplexity().value(); value && counts.rows > 1) {
    context.messages.note(
        fmt::format("perplexity {:.6g} over {} tokens of {} rows", *value, rows.perplexity().tokens, counts.rows));
  }
  return counts.status();
}

}  // namespace layerscope::cli
