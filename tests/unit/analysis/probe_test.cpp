// Probing tasks: who learns and who is asked, what is reported, and that nothing depends on threads or layout.
#include "analysis/probe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/probe_scores.h"
#include "analysis/probe_split.h"
#include "analysis/random.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kWidth = 12;

/// Words in sentences: a word's class is told by its first elements, as loudly as asked; the others hold the word.
struct Corpus {
  std::vector<float> states;
  std::vector<std::int32_t> classes;
  std::vector<double> targets;
  std::vector<std::int64_t> sentences, words;
  std::int32_t count;

  explicit Corpus(std::size_t rows, std::int32_t class_count = 4, double loud = 1.0, std::uint64_t seed = 3)
      : count(class_count) {
    SplitMix64 random(seed);
    const auto normal = [&] { return random.unit() + random.unit() + random.unit() - 1.5; };
    for (std::size_t row = 0; row < rows; ++row) {
      classes.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(count))));
      words.push_back(static_cast<std::int64_t>(random.below(40)) * count + classes.back());
      sentences.push_back(static_cast<std::int64_t>(row / 5) * 3 - 7);
      double sum = 0;
      for (std::int64_t i = 0; i < kWidth; ++i) {
        const double told = i == classes.back() ? 2 * loud : 0;
        states.push_back(static_cast<float>(told + normal() + 20));
        sum += static_cast<double>(states.back() - 20) * static_cast<double>(i % 3);
      }
      targets.push_back(5 * sum + normal() + 1000);
    }
  }
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(sentences.size()); }
  [[nodiscard]] VectorBlock block(std::int64_t first, std::int64_t end) const {
    return {.values = {DType::kF32, reinterpret_cast<const std::byte*>(states.data() + first * kWidth), end - first,
                       kWidth, kWidth},
            .numbers = {}};
  }
  [[nodiscard]] ProbeLabels labels() const {
    return {.classes = classes, .class_count = count, .targets = {}, .groups = sentences, .types = words};
  }
  [[nodiscard]] ProbeLabels numbers() const {
    return {.classes = {}, .class_count = 0, .targets = targets, .groups = sentences, .types = words};
  }
};

LayerProbe probed(const ProbeLabels& labels, const Corpus& corpus, ProbeOptions options = {}) {
  const VectorBlock block = corpus.block(0, corpus.rows());
  if (labels.class_count == 0) options.metric = ProbeMetric::kR2;
  const auto task = ProbeTask::make(labels, options);
  EXPECT_TRUE(task) << task.error().message;
  auto probe = (*task)->run({std::span(&block, 1), kWidth});
  EXPECT_TRUE(probe) << probe.error().message;
  return probe ? std::move(probe).value() : LayerProbe();
}

TEST(Probe, SaysMoreOfWhatIsThere) {
  const LayerProbe loud = probed(Corpus(1500, 4, 0.7).labels(), Corpus(1500, 4, 0.7));
  const LayerProbe quiet = probed(Corpus(1500, 4, 0.2).labels(), Corpus(1500, 4, 0.2));
  EXPECT_GT(loud.score.score, 0.85);
  EXPECT_LT(quiet.score.score, 0.6);
  EXPECT_LT(loud.length->bits, 0.5 * loud.length->uniform_bits);
  EXPECT_GT(quiet.length->bits, loud.length->bits);
  EXPECT_NEAR(loud.length->uniform_bits, 3000, 1e-9);
  EXPECT_GT(*loud.selectivity, 0.4);
  EXPECT_DOUBLE_EQ(*loud.selectivity, loud.score.score - loud.control->score);
  EXPECT_LT(loud.score.low, loud.score.score);
  EXPECT_GT(loud.score.high, loud.score.score);
  EXPECT_EQ(loud.unconverged, 0);
  std::int64_t all = 0, right = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) all += loud.confusion[i * 4 + j];
    right += loud.confusion[i * 4 + i];
  }
  EXPECT_EQ(all, 1500);
  EXPECT_DOUBLE_EQ(loud.score.score, static_cast<double>(right) / 1500);
}

TEST(Probe, LabelsThatNothingTellsAreWorthTheBaseline) {
  const Corpus corpus(1200, 3, 0.0);
  const LayerProbe probe = probed(corpus.labels(), corpus, {.seed = 5, .strengths = {}, .isa = {}});
  EXPECT_NEAR(probe.score.score, 1.0 / 3, 0.06);
  EXPECT_GT(probe.length->bits, 0.97 * probe.length->uniform_bits);
}

