// Scores over the vocabulary beyond what the goldens show: many tiles, many threads, what is missing, what is not
// finite.
#include "engine/head.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "unit/engine/support.h"
#include "unit/session/model_copy.h"

namespace layerscope::testing {
namespace {

using layerscope::test::ModelCopy;
using layerscope::test::StoredTensor;

MutableRows rows_of(std::vector<float>& values, std::int64_t width) {
  return {.data = reinterpret_cast<std::byte*>(values.data()),
          .rows = static_cast<std::int64_t>(values.size()) / width,
          .width = width,
          .stride = width};
}

std::vector<float> sample(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7919) % 1009) / 504 - 1;
  return values;
}

std::string failure(const Status& status) { return status.ok() ? "" : status.error().message; }

TEST(Head, ATileOfScoresStaysSmall) {
  for (const std::int64_t vocabulary : {1, 100, 30522, 262144, 1 << 28}) {
    const std::int64_t rows = score_rows(vocabulary);
    EXPECT_GE(rows, 1);
    EXPECT_LE(rows, 256);
    EXPECT_TRUE(rows == 1 || rows * vocabulary * 4 <= (std::int64_t{32} << 20)) << vocabulary;
  }
  EXPECT_EQ(score_rows(100), 256);
  EXPECT_EQ(score_rows(262144), 32);
}

TEST(Head, RowsOfManyTilesEqualRowsAlone) {
  for (const char* name : {"bert-mlm-v5", "gemma2-lm-v4", "t5-base-v5"}) {
    const auto model = open_golden(name);
    ASSERT_NE(model, nullptr);
    const ModelSpec& spec = model->state().spec;
    const std::int64_t width = spec.stack(spec.head_stack()).final_width(spec.width), scores = spec.scores();
    std::vector<float> finals = sample(700 * width), together(static_cast<std::size_t>(700 * scores));
    const MutableRows in = rows_of(finals, width);
    ASSERT_EQ(failure(model->logits(in.view(), rows_of(together, scores))), "");
    std::vector<float> alone(static_cast<std::size_t>(scores));
    for (const std::int64_t row : {0, 255, 256, 511, 512, 699}) {
      ASSERT_EQ(failure(model->logits(slice(in, row, 1).view(), rows_of(alone, scores))), "");
      const auto first = together.begin() + row * scores;
      EXPECT_EQ(alone, std::vector<float>(first, first + scores)) << name << " row " << row;
    }
  }
}

TEST(Head, ThreadsThatComeAtOnceGetOneHead) {
  const auto model = open_golden("gpt2-head-v4");
  ASSERT_NE(model, nullptr);
  const ModelSpec& spec = model->state().spec;
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        model->enter_worker();
        std::vector<float> finals = sample(20 * spec.width);
        result.resize(static_cast<std::size_t>(20 * spec.scores()));
        EXPECT_EQ(failure(model->logits(rows_of(finals, spec.width).view(), rows_of(result, spec.scores()))), "");
      });
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, results.front());
}

TEST(Head, RowsOfOtherShapesAreRefused) {
  const auto model = open_golden("gpt2-head-v4");
  ASSERT_NE(model, nullptr);
  const ModelSpec& spec = model->state().spec;
  std::vector<float> finals = sample(2 * spec.width), scores(static_cast<std::size_t>(2 * spec.scores()));
  const MutableRows in = rows_of(finals, spec.width), out = rows_of(scores, spec.scores());
  MutableRows narrow = in, half = in;
  --narrow.width;
  half.dtype = DType::kBF16;
  EXPECT_EQ(model->logits(narrow.view(), out).error().code, ErrorCode::kUsage);
  EXPECT_EQ(model->logits(half.view(), out).error().code, ErrorCode::kUsage);
  EXPECT_EQ(model->logits(slice(in, 0, 1).view(), out).error().code, ErrorCode::kUsage);
  EXPECT_EQ(model->logits(in.view(), in).error().code, ErrorCode::kUsage);
  EXPECT_EQ(model->finish(StackId::kDecoder, narrow.view(), in).error().code, ErrorCode::kUsage);
  EXPECT_EQ(model->finish(StackId::kEncoder, in.view(), in).error().message, "the model has no encoder");
  EXPECT_EQ(Model::open(golden_folder() + "/gpt2-head-v4", {.weights = false}).value()->load_head().error().code,
            ErrorCode::kUsage);
}

