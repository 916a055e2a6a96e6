// Edits of the stream: what they change, and that nothing else changes by a bit.
#include "layerscope/edits.h"

#include <gtest/gtest.h>

#include "unit/engine/support.h"

namespace layerscope::testing {
namespace {

const char* const kModels[] = {"bert-odd-v5",      "gpt2-odd-v4",         "llama-llama3-v5", "gpt_neox-parallel-v5",
                               "mixtral-base-v4",  "deepseek_v3-base-v4", "lfm2-base-v4",    "deberta-v2-conv-v5",
                               "opt-projected-v5", "t5-base-v5",          "bart-base-v4"};

struct Golden {
  explicit Golden(const std::string& name)
      : model(open_golden(name)), reference(golden_folder() + "/" + name + "/reference.safetensors") {
    model->enter_worker();
  }
  std::unique_ptr<Model> model;
  Reference reference;

  [[nodiscard]] EditPlan compile(const std::vector<Edit>& edits) const {
    auto plan = EditPlan::compile(model->sites(), edits);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    return plan.ok() ? std::move(plan).value() : EditPlan();
  }
  [[nodiscard]] Collected run(const TapPlan& plan, const std::vector<int>& rows, const std::vector<Edit>& edits) const {
    Collected values(plan);
    const EditPlan compiled = compile(edits);
    const Status status = model->run(batch_of(*model, reference, rows), plan, values, &compiled);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
  }
  [[nodiscard]] std::string error(const std::vector<Edit>& edits) const {
    const auto plan = EditPlan::compile(model->sites(), edits);
    EXPECT_FALSE(plan.ok());
    if (plan.ok()) return "";
    EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
    return plan.error().message;
  }
};

std::vector<float> ramp(std::int64_t width) {
  std::vector<float> values;
  for (std::int64_t j = 0; j < width; ++j) values.push_back(0.25F + 0.125F * static_cast<float>(j % 5));
  return values;
}

std::vector<Site> editable_sites(const Model& model) {
  std::vector<Site> sites;
  for (const Site& site : model.sites().sites) {
    if (editable(site.kind)) sites.push_back(site);
  }
  return sites;
}

constexpr int kRow = 2, kOther = 3;

// The number of stored site `name`, in the order of computation.
std::size_t order_of(const TapPlan& plan, const std::string& name) {
  const auto& stored = plan.stored();
  return static_cast<std::size_t>(
      std::find_if(stored.begin(), stored.end(), [&](const StoredSite& site) { return site.name == name; }) -
      stored.begin());
}

TEST(Edits, SettingWhatIsThereChangesNoBit) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    const TapPlan plan = plan_of(*golden.model, {.sites = "**"});
    const Collected before = golden.run(plan, {kRow, kOther}, {});
    for (const Site& site : editable_sites(*golden.model)) {
      const std::vector<float>& there = before.at(kRow, site.name);
      const auto vectors = static_cast<std::int64_t>(there.size()) / site.width;
      const Collected after =
          golden.run(plan, {kRow, kOther},
                     {{.site = site.name, .op = EditOp::kSet, .row = kRow, .values = there, .vectors = vectors}});
      EXPECT_TRUE(before.all() == after.all()) << site.name;
    }
  }
}

TEST(Edits, ASiteShowsTheEditAndNothingEarlierOrElsewhereChanges) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    const TapPlan plan = plan_of(*golden.model, {.sites = "**"});
    const Collected before = golden.run(plan, {kRow, kOther}, {});
    for (const Site& site : editable_sites(*golden.model)) {
      SCOPED_TRACE(site.name);
      const std::vector<float> vector = ramp(site.width);
      const Collected after =
          golden.run(plan, {kRow, kOther}, {{.site = site.name, .positions = "1", .row = kRow, .values = vector}});
      const std::size_t at = order_of(plan, site.name);
      bool any = false;
      for (std::size_t i = 0; i < plan.stored().size(); ++i) {
        const std::string& shown = plan.stored()[i].name;
        ASSERT_EQ(after.at(kOther, shown), before.at(kOther, shown)) << shown;
        if (i < at) {
          ASSERT_EQ(after.at(kRow, shown), before.at(kRow, shown)) << shown;
        } else {
          any = any || after.at(kRow, shown) != before.at(kRow, shown);
        }
      }
      EXPECT_TRUE(any);
      std::vector<float> expected = before.at(kRow, site.name);
      for (std::int64_t j = 0; j < site.width; ++j)
        expected[static_cast<std::size_t>(site.width + j)] += vector[static_cast<std::size_t>(j)];
      EXPECT_EQ(after.at(kRow, site.name), expected);
    }
  }
}

