#include "session/lens.h"

#include <cstring>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session/score_tiles.h"
#include "support/temp_folder.h"
#include "unit/session/model_copy.h"

namespace layerscope {
namespace {

using testing::HasSubstr;

std::unique_ptr<Model> open(const std::string& name) {
  return Model::open(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/golden/" + name).value();
}

ModelRow row_of(const Model& model, std::int32_t tokens) {
  TextRow row;
  row.ids.emplace();
  for (std::int32_t k = 0; k < tokens; ++k) row.ids->push_back(3 + (k * 7) % 20);
  return model.tokenize(row).value();
}

void expect_same(const LensRow& a, const LensRow& b) {
  EXPECT_EQ(a.positions, b.positions);
  EXPECT_EQ(a.answers, b.answers);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t layer = 0; layer < a.layers.size(); ++layer) {
    for (std::size_t k = 0; k < a.positions.size(); ++k) {
      const Prediction& left = a.layers[layer].positions[k];
      const Prediction& right = b.layers[layer].positions[k];
      EXPECT_EQ(left.top, right.top);
      EXPECT_EQ(left.of.entropy, right.of.entropy);
      EXPECT_EQ(left.kl, right.kl);
      EXPECT_EQ(left.rank, right.rank);
    }
  }
}

TEST(Lens, HeldStreamsAndThreadsChangeNothing) {
  for (const char* const name : {"gpt2-lm-v5", "bert-mlm-v5", "t5-base-v5", "opt-projected-v4"}) {
    const auto model = open(name);
    const ModelRow row = row_of(*model, 11);
    const LensRow whole = Lens::open(*model, {}, nullptr).value().look(row, 0).value();
    const LensRow pieces = Lens::open(*model, {.threads = 3, .held_elements = 1}, nullptr).value().look(row, 0).value();
    expect_same(whole, pieces);
  }
}

TEST(Lens, TheLastLayerIsTheModelsOwnOutput) {
  const auto model = open("llama-lm-v5");
  const ModelRow row = row_of(*model, 6);
  const LensRow seen = Lens::open(*model, {}, nullptr).value().look(row, 0).value();
  StatesOptions options;
  options.request.sites = "logits";
  const RowStates states = model->states({TextRow{.ids = row.main.ids}}, options).value().front();
  const StateBlock& logits = *states.find("logits");
  for (std::size_t k = 0; k < 6; ++k) {
    const std::span<const float> scores(logits.values.data() + k * static_cast<std::size_t>(logits.width),
                                        static_cast<std::size_t>(logits.width));
    const Prediction& last = seen.layers.back().positions[k];
    EXPECT_EQ(last.top, top_scores(scores, 5));
    EXPECT_EQ(last.kl, 0);
    EXPECT_EQ(last.rank, 0);
    EXPECT_EQ(seen.answers[k], best_id(scores));
  }
}

TEST(Lens, AnEditChangesLayersBehindItOnly) {
  const auto model = open("gpt2-lm-v5");
  const ModelRow row = row_of(*model, 5);
  LensOptions options;
  options.edits = {{.site = "block.0.out", .op = EditOp::kScale, .values = {0.25F}}};
  const LensRow plain = Lens::open(*model, {}, nullptr).value().look(row, 0).value();
  const LensRow edited = Lens::open(*model, options, nullptr).value().look(row, 0).value();
  EXPECT_EQ(plain.layers[0].positions[2].of.entropy, edited.layers[0].positions[2].of.entropy);
  EXPECT_NE(plain.layers.back().positions[2].of.entropy, edited.layers.back().positions[2].of.entropy);
}

TEST(ScoreTiles, FewPositionsAreShared) {
  EXPECT_EQ(tile_positions(128'000, 4096, 2), 65);
  EXPECT_EQ(tile_positions(128'000, 20, 2), 10);
  EXPECT_EQ(tile_positions(50'000'000, 20, 2), 1);
  EXPECT_EQ(tile_positions(100, 0, 2), 1);
  EXPECT_EQ(tile_positions(100, 3, 8), 1);
}

/// A lens for gpt2-lm-v5 that changes nothing, as a file's tensors.
std::vector<test::StoredTensor> identity(const Model& model, std::int64_t width) {
  const std::string hash = lens_model_hash(model).value();
  const auto zeros = [](std::int64_t count) { return std::string(static_cast<std::size_t>(count) * 4, '\0'); };
  return {{"model_xxh128", "U8", {32}, hash},
          {"block.0.out.weight", "F32", {width, width}, zeros(width * width)},
          {"block.0.out.bias", "F32", {width}, zeros(width)}};
}

class TunedLensFile : public testing::Test {
 protected:
  [[nodiscard]] Result<std::unique_ptr<TunedLens>> opened() const {
    folder_.write("a.lens", test::weight_file(tensors_));
    return TunedLens::open(folder_.file("a.lens"), *model_);
  }
  void expect_refused(ErrorCode code, const char* part) const {
    const auto lens = opened();
    ASSERT_FALSE(lens.ok());
    EXPECT_EQ(lens.error().code, code);
    EXPECT_THAT(lens.error().message, HasSubstr(part));
  }
  static std::string bytes_of(float value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }

  test::TempFolder folder_;
  std::unique_ptr<Model> model_ = open("gpt2-lm-v5");
  std::int64_t width_ = model_->sites().find("embed")->width;
  std::vector<test::StoredTensor> tensors_ = identity(*model_, width_);
};

TEST_F(TunedLensFile, ZerosChangeNothing) {
  const auto lens = opened();
  ASSERT_TRUE(lens.ok()) << lens.error().message;
  const ModelRow row = row_of(*model_, 5);
  expect_same(Lens::open(*model_, {}, nullptr).value().look(row, 0).value(),
              Lens::open(*model_, {}, lens->get()).value().look(row, 0).value());
}

TEST_F(TunedLensFile, MapsAreAppliedAsWritten) {
  tensors_[1].bytes.replace(4 * static_cast<std::size_t>(2 * width_ + 1), 4, bytes_of(3));  // out 2 reads in 1
  tensors_[2].bytes.replace(0, 4, bytes_of(0.5F));
  const auto lens = opened();
  ASSERT_TRUE(lens.ok()) << lens.error().message;
  std::vector<float> rows(2 * static_cast<std::size_t>(width_), 1);
  rows[1] = 5;
  std::vector<float> expected = rows;
  const auto second = static_cast<std::size_t>(width_);
  expected[0] = expected[second] = 1.5F;
  expected[2] = 16;
  expected[second + 2] = 4;
  (*lens)->apply("block.0.out", rows);
  EXPECT_EQ(rows, expected);
  (*lens)->apply("embed", rows);
  EXPECT_EQ(rows, expected);
}

TEST_F(TunedLensFile, WhatIsNoLensIsRefused) {
  const std::vector<test::StoredTensor> sound = tensors_;
  tensors_[1].name = "block.77.out.weight";
  expect_refused(ErrorCode::kModel, "block.77.out.weight");
  tensors_ = sound;
  tensors_.erase(tensors_.begin() + 2);
  expect_refused(ErrorCode::kModel, "block.0.out");
  tensors_ = sound;
  tensors_[1].shape = {width_ * width_};
  expect_refused(ErrorCode::kModel, "expected F32");
  tensors_ = sound;
  tensors_[2].bytes.replace(0, 4, bytes_of(std::numeric_limits<float>::quiet_NaN()));
  expect_refused(ErrorCode::kModel, "not finite");
  tensors_ = sound;
  tensors_[0].bytes[0] = tensors_[0].bytes[0] == '0' ? '1' : '0';
  expect_refused(ErrorCode::kUsage, "another model");
  tensors_ = {sound.begin() + 1, sound.end()};
  expect_refused(ErrorCode::kModel, "no lens");
}

}  // namespace
}  // namespace layerscope
