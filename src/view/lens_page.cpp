#include <algorithm>

#include <fmt/format.h>

#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/lens_view.h"
#include "view/model_view.h"
#include "view/plot_page.h"

namespace layerscope {
namespace {

std::string token_html(const Model& model, std::int32_t id) { return html_escaped(token_label(model, id)); }

void append_cell(std::string& out, const LensView& view, const Prediction& at, std::int32_t answer) {
  const double p = at.top.empty() ? 0 : at.of.probability(at.top.front().score);
  const RampColor color = ramp_color(p);
  out += fmt::format("<td style=\"background:#{:02x}{:02x}{:02x}\"{}>", color.red, color.green, color.blue,
                     color.black_text ? " class=k" : "");
  if (!at.top.empty()) out += token_html(view.model, at.top.front().id);
  out += "<div><table>";
  for (const ScoredId& best : at.top) {
    out += fmt::format("<tr><td>{}<td>{:.4f}", token_html(view.model, best.id), at.of.probability(best.score));
  }
  out += fmt::format("</table>answer {}: p {:.4g}, rank {}<br>entropy {:.3f}, KL {:.3f}</div>",
                     token_html(view.model, answer), at.answer_p, at.rank, at.of.entropy, at.kl);
}

}  // namespace

std::string lens_page_begin(const Model& model) {
  const std::string title = html_escaped(model_title(model));
  return "<!doctype html><html lang=en><meta charset=utf-8>"
         "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
         "<title>" +
         title +
         "</title>\n<style>\n"
         "body{font:14px/1.4 system-ui,sans-serif;margin:2em;background:#fff;color:#222}\n"
         "h2{font-size:1em;margin:2em 0 .5em}\n"
         ".g{overflow:auto;max-width:100%;padding-bottom:16em}\n"
         "table{border-collapse:separate;border-spacing:1px}\n"
         ".g th{font-weight:normal;color:#555;padding:2px 8px;text-align:right;white-space:nowrap}\n"
         ".g tr:nth-child(2) th{font-weight:bold;color:#222;text-align:center}\n"
         ".g th:first-child{position:sticky;left:0;background:#fff}\n"
         ".g>table>tbody>tr>td{position:relative;padding:2px 8px;color:#fff;font:13px ui-monospace,monospace;"
         "white-space:pre;text-align:center}\n"
         ".g>table>tbody>tr>td.k{color:#000}\n"
         "td>div{display:none;position:absolute;top:100%;left:0;z-index:1;background:#fff;color:#222;"
         "border:1px solid #888;padding:6px 10px;text-align:left;box-shadow:0 2px 8px #0004}\n"
         "td:hover{outline:2px solid #222}td:hover>div{display:block}\n"
         "td td{padding:0 10px 0 0}\n"
         "</style>\n<h1>" +
         title +
         "</h1>\n<p>What each layer would predict: positions across, layers down. A cell shows the most likely token, "
         "its colour the probability from 0 (dark) to 1 (yellow); rest the pointer on a cell for the others. Answer: "
         "the model's own first choice. KL: from the model's own output to the layer's prediction, in nats.</p>\n";
}

std::string lens_page_row(const LensView& view) {
  std::string out = "<h2>" + html_escaped(quoted(view.input, 400)) + "</h2>\n<div class=g><table><tr><th>position<th>";
  const std::vector<std::int32_t>& ids = tokens_of(view.model, view.row, view.stack).ids;
  for (const std::int32_t position : view.lens.positions) out += fmt::format("<th>{}", position);
  out += "\n<tr><th>layer<th>mean KL";
  for (const std::int32_t position : view.lens.positions)
    out += "<th>" + token_html(view.model, ids[static_cast<std::size_t>(position)]);
  for (const LensLayer& layer : view.lens.layers) {
    out += fmt::format("\n<tr><th>{}<th>{:.3f}", html_escaped(layer_label(layer)), mean_kl(layer));
    for (std::size_t k = 0; k < layer.positions.size(); ++k)
      append_cell(out, view, layer.positions[k], view.lens.answers[k]);
  }
  return out + "\n</table></div>\n";
}

std::string lens_page_end() { return "</html>\n"; }

}  // namespace layerscope
