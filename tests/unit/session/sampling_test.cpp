#include "session/sampling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::TempFolder;

std::string text_of(const Json& value) { return value.dump(); }

/// A folder with this generation_config.json, or config.json alone.
Result<GenerationConfig> read(const std::string& text, std::int64_t vocabulary = 24, bool legacy = false) {
  const TempFolder folder;
  folder.write(legacy ? "config.json" : "generation_config.json", text);
  return read_generation_config(folder.path().string(), vocabulary);
}

GenerationConfig good(const std::string& text, const GenerationFlags& flags = {.temperature = 0.0}) {
  auto config = read(text);
  EXPECT_TRUE(config.ok()) << config.error().message;
  auto flagged = with_flags(config ? *config : GenerationConfig(), flags);
  EXPECT_TRUE(flagged.ok()) << flagged.error().message;
  return flagged ? *flagged : GenerationConfig();
}

std::vector<std::int32_t> ids_of(const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& item : *list.array()) ids.push_back(static_cast<std::int32_t>(*item.integer()));
  return ids;
}

double number(const Json& value) {
  return value.real() != nullptr ? *value.real() : static_cast<double>(*value.integer());
}

TEST(Sampling, ScoresAsTransformersProcessesThem) {
  const auto json =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/generation/sampling.json", ErrorCode::kRuntime);
  ASSERT_TRUE(json.ok());
  const std::vector<std::int32_t> source = ids_of(*json->find("source"));
  for (const Json& row : *json->find("cases")->array()) {
    const Json& settings = *row.find("settings");
    const Json* temperature = settings.find("temperature");
    GenerationFlags flags{.temperature = temperature == nullptr ? 0.0 : number(*temperature)};
    const std::vector<std::int32_t> ids = ids_of(*row.find("ids"));
    const SampledRow sampled{.ids = ids, .prompt_tokens = *row.find("prompt_tokens")->integer(), .source = source};
    GenerationConfig config = good(text_of(settings), flags);
    if (temperature != nullptr && settings.find("top_k") == nullptr) config.top_k = 50;  // as transformers fills in
    const TokenSampler sampler(config, *json->find("max_new_tokens")->integer(), 0);
    std::vector<float> scores;
    for (const Json& score : *row.find("scores")->array()) scores.push_back(static_cast<float>(number(score)));
    sampler.process(scores, sampled);
    if (temperature != nullptr) sampler.warp(scores);
    const Json::Array& expected = *row.find("expected")->array();
    ASSERT_EQ(scores.size(), expected.size());
    for (std::size_t id = 0; id < scores.size(); ++id) {
      const std::string place = settings.dump() + " ids " + row.find("ids")->dump() + " token " + std::to_string(id);
      ASSERT_EQ(std::isinf(scores[id]), expected[id].is_null()) << place;
      if (!expected[id].is_null()) {
        const double value = number(expected[id]);
        EXPECT_NEAR(static_cast<double>(scores[id]), value, 2e-7 * std::abs(value)) << place;
      }
    }
  }
}

TEST(Sampling, GreedyTakesTheLowestOfEqualIds) {
  const TokenSampler sampler({}, 4, 0);
  std::vector<float> scores = {1, 3, -2, 3};
  EXPECT_EQ(sampler.choose(scores, {}), 1);
}

TEST(Sampling, DrawsFollowTheProbabilitiesAndTheSeed) {
  const GenerationConfig config = good("{}", {.temperature = 1.0});
  const std::vector<float> scores = {std::log(1.0F), std::log(2.0F), std::log(5.0F), std::log(0.0F)};
  std::vector<int> counts(scores.size());
  std::vector<std::int32_t> first, second, other;
  for (std::int64_t row = 0; row < 20000; ++row) {
    std::vector<float> changed = scores;
    const std::int32_t id = TokenSampler(config, 4, 1).choose(changed, {.number = row});
    ++counts[static_cast<std::size_t>(id)];
    if (row >= 100) continue;
    first.push_back(id);
    changed = scores;
    second.push_back(TokenSampler(config, 4, 1).choose(changed, {.number = row}));
    changed = scores;
    other.push_back(TokenSampler(config, 4, 2).choose(changed, {.number = row}));
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  EXPECT_EQ(counts[3], 0);
  // Five standard deviations of the counts.
  EXPECT_NEAR(counts[0], 2500, 5 * std::sqrt(20000 * 0.125 * 0.875));
  EXPECT_NEAR(counts[1], 5000, 5 * std::sqrt(20000 * 0.25 * 0.75));
}

TEST(Sampling, DrawsDifferByRowAndStep) {
  EXPECT_EQ(uniform_draw(3, 4, 5), uniform_draw(3, 4, 5));
  EXPECT_NE(uniform_draw(3, 4, 5), uniform_draw(3, 5, 4));
  EXPECT_NE(uniform_draw(3, 4, 5), uniform_draw(4, 4, 5));
  for (std::int64_t step = 0; step < 1000; ++step) {
    EXPECT_GE(uniform_draw(0, 0, step), 0);
    EXPECT_LT(uniform_draw(0, 0, step), 1);
  }
}

TEST(GenerationConfig, AFileOfItsOwnStandsAboveConfigJson) {
  const TempFolder folder;
  folder.write("config.json", R"({"min_length": 5, "eos_token_id": 3})");
  auto config = read_generation_config(folder.path().string(), 24);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->min_length, 5);
  EXPECT_EQ(config->eos_token_id, std::vector<std::int32_t>{3});
  folder.write("generation_config.json", R"({"eos_token_id": [4, 7], "top_k": null})");
  config = read_generation_config(folder.path().string(), 24);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->min_length, 0);
  EXPECT_EQ(config->eos_token_id, (std::vector<std::int32_t>{4, 7}));
}

