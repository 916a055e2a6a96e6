#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "base/json.h"
#include "view/diff_view.h"

namespace layerscope {
namespace {

/// An object under construction: keys in the order of the calls.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  ~Object() { out_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  void key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(out_, name);
    out_ += ':';
  }
  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
  }
  void number(std::string_view name, double value) {
    key(name);
    constexpr double kMost = std::numeric_limits<double>::max();
    append_json_number(out_, std::isnan(value) ? kMost : std::clamp(value, -kMost, kMost));
  }
  void integer(std::string_view name, std::int64_t value) {
    key(name);
    append_json_number(out_, value);
  }
  void flag(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
  }
  void index(std::string_view name, std::optional<int> value) {
    key(name);
    out_ += value ? std::to_string(*value) : "null";
  }
  void null(std::string_view name) {
    key(name);
    out_ += "null";
  }
  template <class List, class Append>
  void list(std::string_view name, const List& items, const Append& append) {
    key(name);
    out_ += '[';
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ',';
      first = false;
      append(item);
    }
    out_ += ']';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

void append_side(std::string& out, const DiffSide& side) {
  Object object(out);
  object.text("path", side.path);
  object.text("kind", side.kind);
  object.text("precision", side.detail);
}

void append_cause(std::string& out, const DiffCause& cause) {
  Object object(out);
  object.text("site", cause.site);
  object.text("kind", cause.kind);
  object.text("evidence", cause.evidence);
  object.number("before", cause.before);
  object.number("after", cause.after);
}

void append_first(std::string& out, const DiffFirst& first) {
  Object object(out);
  object.text("site", first.site);
  object.index("hf_index", first.hf_index);
  object.integer("row", first.row);
  object.integer("token", first.token);
  object.number("rel_l2", first.rel_l2);
  object.number("noise", first.noise);
  object.number("times", first.times);
  object.flag("local", first.local);
}

void append_site(std::string& out, const DiffSite& site) {
  Object object(out);
  object.text("site", site.site);
  object.index("hf_index", site.hf_index);
  object.number("rel_l2", site.error.rel_l2);
  object.number("max_abs", site.error.max_abs);
  object.number("mean_abs", site.error.mean_abs);
  object.number("cosine", site.error.cosine);
  object.number("noise", site.noise);
  object.number("times", site.times);
  object.integer("max_ulps", static_cast<std::int64_t>(std::min<std::uint64_t>(
                                 site.error.max_ulps, std::numeric_limits<std::int64_t>::max())));
  object.number("median_ulps", site.error.median_ulps);
  object.key("worst");
  {
    Object worst(out);
    worst.integer("row", site.worst_row);
    worst.integer("token", site.worst_position);
    worst.integer("dimension", site.error.worst_dimension);
    worst.number("rel_l2", site.error.worst_token_rel);
    worst.number("noise", site.token_noise);
  }
  if (site.local) {
    object.number("local", *site.local);
    object.number("local_noise", site.local_noise.value_or(0));
    object.number("local_times", site.local_times);
  } else {
    object.null("local");
  }
  object.flag("differs", site.differs || site.local_differs);
}

void append_text(std::string& out, const DiffText& text) {
  Object object(out);
  object.integer("row", text.row);
  object.list("rel_l2", text.rel_l2, [&](double value) {
    append_json_number(out, std::isfinite(value) ? value : std::numeric_limits<double>::max());
  });
}

}  // namespace

std::string diff_json(const DiffReport& report) {
  std::string out;
  {
    Object object(out);
    object.text("verdict", verdict_name(report.verdict));
    object.text("sentence", report.sentence);
    if (report.tolerance) {
      object.number("tol", *report.tolerance);
    } else {
      object.null("tol");
    }
    object.flag("ids_equal", report.ids_equal);
    object.key("first");
    report.first ? append_first(out, *report.first) : void(out += "null");
    object.key("cause");
    report.causes.empty() ? void(out += "null") : append_cause(out, report.causes.front());
    object.list("causes", report.causes, [&](const DiffCause& cause) { append_cause(out, cause); });
    object.integer("rows", report.rows);
    object.integer("tokens", report.tokens);
    object.number("noise_times", report.times);
    object.flag("noise_estimated", report.noise_estimated);
    object.key("a");
    append_side(out, report.sides[0]);
    object.key("b");
    append_side(out, report.sides[1]);
    object.list("sites", report.sites, [&](const DiffSite& site) { append_site(out, site); });
    object.list("texts", report.texts, [&](const DiffText& text) { append_text(out, text); });
    object.list("notes", report.notes, [&](const std::string& note) { append_json_string(out, note); });
  }
  return out + "\n";
}

}  // namespace layerscope
