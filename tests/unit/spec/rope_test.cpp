// Rotary settings against the frequencies that transformers 5.23 computes (LlamaRotaryEmbedding, float32).
#include <gtest/gtest.h>

#include <cmath>

#include "spec/config.h"

namespace layerscope::testing {
namespace {

struct Case {
  const char* name;
  std::int64_t positions;  // max_position_embeddings
  const char* theta;
  const char* settings;  // of rope_parameters or rope_scaling, without the base
  std::int64_t dims;
  std::int64_t length;  // of the sequence
  float magnitude;
  std::vector<float> inverse;
};

const Case kCases[] = {
    {"default",
     512,
     "10000.0",
     R"("rope_type":"default")",
     8,
     2,
     1.0F,
     {0x1p+0F, 0x1.99999ap-4F, 0x1.47ae14p-7F, 0x1.0624dep-10F}},
    {"linear",
     512,
     "10000.0",
     R"("rope_type":"linear","factor":2.5)",
     8,
     2,
     1.0F,
     {0x1.99999ap-2F, 0x1.47ae14p-5F, 0x1.0624dcp-8F, 0x1.a36e3p-12F}},
    {"dynamic",
     16,
     "10000.0",
     R"("rope_type":"dynamic","factor":2.0)",
     8,
     10,
     1.0F,
     {0x1p+0F, 0x1.99999ap-4F, 0x1.47ae14p-7F, 0x1.0624dep-10F}},
    {"dynamic",
     16,
     "10000.0",
     R"("rope_type":"dynamic","factor":2.0)",
     8,
     16,
     1.0F,
     {0x1p+0F, 0x1.99999ap-4F, 0x1.47ae14p-7F, 0x1.0624dep-10F}},
    {"dynamic",
     16,
     "10000.0",
     R"("rope_type":"dynamic","factor":2.0)",
     8,
     17,
     1.0F,
     {0x1p+0F, 0x1.89d48ep-4F, 0x1.2eef26p-7F, 0x1.d208a6p-11F}},
    {"dynamic",
     16,
     "10000.0",
     R"("rope_type":"dynamic","factor":2.0)",
     8,
     40,
     1.0F,
     {0x1p+0F, 0x1.020826p-4F, 0x1.04146ep-8F, 0x1.0624dep-12F}},
    {"yarn",
     128,
     "10000.0",
     R"("rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32)",
     16,
     2,
     1.138629436111989F,
     {0x1p+0F, 0x1.94c584p-3F, 0x1.99999ap-6F, 0x1.030dc6p-7F, 0x1.47ae14p-9F, 0x1.9e7c7p-11F, 0x1.0624dep-12F,
      0x1.4b96cp-14F}},
    {"yarn_mscale",
     163840,
     "10000.0",
     R"("rope_type":"yarn","factor":40.0,"original_max_position_embeddings":4096,"beta_fast":32,"beta_slow":1,"mscale":0.707,"mscale_all_dim":1.0,"truncate":false)",
     16,
     2,
     0.9210423553163399F,
     {0x1p+0F, 0x1.43d136p-2F, 0x1.99999ap-4F, 0x1.c603c4p-6F, 0x1.6a0664p-8F, 0x1.7adedap-11F, 0x1.a36e2ep-16F,
      0x1.094566p-17F}},
    {"yarn_given",
     262144,
     "1000000.0",
     R"("rope_type":"yarn","factor":8.0,"original_max_position_embeddings":32768,"attention_factor":1.25)",
     16,
     2,
     1.25F,
     {0x1p+0F, 0x1.6c310ep-3F, 0x1.030dc6p-5F, 0x1.050bdcp-8F, 0x1.b4e81cp-12F, 0x1.74eea6p-16F, 0x1.094564p-18F,
      0x1.796182p-21F}},
    {"llama3",
     131072,
     "500000.0",
     R"("rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192)",
     32,
     2,
     1.0F,
     {0x1p+0F, 0x1.c2ef78p-2F, 0x1.8d276p-3F, 0x1.5dc95ap-4F, 0x1.34119p-5F, 0x1.0f5386p-6F, 0x1.ddee9ep-8F,
      0x1.a4ee4p-9F, 0x1.132ba4p-11F, 0x1.46831ap-14F, 0x1.1f91fp-15F, 0x1.fa8b86p-17F, 0x1.be2188p-18F, 0x1.88ec2p-19F,
      0x1.5a0f4ep-20F, 0x1.30c94ep-21F}},
    {"longrope",
     128,
     "10000.0",
     R"("rope_type":"longrope","short_factor":[1.0,1.1,1.25,1.5],"long_factor":[1.5,2.0,8.0,32.5],"original_max_position_embeddings":32)",
     8,
     32,
     1.1832159566199232F,
     {0x1p+0F, 0x1.745d18p-4F, 0x1.0624dep-7F, 0x1.5d867cp-11F}},
    {"longrope",
     128,
     "10000.0",
     R"("rope_type":"longrope","short_factor":[1.0,1.1,1.25,1.5],"long_factor":[1.5,2.0,8.0,32.5],"original_max_position_embeddings":32)",
     8,
     33,
     1.1832159566199232F,
     {0x1.555556p-1F, 0x1.99999ap-5F, 0x1.47ae14p-10F, 0x1.021c6cp-15F}},
};

