// Edits against transformers, its modules' values changed by hooks (tests/oracle/make_edits.py).
#include <gtest/gtest.h>

#include "base/json.h"
#include "unit/engine/support.h"

namespace layerscope::testing {
namespace {

double number(const Json& json) { return json.real() != nullptr ? *json.real() : static_cast<double>(*json.integer()); }

std::vector<std::int32_t> ids_of(const Json& ids, const char* name) {
  std::vector<std::int32_t> out;
  const Json* list = ids.find(name);
  for (const Json& id : list == nullptr ? Json::Array() : *list->array())
    out.push_back(static_cast<std::int32_t>(*id.integer()));
  return out;
}

TEST(EditsReference, EqualHooksInTransformers) {
  const auto json =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/edits/cases.json", ErrorCode::kRuntime);
  ASSERT_TRUE(json.ok()) << json.error().message;
  const Json::Array& cases = *json->find("cases")->array();
  ASSERT_GE(cases.size(), 14U);
  for (const Json& one : cases) {
    const Json& stored = *one.find("edit");
    SCOPED_TRACE(*one.find("folder")->string() + " " + *stored.find("site")->string());
    const auto model = open_golden(*one.find("folder")->string());
    ASSERT_NE(model, nullptr);
    Edit edit{.site = *stored.find("site")->string(),
              .op = edit_op_from_name(*stored.find("op")->string()).value(),
              .positions = *stored.find("positions")->string()};
    for (const Json& value : *stored.find("values")->array()) edit.values.push_back(static_cast<float>(number(value)));
    std::vector<float> expected;
    for (const Json& row : *one.find("final")->array()) {
      for (const Json& value : *row.array()) expected.push_back(static_cast<float>(number(value)));
    }
    const Json& ids = *one.find("ids");
    TextRow row{.ids = ids_of(ids, "input_ids")};
    if (model->info().two_stacks)
      row = {.ids = ids_of(ids, "enc.input_ids"), .decoder_ids = ids_of(ids, "dec.input_ids")};
    const std::string final = model->info().two_stacks ? "dec.final" : "final";
    const auto edited = model->states(std::vector<TextRow>{row}, {.request = {.sites = final}, .edits = {edit}});
    const auto plain = model->states(std::vector<TextRow>{row}, {.request = {.sites = final}});
    ASSERT_TRUE(edited.ok() && plain.ok());
    EXPECT_LE(relative_l2(edited->front().find(final)->values, expected), 1e-5);
    EXPECT_GE(relative_l2(plain->front().find(final)->values, expected), 1e-3);
  }
}

}  // namespace
}  // namespace layerscope::testing