TEST(Probe, NothingIsAskedThatWasLearnt) {
  // So few rows that whoever has seen them knows most of them by heart.
  const Corpus corpus(60, 3, 0.0, 11);
  const LayerProbe probe = probed(corpus.labels(), corpus, {.strengths = {100}, .isa = {}});
  EXPECT_LT(probe.score.score, 0.5);
  EXPECT_GT(probe.length->bits, probe.length->uniform_bits);
  const LayerProbe numbers = probed({.classes = {},
                                     .class_count = 0,
                                     .targets = std::vector<double>(corpus.classes.begin(), corpus.classes.end()),
                                     .groups = corpus.sentences},
                                    corpus, {.strengths = {100}, .isa = {}});
  EXPECT_LT(numbers.score.score, 0.0);
}

TEST(Probe, ThreadsBlocksAndTypesOfStatesChangeNothing) {
  const Corpus corpus(2600);
  const auto task = [&](int threads) {
    return std::move(ProbeTask::make(corpus.labels(), {.strengths = {0.1, 1}, .threads = threads, .isa = {}}).value());
  };
  const VectorBlock whole = corpus.block(0, 2600);
  const std::vector<VectorBlock> pieces{corpus.block(0, 700), corpus.block(700, 701), corpus.block(701, 2600)};
  const LayerProbe first = task(1)->run({std::span(&whole, 1), kWidth}).value();
  const LayerProbe second = task(5)->run({pieces, kWidth}).value();
  EXPECT_EQ(first.score.score, second.score.score);
  EXPECT_EQ(first.score.low, second.score.low);
  EXPECT_EQ(first.control->high, second.control->high);
  EXPECT_EQ(first.length->bits, second.length->bits);
  EXPECT_EQ(first.confusion, second.confusion);
  EXPECT_EQ(first.strengths, second.strengths);

  Corpus rounded = corpus;
  std::vector<std::uint16_t> halves;
  for (float& value : rounded.states) {
    halves.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));  // bf16, cut off
    value = std::bit_cast<float>(static_cast<std::uint32_t>(halves.back()) << 16);
  }
  const VectorBlock wide = rounded.block(0, 2600);
  VectorBlock narrow = wide;
  narrow.values.dtype = DType::kBF16;
  narrow.values.data = reinterpret_cast<const std::byte*>(halves.data());
  EXPECT_EQ(task(2)->run({std::span(&wide, 1), kWidth}).value().length->bits,
            task(2)->run({std::span(&narrow, 1), kWidth}).value().length->bits);
}