TEST(Head, AFolderWithoutOneSaysWhy) {
  struct Case {
    const char *model, *dropped, *said;
  };
  const Case cases[] = {
      {"bert-base-v5", "", R"("architectures" names "BertModel")"},
      {"bert-mlm-v5", "cls.predictions.transform.dense.weight",
       R"("cls.predictions.transform.dense.weight" is missing)"},
      {"bert-mlm-v5", "cls.predictions.transform.LayerNorm.bias",
       R"("cls.predictions.transform.LayerNorm.bias" is missing)"},
      {"llama-untied-v4", "lm_head.weight", R"("lm_head.weight" is missing)"},
  };
  for (const Case& wanted : cases) {
    const ModelCopy copy(wanted.model);
    std::vector<StoredTensor> tensors = copy.tensors();
    const auto dropped =
        std::erase_if(tensors, [&](const StoredTensor& tensor) { return tensor.name == wanted.dropped; });
    ASSERT_EQ(dropped, *wanted.dropped == '\0' ? 0U : 1U) << wanted.model;
    copy.write_tensors(tensors);
    const auto model = copy.open(true);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_FALSE((*model)->info().has_head);
    EXPECT_EQ((*model)->sites().find("logits"), nullptr);
    const Status loaded = (*model)->load_head();
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, ErrorCode::kModel);
    EXPECT_TRUE(loaded.error().message.starts_with(copy.path())) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(wanted.said), std::string::npos) << loaded.error().message;
    const auto plan = TapPlan::compile((*model)->sites(), {.sites = "logits"});
    ASSERT_FALSE(plan.ok());
    EXPECT_NE(plan.error().message.find(wanted.said), std::string::npos) << plan.error().message;
  }
}

TEST(Head, ABiasThatIsMissingIsZero) {
  const ModelCopy copy("bert-mlm-v5");
  std::vector<StoredTensor> tensors = copy.tensors();
  for (StoredTensor& tensor : tensors) {
    if (tensor.name == "cls.predictions.bias" || tensor.name == "cls.predictions.decoder.bias")
      tensor.bytes.assign(tensor.bytes.size(), '\0');
  }
  copy.write_tensors(tensors);
  const auto zeros = copy.open(true);
  std::erase_if(tensors, [](const StoredTensor& tensor) {
    return tensor.name == "cls.predictions.bias" || tensor.name == "cls.predictions.decoder.bias";
  });
  const ModelCopy other("bert-mlm-v5");
  other.write_tensors(tensors);
  const auto missing = other.open(true);
  ASSERT_TRUE(zeros.ok() && missing.ok());
  const ModelSpec& spec = (*zeros)->state().spec;
  std::vector<float> finals = sample(3 * spec.width), a(static_cast<std::size_t>(3 * spec.scores())), b(a.size());
  ASSERT_EQ(failure((*zeros)->logits(rows_of(finals, spec.width).view(), rows_of(a, spec.scores()))), "");
  ASSERT_EQ(failure((*missing)->logits(rows_of(finals, spec.width).view(), rows_of(b, spec.scores()))), "");
  EXPECT_EQ(a, b);
}

TEST(Head, AScoreThatIsNotFiniteIsNamed) {
  const ModelCopy copy("llama-untied-v4");
  std::vector<StoredTensor> tensors = copy.tensors();
  for (StoredTensor& tensor : tensors) {
    const float infinity = std::numeric_limits<float>::infinity();
    if (tensor.name == "lm_head.weight") std::memcpy(tensor.bytes.data(), &infinity, sizeof infinity);
  }
  copy.write_tensors(tensors);
  const auto model = copy.open(true);
  ASSERT_TRUE(model.ok()) << model.error().message;
  StatesOptions options{.request = {.sites = "logits"}};
  const auto states = (*model)->states({TextRow{.ids = {{3, 4, 5}}}}, options);
  ASSERT_FALSE(states.ok());
  EXPECT_EQ(states.error().code, ErrorCode::kRuntime);
  EXPECT_NE(states.error().message.find("site \"logits\" holds NaN or infinity, first at token 0 of row 0"),
            std::string::npos)
      << states.error().message;
  options.request.sites = "final";
  EXPECT_TRUE((*model)->states({TextRow{.ids = {{3, 4, 5}}}}, options).ok());
}

}  // namespace
}  // namespace layerscope::testing
