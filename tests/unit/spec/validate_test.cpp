// Numbers of a config that cannot be a model are refused before anything is sized by them.
#include "spec/validate.h"

#include <gtest/gtest.h>

namespace layerscope::testing {
namespace {

ModelSpec spec_with(const Mixer& mixer) {
  Stack stack{.embedding = {.vocabulary_size = 9}};
  stack.blocks = repeat(2, Block{.steps = {Step{.slot = "mixer", .mixer = mixer}}});
  return {.width = 8, .encoder = stack};
}

Attention attention() { return {.heads = 4, .kv_heads = 2, .d_qk = 2, .d_v = 2}; }
Experts experts() { return {.router = {.experts = 8, .chosen = 2, .groups = 4, .chosen_groups = 2}, .hidden = 4}; }

void expect_refused(const ModelSpec& spec, const std::string& part) {
  const Status status = validate(spec, "config.json");
  ASSERT_FALSE(status.ok()) << part;
  EXPECT_EQ(status.error().code, ErrorCode::kModel);
  EXPECT_EQ(status.error().message.rfind("config.json: cannot be right: ", 0), 0U) << status.error().message;
  EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
}

TEST(Validate, ModelsAsTheyAreAreTaken) {
  EXPECT_TRUE(validate(spec_with(attention()), "config.json").ok());
  EXPECT_TRUE(validate(spec_with(experts()), "config.json").ok());
  EXPECT_TRUE(validate(spec_with(Mlp{.hidden = 3}), "config.json").ok());
  EXPECT_TRUE(validate(spec_with(TokenConv{.taps = 3, .groups = 2}), "config.json").ok());
}

TEST(Validate, WhatDoesNotFitTogetherIsRefused) {
  Attention odd = attention();
  odd.kv_heads = 3;
  expect_refused(spec_with(odd), "4 heads over 3 key heads");
  Attention turning = attention();
  turning.rope = Rope{.pairs = 2};
  expect_refused(spec_with(turning), "more elements turn");
  Attention sloped = attention();
  sloped.score = Alibi{.slopes = {0.5F}};
  expect_refused(spec_with(sloped), "slopes");
  Attention wide = attention();
  wide.heads = wide.kv_heads = wide.d_qk = std::int64_t{1} << 28;
  expect_refused(spec_with(wide), "a query matrix");
  Experts many = experts();
  many.router.experts = std::int64_t{1} << 28;
  expect_refused(spec_with(many), "experts a block");
  Experts greedy = experts();
  greedy.router.chosen = 5;
  expect_refused(spec_with(greedy), "more experts chosen");
  Experts grouped = experts();
  grouped.router.groups = 3;
  expect_refused(spec_with(grouped), "groups");
  expect_refused(spec_with(TokenConv{.taps = 2}), "even taps");
  ModelSpec computed = spec_with(attention());
  computed.encoder->embedding.positions =
      PositionTable{.rows = std::int64_t{1} << 28, .computed = Sinusoid::kEndpointRates};
  expect_refused(computed, "computed position table");
  ModelSpec later = spec_with(attention());
  later.encoder->blocks[0].same_as = 1;
  expect_refused(later, "later one");
}

TEST(Validate, SlopesAreMadeForModelsThatThereAreOnly) {
  EXPECT_EQ(alibi_slopes(8),
            (std::vector<float>{0.5F, 0.25F, 0.125F, 0.0625F, 0.03125F, 0.015625F, 0.0078125F, 0.00390625F}));
  EXPECT_EQ(alibi_slopes(6).size(), 6U);
  EXPECT_FLOAT_EQ(alibi_slopes(6)[4], 0.5F) << "the fifth of six is the first of the next power of two";
  EXPECT_TRUE(alibi_slopes(std::int64_t{1} << 28).empty());
}

}  // namespace
}  // namespace layerscope::testing
