// The strict reader of config.json.
#include "spec/config.h"

#include <gtest/gtest.h>

#include <functional>

namespace layerscope::testing {
namespace {

Config config_of(std::string_view json) {
  auto parsed = parse_json(json, "config.json", ErrorCode::kModel);
  EXPECT_TRUE(parsed.ok()) << json;
  return {std::move(parsed).value(), "config.json"};
}

// What finish() says after `use`; empty for success.
std::string complaint(std::string_view json, const std::function<void(Config&)>& use) {
  Config config = config_of(json);
  use(config);
  const Status status = config.finish();
  if (status) return {};
  EXPECT_EQ(status.error().code, ErrorCode::kModel);
  EXPECT_EQ(status.error().message.rfind("config.json: ", 0), 0U);
  EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
  return status.error().message;
}

TEST(Config, GettersReadWhatIsThere) {
  Config c = config_of(R"({"model_type": "bert", "architectures": ["BertModel", "Other"], "size": 12, "zero": 0,
                           "eps": 1e-12, "whole": 3, "yes": true, "text": "x", "act": "gelu_new", "none": null})");
  EXPECT_EQ(c.model_type(), "bert");
  EXPECT_EQ(c.architecture(), "BertModel");
  EXPECT_EQ(c.size("size"), 12);
  EXPECT_EQ(c.size("absent", 7), 7);
  EXPECT_EQ(c.size("none", 7), 7) << "null counts as absent";
  EXPECT_EQ(c.optional_size("none"), std::nullopt);
  EXPECT_EQ(c.optional_size("size"), 12);
  EXPECT_EQ(c.nullable_size("none", 7), std::nullopt) << "null is a value here";
  EXPECT_EQ(c.nullable_size("absent", 7), 7);
  EXPECT_EQ(c.index("zero"), 0);
  EXPECT_EQ(c.real("whole"), 3.0);
  EXPECT_EQ(c.real("eps"), 1e-12);
  EXPECT_EQ(c.epsilon("eps"), 1e-12F);
  EXPECT_TRUE(c.flag("yes", false));
  EXPECT_TRUE(c.flag("absent", true));
  EXPECT_EQ(c.text("text", "y"), "x");
  EXPECT_EQ(c.text("absent", "y"), "y");
  EXPECT_EQ(c.texts("absent"), std::nullopt);
  EXPECT_EQ(c.activation("act", "relu"), Activation::kGeluTanh);
  EXPECT_EQ(c.activation("absent", "relu"), Activation::kRelu);
  EXPECT_TRUE(c.has("size"));
  EXPECT_FALSE(c.has("none"));
  EXPECT_TRUE(c.finish().ok());
}

TEST(Config, WrongTypesAndRangesNameTheKey) {
  const std::pair<const char*, std::function<void(Config&)>> cases[] = {
      {R"({})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": null})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": 0})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": -1})", [](Config& c) { (void)c.size("key", 3); }},
      {R"({"key": 1.0})", [](Config& c) { (void)c.size("key", 3); }},
      {R"({"key": "12"})", [](Config& c) { (void)c.size("key", 3); }},
      {R"({"key": 268435457})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": 99999999999999999999})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": true})", [](Config& c) { (void)c.size("key"); }},
      {R"({"key": 4097})", [](Config& c) { (void)c.layers("key"); }},
      {R"({"key": 0})", [](Config& c) { (void)c.optional_size("key"); }},
      {R"({"key": 0})", [](Config& c) { (void)c.nullable_size("key", 3); }},
      {R"({"key": -1})", [](Config& c) { (void)c.index("key"); }},
      {R"({"key": "1"})", [](Config& c) { (void)c.real("key"); }},
      {R"({})", [](Config& c) { (void)c.real("key"); }},
      {R"({"key": 0})", [](Config& c) { (void)c.epsilon("key"); }},
      {R"({"key": -1e-5})", [](Config& c) { (void)c.epsilon("key"); }},
      {R"({"key": 1})", [](Config& c) { (void)c.epsilon("key"); }},
      {R"({"key": 1})", [](Config& c) { (void)c.flag("key", false); }},
      {R"({"key": 1})", [](Config& c) { (void)c.text("key", "x"); }},
      {R"({"key": "x"})", [](Config& c) { (void)c.texts("key"); }},
      {R"({"key": [1]})", [](Config& c) { (void)c.texts("key"); }},
      {R"({"key": "gelu_10"})", [](Config& c) { (void)c.activation("key", "gelu"); }},
      {R"({"key": true})", [](Config& c) { c.only("key", false); }},
      {R"({"key": 0})", [](Config& c) { c.only("key", false); }},
      {R"({"key": 2})", [](Config& c) { c.only("key", std::int64_t{1}); }},
      {R"({"key": "b"})", [](Config& c) { c.only("key", std::string_view("a")); }},
      {R"({"key": {"a": 1}})", [](Config& c) { c.absent("key"); }},
  };
  for (const auto& [json, use] : cases) EXPECT_NE(complaint(json, use).find("\"key\""), std::string::npos) << json;
  EXPECT_NE(complaint("{}", [](Config& c) { (void)c.model_type(); }).find("\"model_type\""), std::string::npos);
}