TEST(Edits, WhatLiesBehindChanges) {
  // Every edit of the stream reaches the end, edits of a mixer's inside reach what the step adds.
  const Golden golden("bert-odd-v5");
  const TapPlan plan = plan_of(*golden.model, {.sites = "**"});
  const Collected before = golden.run(plan, {kRow}, {});
  for (const char* point : {"attn.in", "attn.q", "attn.k", "attn.v", "attn.z", "attn.out", "attn.presum", "attn.sum",
                            "mlp.in", "mlp.act", "mlp.out", "mlp.presum", "mlp.sum", "out"}) {
    const std::string site = std::string("block.0.") + point;
    const auto width = golden.model->sites().find(site)->width;
    const Collected after = golden.run(plan, {kRow}, {{.site = site, .positions = "0", .values = ramp(width)}});
    EXPECT_NE(after.at(kRow, "block.1.attn.in"), before.at(kRow, "block.1.attn.in")) << site;
    EXPECT_NE(after.at(kRow, "final"), before.at(kRow, "final")) << site;
  }
}

TEST(Edits, CausalTokensBeforeAnEditKeepTheirBits) {
  for (const char* name : {"gpt2-odd-v4", "llama-llama3-v5", "mixtral-base-v4", "lfm2-base-v4"}) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    const TapPlan plan = plan_of(*golden.model, {.sites = "block.*.out,block.*.*.out,final"});
    const Collected before = golden.run(plan, {kRow}, {});
    const auto width = golden.model->sites().find("embed")->width;
    const Collected after = golden.run(plan, {kRow}, {{.site = "embed", .positions = "last", .values = ramp(width)}});
    for (const StoredSite& site : plan.stored()) {
      const std::vector<float>&a = before.at(kRow, site.name), &b = after.at(kRow, site.name);
      const auto last = static_cast<std::ptrdiff_t>(a.size()) - site.width;
      EXPECT_TRUE(std::equal(a.begin(), a.begin() + last, b.begin())) << site.name;
      EXPECT_NE(a, b) << site.name;
    }
  }
}

TEST(Edits, PatchingAWholeLayerGivesTheOtherRowsLaterStates) {
  for (const char* name :
       {"bert-odd-v5", "gpt2-odd-v4", "llama-llama3-v5", "gpt_neox-parallel-v5", "mixtral-base-v4"}) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    const TapPlan plan = plan_of(*golden.model, {});
    const std::vector<TextRow> rows = {{.ids = {{5, 6, 7, 8, 9}}}, {.ids = {{11, 4, 9, 3, 12}}}};
    Batch both;
    for (int i = 0; i < 2; ++i) {
      const auto ready = golden.model->tokenize(rows[static_cast<std::size_t>(i)]);
      ASSERT_TRUE(ready.ok()) << ready.error().message;
      golden.model->append(both, *ready, i, static_cast<std::uint64_t>(i));
    }
    Collected clean(plan), patched(plan);
    ASSERT_TRUE(golden.model->run(both, plan, clean).ok());
    const EditPlan edits = golden.compile(
        {{.site = "block.0.out", .op = EditOp::kSet, .row = 0, .values = clean.at(1, "block.0.out"), .vectors = 5}});
    ASSERT_TRUE(golden.model->run(both, plan, patched, &edits).ok());
    for (const StoredSite& site : plan.stored()) {
      const int from = site.name == "embed" ? 0 : 1;
      EXPECT_EQ(patched.at(0, site.name), clean.at(static_cast<std::uint64_t>(from), site.name)) << site.name;
      EXPECT_EQ(patched.at(1, site.name), clean.at(1, site.name)) << site.name;
    }
  }
}