Rope rope_of(const std::string& json, std::int64_t dims, std::string* error = nullptr,
             const RopeDefaults& defaults = {}) {
  auto parsed = parse_json(json, "config.json", ErrorCode::kModel);
  EXPECT_TRUE(parsed.ok()) << json;
  Config config(std::move(parsed).value(), "config.json");
  Rope rope = config.rope(dims, defaults);
  const Status status = config.finish();
  if (error != nullptr) {
    *error = status ? "" : status.error().message;
  } else {
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  return rope;
}

TEST(Rope, FrequenciesAreThoseOfTransformersInBothSpellings) {
  for (const Case& test : kCases) {
    const std::string positions = "{\"max_position_embeddings\": " + std::to_string(test.positions) + ", ";
    const std::string base = "\"rope_theta\": " + std::string(test.theta);
    std::string old_type = test.settings;
    old_type.replace(old_type.find("rope_type"), 9, "type");
    for (const std::string& json : {positions + "\"rope_parameters\": {" + test.settings + ", " + base + "}}",
                                    positions + base + ", \"rope_scaling\": {" + test.settings + "}}",
                                    positions + base + ", \"rope_scaling\": {" + old_type + "}}"}) {
      const Rope rope = rope_of(json, test.dims);
      EXPECT_EQ(rope.pairs, test.dims / 2);
      const FixedFrequencies found = frequencies_for(rope, test.length);
      EXPECT_EQ(found.magnitude, test.magnitude) << test.name << " " << json;
      ASSERT_EQ(found.inverse.size(), test.inverse.size());
      for (std::size_t j = 0; j < test.inverse.size(); ++j)
        EXPECT_EQ(found.inverse[j], test.inverse[j]) << test.name << " pair " << j << " length " << test.length;
    }
  }
}

TEST(Rope, OnlyDynamicAndLongropeDependOnTheLength) {
  for (const Case& test : kCases) {
    const Rope rope = rope_of("{\"max_position_embeddings\": " + std::to_string(test.positions) +
                                  ", \"rope_scaling\": {" + test.settings + "}}",
                              test.dims);
    const std::string name = test.name;
    EXPECT_EQ(length_independent(rope), name != "dynamic" && name != "longrope") << name;
  }
}

TEST(Rope, NothingSaidIsThePlainRotation) {
  const Rope rope = rope_of("{}", 8);
  EXPECT_EQ(frequencies_for(rope, 5).inverse, plain_frequencies(10000.0, 8));
  EXPECT_EQ(frequencies_for(rope_of(R"({"rope_theta": 500})", 8), 5).inverse, plain_frequencies(500.0, 8));
  EXPECT_EQ(frequencies_for(rope_of(R"({"rope_scaling": null, "rope_theta": 500})", 8), 5).inverse,
            plain_frequencies(500.0, 8));
}

// The trained length of a longrope, and the magnitude that its stretch gives.
std::pair<std::int64_t, float> long_of(const std::string& json, const RopeDefaults& defaults = {}) {
  const Rope rope = rope_of("{\"max_position_embeddings\": 64, " + json + "}", 4, nullptr, defaults);
  const auto* both = std::get_if<LongFrequencies>(&rope.frequencies);
  return both == nullptr ? std::pair{std::int64_t{0}, 0.0F} : std::pair{both->trained, both->magnitude};
}

TEST(Rope, TheTrainedLengthIsReadAsTheSpellingsGenerationDoes) {
  const std::string lists = R"("rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4])";
  const std::string inner = lists + R"(, "original_max_position_embeddings": 16, "factor": 2})";
  const std::string top = R"("original_max_position_embeddings": 8, )";
  const auto magnitude = [](double factor, double trained) {
    return static_cast<float>(std::sqrt(1 + std::log(factor) / std::log(trained)));
  };
  EXPECT_EQ(long_of("\"rope_parameters\": {" + inner), std::pair(std::int64_t{16}, magnitude(2, 16)));
  EXPECT_EQ(long_of(top + "\"rope_parameters\": {" + inner), std::pair(std::int64_t{8}, magnitude(2, 8)));
  EXPECT_EQ(long_of("\"rope_parameters\": {" + lists + "}"), std::pair(std::int64_t{64}, 1.0F));
  EXPECT_EQ(long_of("\"rope_scaling\": {" + inner), std::pair(std::int64_t{64}, magnitude(2, 64)));
  EXPECT_EQ(long_of(top + "\"rope_scaling\": {" + inner), std::pair(std::int64_t{8}, magnitude(8, 8)));
  EXPECT_EQ(long_of("\"rope_scaling\": {" + lists + "}", {.trained = 32}),
            std::pair(std::int64_t{32}, magnitude(2, 32)));

  const std::string bands = R"("rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, )"
                            R"("original_max_position_embeddings": 8192})";
  const auto frequencies = [&](const std::string& before) {
    return frequencies_for(rope_of("{" + before + bands + "}", 32), 5).inverse;
  };
  EXPECT_EQ(frequencies(R"("original_max_position_embeddings": 64, "rope_scaling": {)"),
            frequencies(R"("rope_parameters": {)"));
  EXPECT_NE(frequencies(R"("original_max_position_embeddings": 64, "rope_parameters": {)"),
            frequencies(R"("rope_parameters": {)"));
}

