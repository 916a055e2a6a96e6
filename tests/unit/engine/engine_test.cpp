// The forward pass: against plain loops, where it stops, what it refuses to hand on, and that company is noticed.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <new>

#include "unit/engine/support.h"

namespace layerscope::testing {
namespace {

const char* const kModels[] = {"bert-odd-v5",       "gpt2-odd-v4",          "llama-llama3-v5",  "llama-yarn-v4",
                               "mistral-window-v5", "qwen3-layer-types-v5", "t5-gated-gelu-v4", "t5-base-v5"};

Collected run(const Engine& engine, const Batch& batch, const TapPlan& plan) {
  Collected values(plan);
  Reducer reducer(batch, plan, values);
  const Status status = engine.run(batch, plan, reducer);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return values;
}

// States that differ between a row alone and the same row among others.
int company_differences(const Model& model, const Reference& reference, const Engine& engine) {
  const TapPlan plan = plan_of(model, {.sites = "**.out,**.sum,**.probs"});
  const std::vector<int> rows = {0, 1, 2, 3};
  const Collected together = run(engine, batch_of(model, reference, rows), plan);
  int count = 0;
  for (const int row : rows) {
    const Collected alone = run(engine, batch_of(model, reference, {row}), plan);
    EXPECT_FALSE(alone.all().empty());
    for (const auto& [key, value] : alone.all()) count += value != together.at(key.first, key.second);
  }
  return count;
}

TEST(Engine, CpuAgreesWithPlainLoopsInDouble) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    const auto model = open_golden(name);
    ASSERT_NE(model, nullptr);
    const Reference reference(golden_folder() + "/" + name + "/reference.safetensors");
    const TapPlan plan = plan_of(*model, {.sites = "**"});
    const Batch batch = batch_of(*model, reference, {0, 1, 2, 3});
    const Collected exact = run(*engine_on(*model, make_reference_backend(DType::kF64)), batch, plan);
    const Collected plain = run(*engine_on(*model, make_reference_backend(DType::kF32)), batch, plan);
    const Collected fast = run(*model->state().engine, batch, plan);
    ASSERT_EQ(exact.all().size(), 4 * plan.stored().size());
    for (const auto& [key, value] : exact.all()) {
      EXPECT_LE(relative_l2(fast.at(key.first, key.second), value), 2e-6) << key.second << " of row " << key.first;
      EXPECT_LE(relative_l2(plain.at(key.first, key.second), value), 2e-6) << key.second << " in plain float32";
    }
  }
}

class MixedProduct final : public Decorator {
 public:
  using Decorator::Decorator;
  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                Scratch& scratch) const override {
    const Status status = Decorator::linear(weights, in, out, scratch);
    for (std::int64_t i = 0; i < out.rows; ++i) out.row<float>(i)[0] *= 1.0F + 1e-6F * static_cast<float>(in.rows);
    return status;
  }
};
class DriftingNorm final : public Decorator {
 public:
  using Decorator::Decorator;
  void norm(const NormView& view, const RowsView& in, const MutableRows& out) const noexcept override {
    NormView other = view;
    other.epsilon += 1e-6F * static_cast<float>(in.rows);
    Decorator::norm(other, in, out);
  }
};
class RestlessSoftmax final : public Decorator {
 public:
  using Decorator::Decorator;
  // The scores of every second call are scaled by one more bit, as another order of sums would.
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch& scratch) const override {
    AttentionArguments other = arguments;
    if (calls_++ % 2 == 1) other.scale = std::nextafter(other.scale, 2 * other.scale);
    Decorator::attention(other, z, scratch);
  }

 private:
  mutable int calls_ = 0;
};

TEST(Engine, TheCompanyCheckSeesBrokenMechanisms) {
  const char* const name = "bert-odd-v5";
  const auto model = open_golden(name);
  ASSERT_NE(model, nullptr);
  const Reference reference(golden_folder() + "/" + name + "/reference.safetensors");
  const auto cpu = [] { return make_cpu_backend({}).value(); };
  EXPECT_EQ(company_differences(*model, reference, *engine_on(*model, std::make_unique<Decorator>(cpu()))), 0);
  EXPECT_GT(company_differences(*model, reference, *engine_on(*model, std::make_unique<MixedProduct>(cpu()))), 0);
  EXPECT_GT(company_differences(*model, reference, *engine_on(*model, std::make_unique<DriftingNorm>(cpu()))), 0);
  EXPECT_GT(company_differences(*model, reference, *engine_on(*model, std::make_unique<RestlessSoftmax>(cpu()))), 0);
}

// A golden model in which one weight of a block is NaN.
struct Poisoned {
  std::unique_ptr<Model> model = open_golden("bert-odd-v5");
  Reference reference{golden_folder() + "/bert-odd-v5/reference.safetensors"};
  std::vector<std::byte> bytes;
  std::unique_ptr<Engine> engine;

