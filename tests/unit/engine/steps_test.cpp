// Single-token steps within the engine: what they are asked for, what runs them, what a cache holds.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "unit/engine/support.h"

namespace layerscope::testing {
namespace {

/// Shows nothing but keeps the last rows of the stack.
class LastRows : public Observer {
 public:
  Status observe(const Frame& frame) override {
    rows.clear();
    for (std::int64_t i = 0; i < frame.rows.rows; ++i)
      rows.emplace_back(frame.rows.row<float>(i), frame.rows.row<float>(i) + frame.rows.width);
    return {};
  }
  std::vector<std::vector<float>> rows;
};

/// `count` new tokens of so many sequences; an encoder's where `encoder` is more than 0.
Batch tokens(std::int64_t sequences, std::int64_t count, std::int64_t encoder = -1) {
  Batch batch;
  for (std::int64_t s = 0; s < sequences; ++s) {
    const auto add = [&](Batch::Input& input, std::int64_t length) {
      for (std::int64_t i = 0; i < length; ++i) input.ids.push_back(static_cast<std::int32_t>(3 + (s + i) % 20));
      input.offsets.push_back(static_cast<std::int64_t>(input.ids.size()));
    };
    if (encoder >= 0) add(batch.inputs[0], encoder);
    add(batch.inputs[1], count);
    batch.rows.push_back(s);
    batch.tags.push_back(static_cast<std::uint64_t>(s));
  }
  return batch;
}

struct Opened {
  explicit Opened(const char* name) : model(open_golden(name)), engine(*model->state().engine) {
    final_only = plan_of(*model, {.sites = model->info().two_stacks ? "dec.final" : "final"});
  }
  std::unique_ptr<Model> model;
  const Engine& engine;
  TapPlan final_only;
  LastRows last;
};

TEST(Steps, ACacheHoldsWhatWasComputedBeforehand) {
  for (const char* name : {"llama-llama3-v5", "lfm2-base-v4", "mistral-window-v5"}) {
    Opened run(name);
    for (const std::int64_t prompt : {1, 127, 128, 129, 300}) {
      KvCache cache;
      KvCache* caches[] = {&cache};
      ASSERT_TRUE(run.engine.run(tokens(1, prompt), run.final_only, run.last, {.caches = caches}).ok());
      EXPECT_EQ(cache.bytes(), cache_bytes(run.engine.spec(), run.engine.backend(), prompt)) << name << " " << prompt;
      ASSERT_TRUE(run.engine.run(tokens(1, 1), run.final_only, run.last, {.caches = caches, .steps = true}).ok());
      EXPECT_EQ(cache.bytes(), cache_bytes(run.engine.spec(), run.engine.backend(), prompt + 1)) << name;
    }
    EXPECT_EQ(cache_bytes(run.engine.spec(), run.engine.backend(), 0), 0U);
    EXPECT_EQ(cache_bytes(run.engine.spec(), run.engine.backend(), std::numeric_limits<std::int64_t>::max()),
              std::numeric_limits<std::uint64_t>::max());
  }
}

TEST(Steps, TheEncodersKeysAreMadeOnce) {
  Opened run("t5-base-v5");
  KvCache cache;
  KvCache* caches[] = {&cache};
  ASSERT_TRUE(run.engine.run(tokens(1, 1, 20), run.final_only, run.last, {.caches = caches}).ok());
  const std::uint64_t bytes = cache_bytes(run.engine.spec(), run.engine.backend(), 1, 20);
  EXPECT_EQ(cache.bytes(), bytes);
  EXPECT_GT(bytes, cache_bytes(run.engine.spec(), run.engine.backend(), 1));
  ASSERT_TRUE(run.engine.run(tokens(1, 1, 0), run.final_only, run.last, {.caches = caches, .steps = true}).ok());
  EXPECT_EQ(cache.bytes(), bytes);
}

TEST(Steps, TakeOneTokenOfEverySequence) {
  Opened run("llama-llama3-v5");
  KvCache first, second;
  KvCache* caches[] = {&first, &second};
  ASSERT_TRUE(run.engine.run(tokens(2, 4), run.final_only, run.last, {.caches = caches}).ok());
  const auto code = [&](const Batch& batch, std::span<KvCache* const> given) {
    const Status status = run.engine.run(batch, run.final_only, run.last, {.caches = given, .steps = true});
    return status.ok() ? ErrorCode::kRuntime : status.error().code;
  };
  EXPECT_EQ(code(tokens(2, 2), caches), ErrorCode::kUsage);
  EXPECT_EQ(code(tokens(2, 1), {}), ErrorCode::kUsage);
  Batch uneven = tokens(2, 1);
  uneven.inputs[1].offsets = {0, 2, 2};
  EXPECT_EQ(code(uneven, caches), ErrorCode::kUsage);
  EXPECT_EQ(first.tokens(), 4);
  EXPECT_TRUE(run.engine.run(tokens(2, 1), run.final_only, run.last, {.caches = caches, .steps = true}).ok());
}

/// A product of steps that depends on the number of rows.
class MixedSteps final : public Decorator {
 public:
  using Decorator::Decorator;
  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch& scratch) const override {
    const Status status = Decorator::linear_steps(weights, outputs, in, out, scratch);
    for (std::int64_t i = 0; i < out.rows; ++i)
      out.row<float>(i)[outputs.begin] *= 1.0F + 1e-6F * static_cast<float>(in.rows);
    return status;
  }
};

/// Whether a step of three sequences gives each the bits that it has by itself.
bool company_is_kept_out(const Engine& engine, const TapPlan& plan) {
  std::vector<KvCache> caches(3), single(1);
  std::vector<KvCache*> all;
  for (KvCache& cache : caches) all.push_back(&cache);
  KvCache* one[] = {&single[0]};
  LastRows together, alone;
  EXPECT_TRUE(engine.run(tokens(3, 5), plan, together, {.caches = all}).ok());
  EXPECT_TRUE(engine.run(tokens(1, 5), plan, alone, {.caches = one}).ok());
  EXPECT_TRUE(engine.run(tokens(3, 1), plan, together, {.caches = all, .steps = true}).ok());
  EXPECT_TRUE(engine.run(tokens(1, 1), plan, alone, {.caches = one, .steps = true}).ok());
  return together.rows.at(0) == alone.rows.at(0);
}

TEST(Steps, TheCompanyCheckSeesABrokenProduct) {
  const Opened run("llama-llama3-v5");
  const auto cpu = [] { return make_cpu_backend({}).value(); };
  EXPECT_TRUE(company_is_kept_out(*engine_on(*run.model, std::make_unique<Decorator>(cpu())), run.final_only));
  EXPECT_FALSE(company_is_kept_out(*engine_on(*run.model, std::make_unique<MixedSteps>(cpu())), run.final_only));
}

}  // namespace
}  // namespace layerscope::testing