TEST(Edits, HappenInTheOrderGiven) {
  const Golden golden("gpt2-odd-v4");
  const TapPlan plan = plan_of(*golden.model, {});
  const Collected before = golden.run(plan, {kRow}, {});
  const Edit twice{.site = "block.0.out", .op = EditOp::kScale, .values = {2}};
  const Edit half{.site = "block.0.out", .op = EditOp::kScale, .values = {0.5F}};
  const Edit one{.site = "block.0.out", .op = EditOp::kAdd, .positions = "0", .values = {1}};
  EXPECT_TRUE(golden.run(plan, {kRow}, {twice, half}).all() == before.all());
  std::vector<float> sum_first = before.at(kRow, "block.0.out"), scale_first = sum_first;
  const auto width = static_cast<std::size_t>(golden.model->sites().find("embed")->width);
  for (std::size_t i = 0; i < sum_first.size(); ++i) {
    sum_first[i] = 2 * (sum_first[i] + (i < width ? 1.0F : 0.0F));
    scale_first[i] = 2 * scale_first[i] + (i < width ? 1.0F : 0.0F);
  }
  EXPECT_EQ(golden.run(plan, {kRow}, {one, twice}).at(kRow, "block.0.out"), sum_first);
  EXPECT_EQ(golden.run(plan, {kRow}, {twice, one}).at(kRow, "block.0.out"), scale_first);
}

TEST(Edits, PositionsThatARowDoesNotHaveAreLeftOut) {
  const Golden golden("gpt2-odd-v4");
  const TapPlan plan = plan_of(*golden.model, {});
  const Collected before = golden.run(plan, {kRow}, {});
  const Edit beyond{.site = "embed", .positions = "1000,-1000", .values = {1}};
  EXPECT_TRUE(golden.run(plan, {kRow}, {beyond}).all() == before.all());
  const Edit other_row{.site = "embed", .row = kOther, .values = {1}};
  EXPECT_TRUE(golden.run(plan, {kRow}, {other_row}).all() == before.all());
  // A position named twice is edited once, by the first vector that names it.
  const auto width = golden.model->sites().find("embed")->width;
  const auto length = static_cast<std::int64_t>(before.at(kRow, "embed").size()) / width;
  std::vector<float> two(static_cast<std::size_t>(2 * width), 1.0F);
  std::fill(two.begin() + width, two.end(), 5.0F);
  const Edit named_twice{.site = "embed", .positions = "-1," + std::to_string(length - 1), .values = two, .vectors = 2};
  const Edit once{.site = "embed", .positions = "last", .values = {1}};
  EXPECT_TRUE(golden.run(plan, {kRow}, {named_twice}).all() == golden.run(plan, {kRow}, {once}).all());
}

TEST(Edits, InBfloat16ASiteTakesTheRoundedValues) {
  const auto model = open_golden("llama-llama3-v5", {.dtype = "bf16"});
  ASSERT_NE(model, nullptr);
  const Reference reference(golden_folder() + "/llama-llama3-v5/reference.safetensors");
  const TapPlan plan = plan_of(*model, {.sites = "**"});
  const Batch batch = batch_of(*model, reference, {kRow});
  Collected before(plan);
  ASSERT_TRUE(model->run(batch, plan, before).ok());
  for (const Site& site : editable_sites(*model)) {
    const std::vector<float>& there = before.at(kRow, site.name);
    const auto same =
        EditPlan::compile(model->sites(), {{.site = site.name,
                                            .op = EditOp::kSet,
                                            .values = there,
                                            .vectors = static_cast<std::int64_t>(there.size()) / site.width}});
    ASSERT_TRUE(same.ok()) << same.error().message;
    Collected after(plan);
    ASSERT_TRUE(model->run(batch, plan, after, &*same).ok());
    EXPECT_TRUE(before.all() == after.all()) << site.name;
  }
}