TEST(Probe, RowsWithoutALabelTakeNoPart) {
  Corpus corpus(900), fewer(900);
  std::vector<float> kept;
  Corpus small(0);
  for (std::size_t row = 0; row < 900; ++row) {
    if (row % 3 == 1) {
      corpus.classes[row] = kUnlabelled;
      corpus.states[row * kWidth] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    small.classes.push_back(fewer.classes[row]);
    small.sentences.push_back(fewer.sentences[row]);
    small.words.push_back(fewer.words[row]);
    small.states.insert(small.states.end(), fewer.states.begin() + static_cast<std::ptrdiff_t>(row * kWidth),
                        fewer.states.begin() + static_cast<std::ptrdiff_t>((row + 1) * kWidth));
  }
  const LayerProbe a = probed(corpus.labels(), corpus), b = probed(small.labels(), small);
  EXPECT_EQ(a.confusion, b.confusion);
  EXPECT_EQ(a.length->bits, b.length->bits);
  EXPECT_EQ(a.control->score, b.control->score);
}

TEST(Probe, NumbersAreReadByRidge) {
  const Corpus corpus(1000);
  const LayerProbe probe = probed(corpus.numbers(), corpus);
  EXPECT_GT(probe.score.score, 0.97);
  EXPECT_LT(probe.control->score, 0.1);
  EXPECT_FALSE(probe.length);
  EXPECT_TRUE(probe.confusion.empty());
}

TEST(Probe, MixPointsAtTheLayerThatKnows) {
  const Corpus loud(2000, 4, 1.2, 3);
  Corpus deaf(2000, 4, 0.0, 9);
  deaf.classes = loud.classes;
  const std::vector<VectorBlock> blocks{deaf.block(0, 2000), loud.block(0, 2000), deaf.block(0, 2000)};
  std::vector<VectorSet> layers;
  for (const VectorBlock& block : blocks) layers.push_back({std::span(&block, 1), kWidth});
  std::optional<LayerMix> first;
  for (const int threads : {1, 4}) {
    const auto task = ProbeTask::make(loud.labels(), {.strengths = {}, .threads = threads, .isa = {}});
    ASSERT_TRUE(task);
    const auto mix = (*task)->mix(layers);
    ASSERT_TRUE(mix) << mix.error().message;
    EXPECT_NEAR(mix->weights[0] + mix->weights[1] + mix->weights[2], 1, 1e-12);
    EXPECT_GT(mix->weights[1], 0.8);
    EXPECT_NEAR(mix->weights[0], mix->weights[2], 1e-6);
    EXPECT_GT(mix->gamma, 1);
    EXPECT_GT(mix->score.score, 0.75);
    if (first) {
      EXPECT_EQ(first->weights, mix->weights);
    }
    first = *mix;
  }
}

TEST(Probe, WhatMakesNoSenseIsRefused) {
  const Corpus corpus(100);
  const auto refusal = [&](const ProbeLabels& labels, const ProbeOptions& options = {}) {
    const auto task = ProbeTask::make(labels, options);
    return task ? std::string("accepted") : task.error().message;
  };
  ProbeLabels labels = corpus.labels();
  EXPECT_THAT(refusal(labels, {.folds = 1, .strengths = {}, .isa = {}}), HasSubstr("1 folds"));
  EXPECT_THAT(refusal(labels, {.folds = 20, .strengths = {}, .isa = {}}), "accepted");
  EXPECT_THAT(refusal(labels, {.metric = ProbeMetric::kR2, .strengths = {}, .isa = {}}), HasSubstr("R2"));
  EXPECT_THAT(refusal(labels, {.strengths = {1, 0.1}, .isa = {}}), HasSubstr("ascend"));
  EXPECT_THAT(refusal(labels, {.strengths = {}, .isa = "abacus"}), HasSubstr("abacus"));
  labels.groups = labels.groups.subspan(1);
  EXPECT_THAT(refusal(labels), HasSubstr("length"));
  const std::vector<std::int64_t> one(100, 4);
  labels.groups = one;
  EXPECT_THAT(refusal(labels), HasSubstr("1 groups"));
  const std::vector<std::int32_t> same(100, 2), wild(100, 4);
  EXPECT_THAT(refusal({.classes = same, .class_count = 4}), HasSubstr("equal"));
  EXPECT_THAT(refusal({.classes = wild, .class_count = 4}), HasSubstr("class 4 of 4"));
  EXPECT_THAT(refusal({}), HasSubstr("R2"));

  const auto task = ProbeTask::make(corpus.labels(), {});
  const VectorBlock block = corpus.block(0, 99);
  EXPECT_THAT((*task)->run({std::span(&block, 1), kWidth}).error().message, HasSubstr("99 vectors and 100 labels"));
  Corpus broken(100);
  broken.states[41 * kWidth + 3] = std::numeric_limits<float>::infinity();
  const VectorBlock bad = broken.block(0, 100);
  const auto result = (*task)->run({std::span(&bad, 1), kWidth});
  EXPECT_EQ(result.error().code, ErrorCode::kRuntime);
  EXPECT_THAT(result.error().message, HasSubstr("vector 41 "));
  const auto stopped = ProbeTask::make(corpus.labels(), {.strengths = {}, .isa = {}, .stop = [] { return true; }});
  const VectorBlock all = corpus.block(0, 100);
  EXPECT_EQ((*stopped)->run({std::span(&all, 1), kWidth}).error().code, ErrorCode::kCancelled);
}

TEST(ProbeSplit, GroupsStayTogetherAndFoldsAreEven) {
  const Corpus corpus(1000);
  std::vector<std::int64_t> rows(1000);
  for (std::size_t row = 0; row < 1000; ++row) rows[row] = static_cast<std::int64_t>(row);
  const ProbeGroups groups = number_groups(rows, corpus.sentences, 1000);
  const auto order = shuffled_groups(groups.members.size(), 4);
  const ProbeParts folds = deal_folds(groups, order, corpus.classes, 5), blocks = cut_blocks(groups, order);
  std::map<std::int64_t, std::set<int>> parts, cuts;
  std::map<int, int> sizes, chosen;
  for (std::size_t row = 0; row < 1000; ++row) {
    parts[corpus.sentences[row]].insert(folds.of_row[row]);
    cuts[corpus.sentences[row]].insert(blocks.of_row[row]);
    ++sizes[folds.of_row[row] / 2];
    if (folds.of_row[row] % 2 == 1) ++chosen[folds.of_row[row] / 2];
  }
  for (const auto& [sentence, of_sentence] : parts) EXPECT_EQ(of_sentence.size(), 1U);
  for (const auto& [sentence, of_sentence] : cuts) EXPECT_EQ(of_sentence.size(), 1U);
  for (const auto& [fold, size] : sizes) EXPECT_EQ(size, 200);
  for (const auto& [fold, size] : chosen) EXPECT_EQ(size, 50);
  EXPECT_NE(shuffled_groups(200, 4), shuffled_groups(200, 5));

  // Cuts at 0.1 ... 0.4 % fall together, since a sentence is 0.5 %.
  std::vector<int> of_block(blocks.count);
  for (const std::uint8_t part : blocks.of_row) ++of_block[part / 2U];
  EXPECT_THAT(of_block, testing::ElementsAre(5, 5, 10, 15, 30, 60, 125, 250, 500));
}

TEST(ProbeSplit, RowsAreDealtClassByClass) {
  std::vector<std::int32_t> classes;
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < 100; ++row) {
    classes.push_back(row < 90 ? 0 : 1);
    rows.push_back(row);
  }
  const ProbeGroups groups = number_groups(rows, {}, 100);
  const ProbeParts folds = deal_folds(groups, shuffled_groups(100, 1), classes, 5);
  for (std::uint8_t fold = 0; fold < 5; ++fold) {
    int rare = 0;
    for (std::size_t row = 90; row < 100; ++row) rare += folds.of_row[row] / 2 == fold ? 1 : 0;
    EXPECT_EQ(rare, 2);
  }
}