TEST(GenerationConfig, OlderFoldersHoldSettingsInTheirDecoder) {
  const auto config = read(R"({"min_length": null, "decoder": {"min_length": 6, "bos_token_id": 9}, "bos_token_id": 1,
               "force_bos_token_to_be_generated": true})",
                           24, true);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->min_length, 6);
  EXPECT_EQ(config->forced_bos_token_id, 1);
}

TEST(GenerationConfig, WhatIsNotBuiltIsRefusedByName) {
  for (const char* text :
       {R"({"guidance_scale": 1.5})", R"({"sequence_bias": [[[1], -2.0]]})", R"({"force_words_ids": [[1]]})",
        R"({"exponential_decay_length_penalty": [3, 1.1]})", R"({"prompt_lookup_num_tokens": 3})",
        R"({"num_return_sequences": 2})", R"({"dola_layers": "high"})"}) {
    const auto config = read(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().code, ErrorCode::kModel);
    const std::string key(text + 1, std::string_view(text).find(':') - 1);
    EXPECT_NE(config.error().message.find(key), std::string::npos) << config.error().message;
  }
  EXPECT_TRUE(
      read(R"({"guidance_scale": 1.0, "num_return_sequences": 1, "sequence_bias": null, "max_time": null})").ok());
}

TEST(GenerationConfig, WhatMakesNoSenseIsRefused) {
  for (const char* text : {R"({"repetition_penalty": 0})", R"({"repetition_penalty": "high"})", R"({"min_length": -1})",
                           R"({"no_repeat_ngram_size": 1.5})", R"({"bad_words_ids": [[24]]})",
                           R"({"bad_words_ids": [[]]})", R"({"bad_words_ids": [1]})", R"({"forced_bos_token_id": 24})",
                           R"({"forced_eos_token_id": [2, -1]})", R"({"top_p": 1.5})", R"({"eos_token_id": "two"})",
                           R"({"stop_strings": [""]})", R"({"remove_invalid_values": 1})", R"([])"}) {
    const auto config = read(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().code, ErrorCode::kModel) << text;
  }
}

TEST(GenerationConfig, IdsThatNoTokenHasNeverEndAText) {
  const auto config = read(R"({"eos_token_id": [-1, 50256, 2], "bos_token_id": 50256, "suppress_tokens": [-1]})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->eos_token_id, std::vector<std::int32_t>{2});
  EXPECT_TRUE(config->suppress_tokens.empty());
}

TEST(GenerationConfig, AnotherSearchIsRefusedUnlessAFlagSaysHow) {
  for (const char* text : {R"({"num_beams": 4})", R"({"penalty_alpha": 0.6, "top_k": 4})"}) {
    const auto config = read(text);
    ASSERT_TRUE(config.ok());
    const auto refused = with_flags(*config, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kModel);
    EXPECT_NE(refused.error().message.find("--temperature 0"), std::string::npos) << refused.error().message;
    EXPECT_TRUE(with_flags(*config, {.temperature = 0.0}).ok());
  }
}

TEST(GenerationConfig, FlagsStandAboveTheFolder) {
  const GenerationConfig config = good(
      R"({"top_k": 9, "top_p": 0.5, "repetition_penalty": 1.5, "temperature": 3.0, "do_sample": true,
               "eos_token_id": 2, "stop_strings": "a"})",
      {.top_k = 0, .top_p = 1.0, .min_p = 0.25, .repetition_penalty = 1.0, .ignore_eos = true, .stop_strings = {"b"}});
  EXPECT_EQ(config.temperature, 0);
  EXPECT_EQ(config.top_k, 0);
  EXPECT_EQ(config.top_p, 1);
  EXPECT_EQ(config.min_p, 0.25);
  EXPECT_EQ(config.repetition_penalty, 1);
  EXPECT_TRUE(config.eos_token_id.empty());
  EXPECT_EQ(config.stop_strings, (std::vector<std::string>{"a", "b"}));
  for (const GenerationFlags& flags :
       {GenerationFlags{.temperature = -1.0}, GenerationFlags{.temperature = 1e-9}, GenerationFlags{.top_p = 1.5},
        GenerationFlags{.min_p = -0.5}, GenerationFlags{.repetition_penalty = 0.0}}) {
    const auto refused = with_flags({}, flags);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  }
}

}  // namespace
}  // namespace layerscope