TEST(Config, OnlyAndAbsentAcceptOff) {
  for (const char* json : {"{}", R"({"key": null})", R"({"key": false})"})
    EXPECT_EQ(complaint(json, [](Config& c) { c.only("key", false); }), "") << json;
  for (const char* json : {"{}", R"({"key": null})", R"({"key": false})", R"({"key": 0})", R"({"key": 0.0})",
                           R"({"key": ""})", R"({"key": []})", R"({"key": {}})"})
    EXPECT_EQ(complaint(json, [](Config& c) { c.absent("key"); }), "") << json;
}

TEST(Config, AnAliasStandsInForItsName) {
  Config c = config_of(R"({"n_head": 4, "hidden_size": 12, "n_embd": 12, "n_layer": null, "num_layers": 3})");
  c.alias("num_heads", "n_head");
  c.alias("hidden_size", "n_embd");
  c.alias("num_layers", "n_layer");
  EXPECT_EQ(c.size("n_head"), 4);
  EXPECT_EQ(c.size("n_embd"), 12);
  EXPECT_EQ(c.size("n_layer"), 3) << "null counts as absent";
  EXPECT_TRUE(c.finish().ok());
  EXPECT_NE(complaint(R"({"hidden_size": 12, "n_embd": 8})", [](Config& d) { d.alias("hidden_size", "n_embd"); })
                .find("\"hidden_size\" is 12"),
            std::string::npos);
}

TEST(Config, TheFirstErrorIsKept) {
  const std::string message = complaint(R"({"a": 0, "b": 0})", [](Config& c) {
    (void)c.size("a");
    (void)c.size("b");
    c.refuse("third");
  });
  EXPECT_NE(message.find("\"a\""), std::string::npos);
  EXPECT_EQ(message.find("\"b\""), std::string::npos);
}

TEST(Config, FinishRefusesMathematicsThatNobodyAskedFor) {
  const auto nothing = [](Config&) {};
  for (const char* json : {R"({"rope_scaling": {"type": "linear"}})", R"({"sliding_window": 8})",
                           R"({"is_decoder": true})", R"({"attn_logit_softcapping": 50.0})"})
    EXPECT_NE(complaint(json, nothing).find("does not support"), std::string::npos) << json;
  EXPECT_NE(complaint(R"({"auto_map": {"AutoModel": "x.Y"}})", nothing).find("never run"), std::string::npos);
  EXPECT_NE(complaint(R"({"quantization_config": {"quant_method": "gptq"}})", nothing).find("gptq"), std::string::npos);
  EXPECT_EQ(complaint(R"({"is_decoder": false, "sliding_window": null, "rope_scaling": {}})", nothing), "");
  EXPECT_EQ(complaint(R"({"sliding_window": 8})", [](Config& c) { (void)c.optional_size("sliding_window"); }), "");
  EXPECT_EQ(complaint(R"({"sliding_window": 8})", [](Config& c) { c.ignore("sliding_window"); }), "");
  EXPECT_EQ(complaint(R"({"some_note": 8})", nothing), "");
}

TEST(Config, KnowsWhichGenerationWroteIt) {
  EXPECT_TRUE(config_of(R"({"transformers_version": "4.57.6"})").written_before(5));
  EXPECT_FALSE(config_of(R"({"transformers_version": "5.0.0.dev0"})").written_before(5));
  EXPECT_FALSE(config_of(R"({"transformers_version": "10.1"})").written_before(5));
  EXPECT_FALSE(config_of("{}").written_before(4));
  EXPECT_TRUE(config_of(R"({"transformers_version": 5})").written_before(5)) << "no version counts as 4";
}

TEST(Config, LongValuesAreShortenedInMessages) {
  const std::string json = R"({"key": ")" + std::string(100000, 'x') + R"("})";
  EXPECT_LT(complaint(json, [](Config& c) { (void)c.size("key"); }).size(), 300U);
  EXPECT_LT(complaint(json, [](Config& c) { (void)c.activation("key", "gelu"); }).size(), 600U);
}

}  // namespace
}  // namespace layerscope::testing