TEST(Rope, LayerTypesHaveSettingsOfTheirOwn) {
  const std::string nested = R"({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2,
      "rope_theta": 500}, "sliding_attention": {"rope_type": "default"}}, "local": 70})";
  const auto of = [](const std::string& json, const RopeDefaults& defaults) {
    return frequencies_for(rope_of(json, 8, nullptr, defaults), 5).inverse;
  };
  std::vector<float> halved = plain_frequencies(500, 8);
  for (float& frequency : halved) frequency /= 2;
  const RopeDefaults full{.theta = 9000, .layer_type = "full_attention"};
  const RopeDefaults sliding{.theta = 30, .theta_key = "local", .layer_type = "sliding_attention", .scaled = false};
  EXPECT_EQ(of(nested, full), halved);
  EXPECT_EQ(of(nested, sliding), plain_frequencies(70, 8));
  EXPECT_EQ(of(R"({"rope_parameters": {"full_attention": {}, "sliding_attention": null}})", sliding),
            plain_frequencies(30, 8));
  const std::string old = R"({"rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 2}, "local": 70})";
  EXPECT_EQ(of(old, full), halved);
  EXPECT_EQ(of(old, sliding), plain_frequencies(70, 8));
  std::string error;
  (void)rope_of(R"({"rope_parameters": {"rope_type": "default", "full_attention": {}}})", 8, &error, full);
  EXPECT_NE(error.find("beside the layer types"), std::string::npos) << error;
}

