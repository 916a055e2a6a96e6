// Whole comparisons on tiny models: honest pairs are the same, planted faults are found where they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "diff/compare.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "unit/diff/dumps.h"

namespace layerscope {
namespace {

using test::DumpTensors;
using ::testing::HasSubstr;

constexpr std::int64_t kRows = 3, kLength = 6;

std::shared_ptr<const Model> open(const std::string& name, const OpenOptions& options = {}) {
  auto model = Model::open(testing::golden_folder() + "/" + name, options);
  EXPECT_TRUE(model) << model.error().message;
  return std::shared_ptr<const Model>(std::move(model).value());
}

std::unique_ptr<Side> side_of(std::shared_ptr<const Model> model, const std::vector<Edit>& edits = {}) {
  auto side = make_model_side(std::move(model), edits, 2);
  EXPECT_TRUE(side) << side.error().message;
  return std::move(side).value();
}

std::vector<DiffInput> texts(std::int64_t vocabulary) {
  std::vector<DiffInput> rows;
  for (std::int64_t i = 0; i < kRows; ++i) {
    TextRow row;
    row.ids.emplace();
    for (std::int64_t t = 0; t < kLength - i; ++t)
      row.ids->push_back(static_cast<std::int32_t>((5 + 7 * i + 3 * t) % vocabulary));
    rows.push_back({i, std::move(row)});
  }
  return rows;
}

/// What `model` says of the rows, as a dump padded at the right.
DumpTensors dump_of(const Model& model, const std::vector<Edit>& edits = {}) {
  std::vector<TextRow> rows;
  for (const DiffInput& text : texts(model.info().vocabulary_size)) rows.push_back(text.row);
  const auto states = model.states(rows, {.edits = edits});
  EXPECT_TRUE(states) << states.error().message;
  DumpTensors dump;
  std::vector<std::int64_t> ids(kRows * kLength, 0), mask(kRows * kLength, 0);
  for (std::size_t s = 0; s < states->front().sites.size(); ++s) {
    const std::int64_t width = states->front().sites[s].width;
    std::vector<float> values(static_cast<std::size_t>(kRows * kLength * width), 99);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const StateBlock& block = (*states)[row].sites[s];
      std::ranges::copy(block.values, values.begin() + static_cast<std::ptrdiff_t>(row) * kLength * width);
      for (std::size_t t = 0; t < rows[row].ids->size(); ++t) {
        ids[row * kLength + t] = (*rows[row].ids)[t];
        mask[row * kLength + t] = 1;
      }
    }
    dump["hidden_states." + std::to_string(s)] = test::floats({kRows, kLength, width}, values);
  }
  dump["input_ids"] = test::integers({kRows, kLength}, ids);
  dump["attention_mask"] = test::integers({kRows, kLength}, mask);
  return dump;
}

DiffReport compared(const Side& a, const Side& b, const DiffOptions& options = {}) {
  auto report = compare(a, b, options);
  EXPECT_TRUE(report) << report.error().message;
  return report ? std::move(report).value() : DiffReport();
}

class Compare : public ::testing::Test {
 protected:
  std::unique_ptr<Side> dump(const DumpTensors& tensors, const Model* like) {
    auto side = open_dump_side(folder_.write("dump.safetensors", test::dump_bytes(tensors)),
                               like == nullptr ? nullptr : &like->sites());
    EXPECT_TRUE(side) << side.error().message;
    return std::move(side).value();
  }
  test::TempFolder folder_;
};

TEST_F(Compare, HonestPairsAreTheSame) {
  for (const std::string name : {"bert-base-v5", "llama-lm-v5", "gpt2-base-v4", "mixtral-base-v4"}) {
    const auto model = open(name);
    DiffOptions options{.texts = texts(model->info().vocabulary_size)};
    for (const OpenOptions& other :
         {OpenOptions{.isa = "sse4"}, OpenOptions{.dtype = "bf16"}, OpenOptions{.dtype = "f64"}}) {
      const DiffReport report = compared(*side_of(model), *side_of(open(name, other)), options);
      EXPECT_EQ(report.verdict, Verdict::kSame) << name << ": " << report.sentence;
      EXPECT_FALSE(report.first);
      for (const DiffSite& site : report.sites) EXPECT_TRUE(site.local) << site.site;
    }
    const auto itself = dump(dump_of(*model), model.get());
    const DiffReport report = compared(*side_of(model), *itself);
    EXPECT_EQ(report.verdict, Verdict::kSame) << name << ": " << report.sentence;
    EXPECT_THAT(report.sentence, HasSubstr("bit for bit"));
    EXPECT_EQ(report.tokens, 6 + 5 + 4);
  }
}

TEST_F(Compare, TwoFaultsAreToldApartFromWhatTheyCause) {
  const auto model = open("bert-base-v5");
  ASSERT_EQ(model->sites().layers[0], 2);
  const std::vector<Edit> faults = {{.site = "block.0.mlp.out", .op = EditOp::kScale, .values = {1.001F}},
                                    {.site = "block.1.attn.out", .op = EditOp::kScale, .values = {0.999F}}};
  const auto other = dump(dump_of(*model, faults), model.get());
  for (const bool swapped : {false, true}) {
    const auto live = side_of(model);
    const DiffReport report = swapped ? compared(*other, *live) : compared(*live, *other);
    EXPECT_EQ(report.verdict, Verdict::kDiffers);
    ASSERT_TRUE(report.first);
    EXPECT_EQ(report.first->site, "block.0.out");
    EXPECT_EQ(report.first->hf_index, 1);
    EXPECT_TRUE(report.first->local);
    for (const DiffSite& site : report.sites) {
      EXPECT_EQ(site.local_differs, site.hf_index != 0) << site.site << ": " << site.local_times;
      EXPECT_EQ(site.differs, site.hf_index != 0) << site.site;
    }
  }
}

TEST_F(Compare, WhatABlockInheritsIsNotItsOwn) {
  const auto model = open("bert-base-v5");
  const std::vector<Edit> fault = {{.site = "block.0.mlp.out", .op = EditOp::kScale, .values = {1.001F}}};
  const DiffReport report = compared(*side_of(model), *dump(dump_of(*model, fault), model.get()));
  ASSERT_EQ(report.sites.size(), 3U);
  EXPECT_TRUE(report.sites[1].local_differs);
  EXPECT_TRUE(report.sites[2].differs);
  EXPECT_FALSE(report.sites[2].local_differs);
  EXPECT_LT(report.sites[2].local_times, 1);
}

TEST_F(Compare, AFaultInOneTokenIsADifference) {
  const auto model = open("llama-lm-v5");
  const std::vector<Edit> fault = {
      {.site = "block.0.out", .op = EditOp::kScale, .positions = "2", .row = 1, .values = {1.0001F}}};
  const DiffReport report = compared(*side_of(model), *dump(dump_of(*model, fault), model.get()));
  EXPECT_EQ(report.verdict, Verdict::kDiffers);
  ASSERT_TRUE(report.first);
  EXPECT_EQ(report.first->hf_index, 1);
  EXPECT_EQ(report.first->row, 1);
  EXPECT_EQ(report.first->token, 2);
}

TEST_F(Compare, RoundingBelowTheFloorIsNone) {
  const auto model = open("bert-base-v5");
  const std::vector<Edit> fault = {{.site = "block.0.out", .op = EditOp::kScale, .values = {1 + 0x1p-23F}}};
  EXPECT_EQ(compared(*side_of(model), *dump(dump_of(*model, fault), model.get())).verdict, Verdict::kSame);
}

TEST_F(Compare, AToleranceReplacesTheFloor) {
  const auto model = open("bert-base-v5");
  const std::vector<Edit> fault = {{.site = "block.0.out", .op = EditOp::kScale, .values = {1.001F}}};
  const auto live = side_of(model);
  const auto other = dump(dump_of(*model, fault), model.get());
  EXPECT_EQ(compared(*live, *other, {.tolerance = 0.01}).verdict, Verdict::kSame);
  const DiffReport report = compared(*live, *other, {.tolerance = 1e-4});
  EXPECT_EQ(report.verdict, Verdict::kDiffers);
  EXPECT_EQ(report.first->site, "block.0.out");
  const auto lower = side_of(open("bert-base-v5", {.isa = "sse4"}));
  DiffOptions equal{.texts = texts(model->info().vocabulary_size), .tolerance = 0};
  EXPECT_EQ(compared(*live, *lower, equal).verdict, Verdict::kDiffers);
  EXPECT_EQ(compared(*live, *live, equal).verdict, Verdict::kSame);
}

TEST_F(Compare, OtherTokensComeFirst) {
  const auto model = open("bert-base-v5");
  const auto other = dump(dump_of(*model), model.get());
  DiffOptions options{.texts = texts(model->info().vocabulary_size)};
  options.texts[0].row.ids->insert(options.texts[0].row.ids->begin(), 2);
  const DiffReport report = compared(*side_of(model), *other, options);
  EXPECT_EQ(report.verdict, Verdict::kDiffers);
  EXPECT_FALSE(report.ids_equal);
  ASSERT_EQ(report.causes.size(), 1U);
  EXPECT_EQ(report.causes.front().kind, "tokens");
  EXPECT_THAT(report.causes.front().evidence, HasSubstr("B lacks 2 in front"));
  EXPECT_THAT(report.sentence, HasSubstr("on the same tokens they agree"));
  EXPECT_EQ(report.rows, kRows);
  for (const DiffSite& site : report.sites) EXPECT_EQ(site.error.max_ulps, 0U) << site.site;
}

TEST_F(Compare, DumpsAloneAreHeldAgainstAnEstimate) {
  const auto model = open("bert-base-v5");
  const auto plain = dump(dump_of(*model), nullptr);
  const std::vector<Edit> fault = {{.site = "block.0.out", .op = EditOp::kScale, .values = {1.001F}}};
  const auto path = folder_.write("other.safetensors", test::dump_bytes(dump_of(*model, fault)));
  const auto other = open_dump_side(path, nullptr);
  ASSERT_TRUE(other);
  const DiffReport report = compared(*plain, **other);
  EXPECT_TRUE(report.noise_estimated);
  EXPECT_EQ(report.verdict, Verdict::kDiffers);
  EXPECT_EQ(report.first->site, "block.0.out");
  EXPECT_FALSE(report.first->local);
  EXPECT_EQ(compared(*plain, *plain).verdict, Verdict::kSame);
}

TEST_F(Compare, OtherModelsAreIncomparable) {
  const auto model = open("bert-base-v5");
  const DiffReport other = compared(*side_of(model), *side_of(open("bert-odd-v5")), {.texts = texts(20)});
  EXPECT_EQ(other.verdict, Verdict::kIncomparable);
  EXPECT_THAT(other.sentence, HasSubstr("incomparable: "));
  DumpTensors more = dump_of(*model);
  more["hidden_states.9"] = more["hidden_states.1"];
  EXPECT_EQ(compared(*side_of(model), *dump(more, model.get())).verdict, Verdict::kIncomparable);
  const auto live = side_of(model);
  EXPECT_EQ(compare(*live, *live, {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(compare(*live, *live, {.texts = texts(20), .layers = "99"}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(compare(*live, *live, {.texts = texts(20), .sites = "nothing.*"}).error().code, ErrorCode::kUsage);
}

TEST_F(Compare, NumbersDoNotDependOnThreads) {
  const auto model = open("bert-base-v5");
  const std::vector<Edit> fault = {{.site = "block.0.out", .op = EditOp::kScale, .values = {1.001F}}};
  const auto other = dump(dump_of(*model, fault), model.get());
  const DiffReport one = compared(*side_of(model), *other, {.threads = 1});
  const DiffReport three = compared(*side_of(model), *other, {.threads = 3});
  for (std::size_t s = 0; s < one.sites.size(); ++s) {
    EXPECT_EQ(one.sites[s].error.rel_l2, three.sites[s].error.rel_l2);
    EXPECT_EQ(one.sites[s].noise, three.sites[s].noise);
    EXPECT_EQ(one.sites[s].local, three.sites[s].local);
  }
}

}  // namespace
}  // namespace layerscope