  explicit Poisoned(const std::string& slot) {
    Bindings bindings = model->state().bindings;
    for (Binding& binding : bindings.bound) {
      if (binding.slot.name != slot) continue;
      MatrixView& view = binding.views.front();
      EXPECT_EQ(view.dtype, DType::kF32);
      bytes.assign(binding.tensor->view.data, binding.tensor->view.data + binding.tensor->view.bytes());
      const float nan = std::nanf("");
      const std::ptrdiff_t at = view.data - binding.tensor->view.data;
      std::memcpy(bytes.data() + at, &nan, sizeof nan);
      view.data = bytes.data() + at;
    }
    EXPECT_FALSE(bytes.empty()) << slot;
    auto backend = make_cpu_backend({}).value();
    auto weights = load_weights(model->state().spec, bindings, *backend);
    engine = std::make_unique<Engine>(model->state().spec, std::move(weights).value(), std::move(backend));
  }
};

TEST(Engine, NaNEndsTheRunAtTheSiteThatHoldsItFirst) {
  const Poisoned poisoned("block.1.mlp.down.weight");
  const Batch batch = batch_of(*poisoned.model, poisoned.reference, {3, 1});
  const TapPlan plan = plan_of(*poisoned.model, {});
  Collected values(plan);
  Reducer reducer(batch, plan, values);
  const Status status = poisoned.engine->run(batch, plan, reducer);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kRuntime);
  EXPECT_EQ(status.error().message, "site \"block.1.mlp.sum\" holds NaN or infinity, first at token 0 of row 3");
  for (const auto& [key, value] : values.all()) {
    EXPECT_TRUE(key.second == "embed" || key.second == "block.0.out") << key.second;
    for (const float element : value) EXPECT_TRUE(std::isfinite(element));
  }
}

TEST(Engine, NoSinkSeesNaNEvenInsideAStep) {
  const Poisoned poisoned("block.1.attn.q.weight");
  const Batch batch = batch_of(*poisoned.model, poisoned.reference, {2});
  const TapPlan plan = plan_of(*poisoned.model, {.sites = "**"});
  Collected values(plan);
  Reducer reducer(batch, plan, values);
  const Status status = poisoned.engine->run(batch, plan, reducer);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "site \"block.1.attn.q\" holds NaN or infinity, first at token 0 of row 2");
  for (const auto& [key, value] : values.all()) {
    for (const float element : value) EXPECT_TRUE(std::isfinite(element)) << key.second;
  }
}

TEST(Engine, WhatLiesBehindTheDeepestSiteDoesNotRun) {
  const Poisoned poisoned("block.1.mlp.down.weight");
  const Batch batch = batch_of(*poisoned.model, poisoned.reference, {0, 1, 2, 3});
  for (const char* sites : {"embed", "block.0.out", "block.1.attn.sum", "block.1.attn.probs"}) {
    const TapPlan plan = plan_of(*poisoned.model, {.sites = sites});
    const Collected found = run(*poisoned.engine, batch, plan);
    const Collected sound = run(*poisoned.model->state().engine, batch, plan);
    EXPECT_EQ(found.all(), sound.all()) << sites;
    EXPECT_EQ(found.all().size(), 4U);
  }
  for (const char* sites : {"block.1.mlp.out", "block.1.out", "final"}) {
    const TapPlan plan = plan_of(*poisoned.model, {.sites = sites});
    Collected values(plan);
    Reducer reducer(batch, plan, values);
    EXPECT_FALSE(poisoned.engine->run(batch, plan, reducer).ok()) << sites;
  }
}

TEST(Engine, OneSiteShowsItsOwnFramesOnly) {
  const auto model = open_golden("bert-odd-v5");
  const Reference reference(golden_folder() + "/bert-odd-v5/reference.safetensors");
  const Batch batch = batch_of(*model, reference, {0, 1, 2, 3});
  class Count : public Observer {
   public:
    Status observe(const Frame& frame) override {
      EXPECT_EQ(frame.observed, 0);
      rows += frame.rows.rows;
      return {};
    }
    std::int64_t rows = 0;
  };
  for (const Site& site : model->sites().sites) {
    if (site.kind == SiteKind::kProbs) continue;
    const TapPlan plan = plan_of(*model, {.sites = site.name});
    Count count;
    ASSERT_TRUE(model->state().engine->run(batch, plan, count).ok());
    EXPECT_EQ(count.rows, batch.tokens(site.stack)) << site.name;
  }
}

TEST(Engine, TheObserversErrorEndsTheRun) {
  const auto model = open_golden("bert-odd-v5");
  const Reference reference(golden_folder() + "/bert-odd-v5/reference.safetensors");
  const Batch batch = batch_of(*model, reference, {0});
  class Full : public Observer {
   public:
    Status observe(const Frame&) override { return Error{ErrorCode::kResource, "full"}; }
  } full;
  const Status status = model->state().engine->run(batch, plan_of(*model, {}), full);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "full");
}

}  // namespace
}  // namespace layerscope::testing
