#include "store/dataset_columns.h"

#include <algorithm>
#include <limits>

#include "base/try.h"

namespace layerscope {
namespace {

/// The same column is in every batch; only its rows' values are where some shard has it.
struct OptionalTensors {
  bool ids = false;
  std::vector<std::string> type_ids;
};

Result<OptionalTensors> optional_tensors(const RunView& run, const ShardSchema& schema) {
  OptionalTensors found;
  std::vector<bool> types(schema.stacks().size());
  for (const RunPart& part : run.parts) {
    for (const ShardRecord& record : part.records) {
      LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(part.shard_path(record)));
      found.ids = found.ids || shard.find("id") != nullptr;
      for (std::size_t stack = 0; stack < types.size(); ++stack) {
        if (shard.find(schema.prefix(schema.stacks()[stack]) + "type_ids") != nullptr) types[stack] = true;
      }
    }
  }
  for (std::size_t stack = 0; stack < types.size(); ++stack) {
    if (types[stack]) found.type_ids.push_back(schema.prefix(schema.stacks()[stack]));
  }
  return found;
}

ArrowField number_field(DType dtype) {
  return {.name = "item", .dtype = dtype == DType::kBF16 ? DType::kF32 : dtype, .items = {}};
}

ArrowField list_of(ArrowField items, std::int64_t length = 0) {
  return {.name = "item",
          .kind = length == 0 ? ArrowField::Kind::kList : ArrowField::Kind::kFixedList,
          .length = static_cast<std::int32_t>(length),
          .items = {std::move(items)}};
}

class ColumnList {
 public:
  explicit ColumnList(const ShardSchema& schema) : schema_(schema) {}

  void add(DatasetColumn column, const std::string& offsets) {
    column.offsets = place(offsets);
    result.columns.push_back(std::move(column));
  }

  void add_tokens(const std::string& prefix, bool types, bool picks) {
    using Kind = DatasetColumn::Kind;
    add({.name = prefix + "input_ids", .kind = Kind::kNumbers, .dtype = DType::kI32}, prefix + "offsets");
    add({.name = prefix + "special", .kind = Kind::kNumbers, .dtype = DType::kU8}, prefix + "offsets");
    if (types) add({.name = prefix + "type_ids", .kind = Kind::kNumbers, .dtype = DType::kU8}, prefix + "offsets");
    if (picks) add({.name = prefix + "pos", .kind = Kind::kNumbers, .dtype = DType::kI32}, prefix + "pos_offsets");
  }

  Status add_site(const StoredSite& site) {
    using Kind = DatasetColumn::Kind;
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    const std::int64_t items = site.unit == StoredUnit::kProbs ? site.heads : site.width;
    if (items < 1 || items > kMost) {
      return Error{ErrorCode::kUsage, "site " + site.name + ": has " + std::to_string(items) +
                                          " values a row; a fixed list of Arrow has 1 to " + std::to_string(kMost)};
    }
    DatasetColumn column{.name = site.name, .dtype = site.dtype, .width = site.width, .heads = site.heads};
    const std::string prefix = schema_.prefix(token_stack(site));
    switch (site.unit) {
      case StoredUnit::kPooled:
        column.kind = Kind::kVector;
        result.columns.push_back(std::move(column));
        return {};
      case StoredUnit::kTokens:
        column.kind = Kind::kVectors;
        add(std::move(column), prefix + "offsets");
        return {};
      case StoredUnit::kPicks:
        column.kind = Kind::kVectors;
        add(std::move(column), prefix + "pos_offsets");
        return {};
      case StoredUnit::kProbs: break;
    }
    column.kind = Kind::kProbs;
    column.tokens = place(schema_.prefix(site.stack) + "offsets");
    add(std::move(column), site.name + ".offsets");
    return {};
  }

  DatasetColumns result;

 private:
  std::size_t place(const std::string& name) {
    const auto found = std::find(result.offsets.begin(), result.offsets.end(), name);
    const auto at = static_cast<std::size_t>(found - result.offsets.begin());
    if (found == result.offsets.end()) result.offsets.push_back(name);
    return at;
  }

  const ShardSchema& schema_;
};

}  // namespace

Result<DatasetColumns> dataset_columns(const RunView& run, TextOfRow text_of) {
  using Kind = DatasetColumn::Kind;
  const ShardSchema& schema = run.parts.front().manifest.schema;
  LAYERSCOPE_ASSIGN(const OptionalTensors found, optional_tensors(run, schema));
  ColumnList list(schema);
  list.result.columns.push_back({.name = "row"});
  if (found.ids) list.add({.name = "id", .kind = Kind::kId, .dtype = DType::kU8}, "id_offsets");
  if (text_of) list.result.columns.push_back({.name = "text", .kind = Kind::kText, .dtype = DType::kU8});
  list.result.text_of = std::move(text_of);
  for (const StackId stack : schema.stacks()) {
    const std::string prefix = schema.prefix(stack);
    const bool types = std::find(found.type_ids.begin(), found.type_ids.end(), prefix) != found.type_ids.end();
    list.add_tokens(prefix, types, schema.picks(stack));
  }
  if (schema.generated) {
    list.result.columns.push_back({.name = "prompt_len", .dtype = DType::kI32});
    list.add({.name = "output_ids", .kind = Kind::kNumbers, .dtype = DType::kI32}, "output_offsets");
  }
  for (const StoredSite& site : schema.sites) LAYERSCOPE_TRY(list.add_site(site));
  return std::move(list.result);
}

ArrowField arrow_field(const DatasetColumn& column) {
  using Kind = DatasetColumn::Kind;
  ArrowField field = number_field(column.dtype);
  switch (column.kind) {
    case Kind::kNumber: break;
    case Kind::kId:
    case Kind::kText: field.kind = ArrowField::Kind::kText; break;
    case Kind::kNumbers: field = list_of(std::move(field)); break;
    case Kind::kVector: field = list_of(std::move(field), column.width); break;
    case Kind::kVectors: field = list_of(list_of(std::move(field), column.width)); break;
    case Kind::kProbs: field = list_of(list_of(list_of(std::move(field))), column.heads); break;
  }
  field.name = column.name;
  return field;
}

Json dataset_feature(const ArrowField& field) {
  const auto text = [](std::string value) { return Json(std::move(value)); };
  switch (field.kind) {
    case ArrowField::Kind::kText: return Json(Json::Object{{"dtype", text("string")}, {"_type", text("Value")}});
    case ArrowField::Kind::kNumber: break;
    case ArrowField::Kind::kList:
    case ArrowField::Kind::kFixedList: {
      Json::Object list{{"feature", dataset_feature(field.items.front())}};
      if (field.kind == ArrowField::Kind::kFixedList) list.emplace_back("length", std::int64_t{field.length});
      list.emplace_back("_type", text("Sequence"));
      return Json(std::move(list));
    }
  }
  const bool real = field.dtype == DType::kF64 || field.dtype == DType::kF32 || field.dtype == DType::kF16;
  const bool is_signed = field.dtype == DType::kI64 || field.dtype == DType::kI32 || field.dtype == DType::kI16 ||
                         field.dtype == DType::kI8;
  const std::string kind = real ? "float" : is_signed ? "int" : "uint";
  return Json(
      Json::Object{{"dtype", text(kind + std::to_string(8 * dtype_size(field.dtype)))}, {"_type", text("Value")}});
}

}  // namespace layerscope