TEST(ProbeSplit, AControlLabelBelongsToAType) {
  const Corpus corpus(4000);
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < 4000; row += 2) rows.push_back(row);
  const ProbeGroups groups = number_groups(rows, corpus.sentences, 4000);
  const std::vector<std::int64_t> from = control_rows(groups, corpus.words, 8);
  std::map<std::int64_t, std::set<std::int64_t>> of_word;
  for (const std::int64_t row : rows) {
    const auto at = static_cast<std::size_t>(row);
    EXPECT_EQ(from[at] % 2, 0);
    of_word[corpus.words[at]].insert(from[at]);
  }
  std::set<std::int64_t> different;
  for (const auto& [word, sources] : of_word) {
    EXPECT_EQ(sources.size(), 1U);
    different.insert(*sources.begin());
  }
  EXPECT_GT(different.size(), 140U);
  EXPECT_EQ(from[1], -1);
}

TEST(ProbeScores, AreThoseOfTheirDefinitions) {
  const std::vector<std::int64_t> rows{0, 1, 2, 3, 5};
  const ProbeGroups groups = number_groups(rows, {}, 6);
  const std::vector<std::int32_t> is{0, 0, 1, 1, -1, 2}, taken{0, 1, 1, 1, 0, 0};
  const BootstrapOptions plain{.resamples = 0};
  EXPECT_DOUBLE_EQ(score_classes(ProbeMetric::kAccuracy, groups, is, taken, 4, plain)->score, 0.6);
  // f1: class 0: 1 hit of 2 and 2: 0.5; class 1: 2 hits of 2 and 3: 0.8; class 2: 0; class 3 is nowhere.
  EXPECT_DOUBLE_EQ(score_classes(ProbeMetric::kMacroF1, groups, is, taken, 4, plain)->score, 1.3 / 3);
  const std::vector<double> y{1, 2, 3, 4, 99, 5}, said{1, 2, 3, 4, 0, 4};
  EXPECT_DOUBLE_EQ(score_targets(groups, y, said, plain)->score, 0.9);
}

TEST(ProbeScores, IntervalsCoverAndKnowGroups) {
  // Groups of twenty rows that are right or wrong together, nine in ten right: an interval as of 200 coins, not 4000.
  std::vector<std::int64_t> rows, group;
  std::vector<std::int32_t> is(4000, 1), taken;
  SplitMix64 random(2);
  bool right = true;
  for (std::int64_t row = 0; row < 4000; ++row) {
    if (row % 20 == 0) right = random.unit() < 0.9;
    rows.push_back(row);
    group.push_back(row / 20);
    taken.push_back(right ? 1 : 0);
  }
  const auto wide =
      score_classes(ProbeMetric::kAccuracy, number_groups(rows, group, 4000), is, taken, 2, {.threads = 1});
  const auto narrow =
      score_classes(ProbeMetric::kAccuracy, number_groups(rows, {}, 4000), is, taken, 2, {.threads = 3});
  const double p = wide->score;
  EXPECT_NEAR(wide->high - wide->low, 2 * 1.96 * std::sqrt(p * (1 - p) / 200), 0.02);
  EXPECT_NEAR(narrow->high - narrow->low, 2 * 1.96 * std::sqrt(p * (1 - p) / 4000), 0.004);
  EXPECT_EQ(wide->low,
            score_classes(ProbeMetric::kAccuracy, number_groups(rows, group, 4000), is, taken, 2, {.threads = 4})->low);
}

}  // namespace
}  // namespace layerscope