TEST(Edits, StepByStepPositionsAreThoseOfTheWholeRow) {
  const Golden golden("llama-llama3-v5");
  const TapPlan plan = plan_of(*golden.model, {.sites = "**.out,**.k,final"});
  const auto width = golden.model->sites().find("embed")->width;
  const std::vector<std::int32_t> ids = {5, 6, 7, 8, 9, 10, 11};
  const std::int64_t prompt = 4;
  const EditPlan edits = golden.compile({{.site = "block.0.out", .positions = "1,5,-1", .values = ramp(width)},
                                         {.site = "block.*.attn.k", .op = EditOp::kScale, .values = {2}}});
  const auto run = [&](std::int64_t first, std::int64_t count, const RunOptions& options) {
    Batch batch{.rows = {0}, .tags = {0}};
    batch.inputs[1].ids.assign(ids.begin() + first, ids.begin() + first + count);
    batch.inputs[1].offsets.push_back(count);
    Collected values(plan);
    Reducer reducer(batch, plan, values);
    const Status status = golden.model->state().engine->run(batch, plan, reducer, options);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
  };
  const std::vector<std::int64_t> lengths = {prompt};
  const auto total = static_cast<std::int64_t>(ids.size());
  const Collected whole = run(0, total, {.edits = &edits, .edited_lengths = lengths});
  const Collected plain = run(0, total, {});
  EXPECT_NE(whole.at(0, "final"), plain.at(0, "final"));
  KvCache cache;
  KvCache* const caches[] = {&cache};
  for (std::int64_t first = 0; first < total;) {
    const std::int64_t count = first == 0 ? prompt - 1 : 1;  // the prompt in two calls
    const Collected step = run(first, count, {.caches = caches, .edits = &edits, .edited_lengths = lengths});
    for (const StoredSite& site : plan.stored()) {
      const std::vector<float>& all = whole.at(0, site.name);
      const std::vector<float> expected(all.begin() + first * site.width, all.begin() + (first + count) * site.width);
      EXPECT_LE(relative_l2(step.at(0, site.name), expected), 1e-6) << site.name << " at token " << first;
    }
    first += count;
  }
}

TEST(Edits, WhatDoesNotFitIsRefusedByName) {
  const Golden golden("gpt2-odd-v4");
  const auto width = golden.model->sites().find("embed")->width;
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(golden.error({{.site = "block.9.out", .values = {1}}}), "\"block.9.out\": no such site");
  has(golden.error({{.site = "block.0.attn.probs", .values = {1}}}),
      "cannot be edited; those that can: embed, block.{i}");
  has(golden.error({{.site = "block.0.**", .values = {1}}}), "\"block.0.attn.probs\" cannot be edited");
  has(golden.error({{.site = "embed", .values = ramp(width - 1)}}),
      "is " + std::to_string(width) + " wide, the vectors have " + std::to_string(width - 1));
  has(golden.error({{.site = "embed", .values = {std::nanf("")}}}), "NaN or infinity, first at element 0");
  has(golden.error({{.site = "embed", .values = {1, HUGE_VALF}}}), "NaN or infinity, first at element 1");
  has(golden.error({{.site = "embed", .values = {}}}), "no vector");
  has(golden.error({{.site = "embed", .positions = "sample:2", .values = {1}}}), "expected all, first, last or a list");
  has(golden.error({{.site = "embed",
                     .positions = "0,1,2",
                     .values = std::vector<float>(static_cast<std::size_t>(2 * width)),
                     .vectors = 2}}),
      "2 vectors for 3 positions");

  const EditPlan plan = golden.compile(
      {{.site = "embed", .values = std::vector<float>(static_cast<std::size_t>(2 * width)), .vectors = 2}});
  const TapPlan all = plan_of(*golden.model, {});
  Collected values(all);
  const Status status = golden.model->run(batch_of(*golden.model, golden.reference, {kRow}), all, values, &plan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInput);
  has(status.error().message, "row 2 has ");
  has(status.error().message, "the edit of \"embed\" has 2 vectors");
}

TEST(Edits, AnEditThatOverflowsIsNamed) {
  const Golden golden("gpt2-odd-v4");
  const TapPlan all = plan_of(*golden.model, {});
  for (const char* site : {"embed", "block.0.attn.in", "block.0.mlp.out", "block.0.out", "final"}) {
    const EditPlan plan = golden.compile({{.site = site, .op = EditOp::kSet, .positions = "1", .values = {3e38F}},
                                          {.site = site, .op = EditOp::kScale, .values = {3e38F}}});
    Collected values(all);
    const Status status = golden.model->run(batch_of(*golden.model, golden.reference, {kRow}), all, values, &plan);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kRuntime);
    EXPECT_NE(status.error().message.find(std::string("site \"") + site + "\" holds NaN or infinity"),
              std::string::npos)
        << status.error().message;
  }
}

}  // namespace
}  // namespace layerscope::testing
