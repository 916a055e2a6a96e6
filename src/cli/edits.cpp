#include "cli/edits.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/edit_vectors.h"
#include "tap/layer_list.h"
#include "tap/sites.h"

namespace layerscope::cli {
namespace {

Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

Status read_op(std::string_view name, std::string_view where, Edit& edit) {
  const std::optional<EditOp> op = edit_op_from_name(name);
  if (!op) return usage(fmt::format("{}: \"{}\" is none of add, set, scale", where, name));
  edit.op = *op;
  return {};
}

/// The edit with its vectors, once for every site it names: a run has vectors of its own for each.
Status add_edit(Edit edit, std::string_view source, const SiteTable& sites, std::vector<Edit>& edits) {
  std::vector<std::string> names;
  for (const Site& site : sites.sites) {
    if (glob_matches(edit.site, site.name)) names.push_back(site.name);
  }
  if (names.empty()) names = {edit.site};  // refused with the list of sites when it is compiled
  for (std::string& name : names) {
    edits.push_back(edit);
    edits.back().site = std::move(name);
    LAYERSCOPE_TRY(read_edit_vectors(source, edits.back()));
  }
  return {};
}

Status read_words(const std::string& text, const SiteTable& sites, std::vector<Edit>& edits) {
  const std::string where = fmt::format("--edit {}", text);
  const std::size_t equals = text.find('=');
  const std::size_t colon = text.find(':');
  if (equals == std::string::npos || colon == std::string::npos || colon > equals || colon == 0)
    return usage(where + ": expected SITE:OP[:POSITIONS]=VECTORS, such as block.3.out:add=steer.npy");
  Edit edit{.site = text.substr(0, colon)};
  const std::string rest = text.substr(colon + 1, equals - colon - 1);
  const std::size_t second = rest.find(':');
  LAYERSCOPE_TRY(read_op(std::string_view(rest).substr(0, second), where, edit));
  if (second != std::string::npos) edit.positions = rest.substr(second + 1);
  if (auto positions = parse_positions(edit.positions); !positions)
    return usage(where + ": " + positions.error().message);
  return add_edit(std::move(edit), std::string_view(text).substr(equals + 1), sites, edits);
}

/// One object of the list in an --edits file.
class EditObject {
 public:
  EditObject(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  Status read(const SiteTable& sites, std::vector<Edit>& edits) {
    if (json_.object() == nullptr) return wrong("is no object");
    for (const auto& [key, unused] : *json_.object()) {
      if (std::ranges::find(kKeys, std::string_view(key)) == std::end(kKeys))
        return wrong(fmt::format("has an unknown field \"{}\", expected {}", key, fmt::join(kKeys, ", ")));
    }
    Edit edit;
    const Json* site = json_.find("site");
    const Json* op = json_.find("op");
    if (site == nullptr || site->string() == nullptr) return wrong("lacks \"site\", a string");
    if (op == nullptr || op->string() == nullptr) return wrong("lacks \"op\": add, set or scale");
    edit.site = *site->string();
    LAYERSCOPE_TRY(read_op(*op->string(), where_, edit));
    LAYERSCOPE_TRY(read_positions(edit));
    if (const Json* row = json_.find("row"); row != nullptr && !row->is_null()) {
      if (row->integer() == nullptr || *row->integer() < 0) return wrong("field \"row\" is no row number");
      edit.row = *row->integer();
    }
    const Json* from = json_.find("from");
    const Json* values = json_.find("values");
    if ((from == nullptr) == (values == nullptr)) return wrong("needs either \"values\" or \"from\"");
    if (from != nullptr && from->string() == nullptr) return wrong("field \"from\" is no string");
    if (from != nullptr) return add_edit(std::move(edit), *from->string(), sites, edits);
    LAYERSCOPE_TRY(read_values(*values, edit));
    edits.push_back(std::move(edit));
    return {};
  }

 private:
  static constexpr std::string_view kKeys[] = {"site", "op", "positions", "row", "values", "from"};

  Error wrong(const std::string& what) const { return usage(where_ + " " + what); }

  Status read_positions(Edit& edit) const {
    const Json* positions = json_.find("positions");
    if (positions == nullptr) return {};
    if (positions->string() != nullptr) {
      edit.positions = *positions->string();
    } else if (const Json::Array* list = positions->array(); list != nullptr && !list->empty()) {
      edit.positions.clear();
      for (const Json& item : *list) {
        if (item.integer() == nullptr) return wrong("field \"positions\" holds what is no whole number");
        edit.positions += (edit.positions.empty() ? "" : ",") + std::to_string(*item.integer());
      }
    } else {
      return wrong("field \"positions\" is neither a string nor a list of whole numbers");
    }
    if (auto parsed = parse_positions(edit.positions); !parsed) return wrong("positions: " + parsed.error().message);
    return {};
  }

  static bool append_number(const Json& json, std::vector<float>& out) {
    if (json.integer() == nullptr && json.real() == nullptr) return false;
    const double value = json.integer() != nullptr ? static_cast<double>(*json.integer()) : *json.real();
    if (value > std::numeric_limits<float>::max() || value < std::numeric_limits<float>::lowest()) return false;
    out.push_back(static_cast<float>(value));
    return true;
  }

  Status read_values(const Json& json, Edit& edit) const {
    const Error expected = wrong("field \"values\" is no number, list of numbers or list of equally long lists");
    if (append_number(json, edit.values)) return {};
    const Json::Array* list = json.array();
    if (list == nullptr || list->empty()) return expected;
    if (list->front().array() == nullptr) {
      const bool good = std::ranges::all_of(*list, [&](const Json& item) { return append_number(item, edit.values); });
      return good ? Status() : expected;
    }
    edit.vectors = static_cast<std::int64_t>(list->size());
    for (const Json& row : *list) {
      if (row.array() == nullptr || row.array()->size() != list->front().array()->size()) return expected;
      for (const Json& item : *row.array()) {
        if (!append_number(item, edit.values)) return expected;
      }
    }
    return {};
  }

  const Json& json_;
  std::string where_;
};

}  // namespace

Result<std::vector<Edit>> read_edits(const EditArguments& arguments, const SiteTable& sites) {
  std::vector<Edit> edits;
  if (!arguments.file.empty()) {
    LAYERSCOPE_ASSIGN(const Json json, read_json_file(arguments.file, ErrorCode::kRuntime));
    if (json.array() == nullptr) return usage(arguments.file + ": is no JSON list of edits");
    for (std::size_t i = 0; i < json.array()->size(); ++i) {
      const std::string where = fmt::format("{}: edit {}", arguments.file, i);
      LAYERSCOPE_TRY(EditObject((*json.array())[i], where).read(sites, edits));
    }
  }
  for (const std::string& text : arguments.edits) LAYERSCOPE_TRY(read_words(text, sites, edits));
  if (auto plan = EditPlan::compile(sites, edits); !plan) return std::move(plan).error();
  return edits;
}

}  // namespace layerscope::cli