TEST(Rope, OldNamesOfLongrope) {
  const std::string lists = R"("short_factor": [1, 2], "long_factor": [3, 4]})";
  EXPECT_EQ(long_of(R"("rope_scaling": {"type": "su", )" + lists).first, 64);
  EXPECT_EQ(long_of(R"("rope_parameters": {"type": "su", "rope_type": "longrope", )" + lists).first, 64);
  EXPECT_EQ(long_of(R"("rope_scaling": {"type": "yarn", )" + lists, {.yarn_is_long = true}).first, 64);
  std::string error;
  (void)rope_of(R"({"rope_scaling": {"type": "linear", "rope_type": "dynamic", "factor": 2}})", 4, &error);
  EXPECT_NE(error.find("has the types"), std::string::npos) << error;
}

TEST(Rope, APartOfAHeadMayTurn) {
  const auto part = [](const char* share, std::int64_t head) {
    return rope_of(std::string(R"({"rope_parameters": {"partial_rotary_factor": )") + share + "}}", head);
  };
  EXPECT_EQ(part("0.5", 8).pairs, 2);
  const Rope odd = part("0.76", 12);  // 9 elements: a fifth pair has the last frequency
  EXPECT_EQ(odd.pairs, 5);
  EXPECT_EQ(frequencies_for(odd, 3).inverse, plain_frequencies(10000.0, 9));
}

TEST(Rope, AFixedAlphaStretchesTheBaseForAllLengths) {
  const std::string json = R"({"max_position_embeddings": 8, "rope_scaling": {"type": "dynamic", "alpha": 50.0,
      "factor": 1.0}})";
  const Rope fixed = rope_of(json, 8, nullptr, {.fixed_alpha = true});
  EXPECT_TRUE(length_independent(fixed));
  EXPECT_EQ(frequencies_for(fixed, 3).inverse, plain_frequencies(10000.0 * std::pow(50.0, 8.0 / 6.0), 8));
  EXPECT_FALSE(length_independent(rope_of(json, 8)));
}

TEST(Rope, WhatIsNotUnderstoodIsRefused) {
  const char* refused[] = {
      R"({"rope_scaling": {"rope_type": "proportional"}})",
      R"({"rope_scaling": {"rope_type": "linear"}})",
      R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})",
      R"({"rope_scaling": {"rope_type": "linear", "factor": -2}})",
      R"({"rope_scaling": {"rope_type": 3}})",
      R"({"rope_scaling": [1]})",
      R"({"rope_theta": 0})",
      R"({"rope_theta": -10000})",
      R"({"rope_theta": "x"})",
      R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})",
      R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.1}})",
      R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.5}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
          "high_freq_factor": 4, "original_max_position_embeddings": 32}})",
      R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 1],
          "long_factor": [1, 1, 1, 1], "original_max_position_embeddings": 32}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 1, 0],
          "long_factor": [1, 1, 1, 1], "original_max_position_embeddings": 32}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "yarn", "factor": 4, "attention_factor": -1}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": 0}})",
      R"({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "yarn", "factor": 4, "attention_factor": "x"}})",
  };
  for (const char* json : refused) {
    std::string error;
    (void)rope_of(json, 8, &error);
    EXPECT_EQ(error.rfind("config.json: ", 0), 0U) << json << " gave \"" << error << "\"";
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
  std::string error;
  (void)rope_of("{}", 7, &error);
  EXPECT_NE(error.find("whole pairs"), std::string::npos);
}

}  // namespace
}  // namespace layerscope::testing
