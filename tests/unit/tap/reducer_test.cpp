// Frames cut in any way give the same stored values, and those are what the definitions say.
#include "tap/reducer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "base/half.h"
#include "unit/tap/support.h"

namespace layerscope::testing {
namespace {

constexpr std::int64_t kWidth = 4;

/// Stored values by tag and stored site, with every row given exactly once.
class Rows : public Sink {
 public:
  Status accept(const StateFrame& frame) override {
    const auto bytes = static_cast<std::size_t>(frame.rows.width) * dtype_size(frame.rows.dtype);
    EXPECT_EQ(frame.rows.stride, frame.rows.width);
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      std::vector<std::byte> row(bytes);
      std::memcpy(row.data(), frame.rows.data + static_cast<std::size_t>(i) * bytes, bytes);
      EXPECT_TRUE(values.emplace(std::tuple(frame.tag, frame.site, frame.first_row + i), row).second)
          << "row " << frame.first_row + i << " came twice";
    }
    ++frames;
    return {};
  }
  [[nodiscard]] std::vector<float> floats(std::uint64_t tag, int site, std::int64_t row) const {
    const auto found = values.find({tag, site, row});
    if (found == values.end()) return {};
    std::vector<float> result(found->second.size() / sizeof(float));
    std::memcpy(result.data(), found->second.data(), found->second.size());
    return result;
  }
  std::map<std::tuple<std::uint64_t, int, std::int64_t>, std::vector<std::byte>> values;
  int frames = 0;
};

struct Fixture {
  SiteTable table = one_stack(3, true, kWidth);
  Batch batch;
  std::vector<std::vector<float>> states;  // by observed site: [tokens, width]

  explicit Fixture(const std::vector<std::int64_t>& lengths, float size = 1) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal(0, size);
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      batch.inputs[0].offsets.push_back(batch.inputs[0].offsets.back() + lengths[s]);
      batch.rows.push_back(static_cast<std::int64_t>(10 * s));
      batch.tags.push_back(100 + s);
    }
    batch.inputs[0].ids.resize(static_cast<std::size_t>(batch.inputs[0].offsets.back()));
    states.resize(table.sites.size());
    for (auto& state : states) {
      state.resize(static_cast<std::size_t>(batch.inputs[0].offsets.back() * kWidth));
      for (float& value : state) value = normal(random);
    }
  }
  [[nodiscard]] TapPlan plan(const TapRequest& request) const {
    auto plan = TapPlan::compile(table, request);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    return plan.ok() ? std::move(plan).value() : TapPlan();
  }
  // Shows all states, site by site, cut at random (seed 0: whole).
  Status show(const TapPlan& plan, Sink& sink, unsigned seed, std::int64_t stride = kWidth) const {
    Reducer reducer(batch, plan, sink);
    std::mt19937 random(seed);
    const std::int64_t tokens = batch.inputs[0].offsets.back();
    for (std::size_t site = 0; site < plan.observed().size(); ++site) {
      std::vector<float> apart(static_cast<std::size_t>(tokens * stride), std::nanf(""));
      for (std::int64_t t = 0; t < tokens; ++t)
        std::copy_n(states[site].begin() + t * kWidth, kWidth, apart.begin() + t * stride);
      for (std::int64_t first = 0; first < tokens;) {
        const std::int64_t most = tokens - first;
        const std::int64_t count = seed == 0 ? most : std::min<std::int64_t>(most, 1 + random() % 5);
        const Status status =
            reducer.observe({.observed = static_cast<int>(site),
                             .first = first,
                             .rows = {.data = reinterpret_cast<const std::byte*>(apart.data() + first * stride),
                                      .rows = count,
                                      .width = kWidth,
                                      .stride = stride}});
        if (!status) return status;
        first += count;
      }
    }
    return {};
  }
  [[nodiscard]] const float* at(std::size_t site, std::size_t sequence, std::int64_t position) const {
    return states[site].data() + (batch.inputs[0].offsets[sequence] + position) * kWidth;
  }
  [[nodiscard]] std::int64_t length(std::size_t sequence) const {
    return batch.inputs[0].offsets[sequence + 1] - batch.inputs[0].offsets[sequence];
  }
};

const std::vector<std::int64_t> kLengths = {7, 1, 300, 2, 13};

// sentence-transformers' definitions, in double.
double pooled(const Fixture& all, Pooling kind, std::size_t site, std::size_t sequence, std::int64_t column) {
  const std::int64_t length = all.length(sequence);
  double sum = 0, weights = 0, most = -INFINITY;
  for (std::int64_t p = 0; p < length; ++p) {
    const double value = static_cast<double>(all.at(site, sequence, p)[column]);
    const double weight = kind == Pooling::kWeightedMean ? static_cast<double>(p + 1) : 1.0;
    sum += weight * value;
    weights += weight;
    most = std::max(most, value);
  }
  switch (kind) {
    case Pooling::kCls: return static_cast<double>(all.at(site, sequence, 0)[column]);
    case Pooling::kLast: return static_cast<double>(all.at(site, sequence, length - 1)[column]);
    case Pooling::kMax: return most;
    case Pooling::kMeanSqrt: return sum / std::sqrt(weights);
    case Pooling::kMean:
    case Pooling::kWeightedMean: return sum / weights;
    case Pooling::kNone: break;
  }
  return NAN;
}

TEST(Reducer, PoolsAreTheirDefinitionsHoweverFramesAreCut) {
  const Fixture all(kLengths);
  for (const Pooling kind :
       {Pooling::kCls, Pooling::kMean, Pooling::kMax, Pooling::kMeanSqrt, Pooling::kWeightedMean, Pooling::kLast}) {
    const TapPlan plan = all.plan({.pool = kind});
    Rows whole;
    ASSERT_TRUE(all.show(plan, whole, 0).ok());
    EXPECT_EQ(whole.values.size(), kLengths.size() * plan.stored().size());
    for (std::size_t s = 0; s < kLengths.size(); ++s) {
      for (std::size_t site = 0; site < plan.stored().size(); ++site) {
        const std::vector<float> row = whole.floats(100 + s, static_cast<int>(site), 0);
        ASSERT_EQ(row.size(), static_cast<std::size_t>(kWidth));
        for (std::int64_t j = 0; j < kWidth; ++j) {
          const double expected = pooled(all, kind, site, s, j);
          EXPECT_NEAR(static_cast<double>(row[static_cast<std::size_t>(j)]), expected, 1e-7 + 1e-7 * std::abs(expected))
              << pooling_name(kind) << " of sequence " << s;
        }
      }
    }
    for (unsigned seed = 1; seed <= 20; ++seed) {
      Rows cut;
      ASSERT_TRUE(all.show(plan, cut, seed).ok());
      EXPECT_EQ(cut.values, whole.values) << pooling_name(kind) << " cut with seed " << seed;
    }
  }
}

TEST(Reducer, TokensPicksAndStrides) {
  const Fixture all(kLengths);
  for (const char* positions : {"all", "first", "last", "0,-1,5", "sample:3"}) {
    const TapPlan plan = all.plan({.sites = "embed,final", .positions = positions});
    for (unsigned seed = 0; seed <= 10; ++seed) {
      Rows rows;
      ASSERT_TRUE(all.show(plan, rows, seed, seed % 2 == 0 ? kWidth : kWidth + 3).ok());
      std::size_t expected_rows = 0;
      for (std::size_t s = 0; s < kLengths.size(); ++s) {
        std::vector<std::int32_t> kept = plan.picks(all.batch.rows[s], kLengths[s]);
        if (!plan.has_picks()) {
          for (std::int32_t p = 0; p < kLengths[s]; ++p) kept.push_back(p);
        }
        for (int site = 0; site < 2; ++site) {
          for (std::size_t k = 0; k < kept.size(); ++k) {
            const float* expected = all.at(static_cast<std::size_t>(site), s, kept[k]);
            EXPECT_EQ(rows.floats(100 + s, site, static_cast<std::int64_t>(k)),
                      std::vector<float>(expected, expected + kWidth))
                << positions << " sequence " << s << " row " << k;
          }
          expected_rows += kept.size();
        }
      }
      EXPECT_EQ(rows.values.size(), expected_rows) << positions;
    }
  }
}

TEST(Reducer, MixIsTheWeightedSumInLayerOrder) {
  const Fixture all(kLengths);
  const TapPlan plan = all.plan({.mix = "3=0.5,0=-2,1=0.125"});
  ASSERT_EQ(plan.observed().size(), 3U);
  Rows whole;
  ASSERT_TRUE(all.show(plan, whole, 0).ok());
  for (std::size_t s = 0; s < kLengths.size(); ++s) {
    for (std::int64_t p = 0; p < kLengths[s]; ++p) {
      const std::vector<float> row = whole.floats(100 + s, 0, p);
      ASSERT_EQ(row.size(), static_cast<std::size_t>(kWidth));
      for (std::size_t j = 0; j < kWidth; ++j) {
        const double expected = -2.0 * static_cast<double>(all.at(0, s, p)[j]) +
                                0.125 * static_cast<double>(all.at(1, s, p)[j]) +
                                0.5 * static_cast<double>(all.at(2, s, p)[j]);
        EXPECT_NEAR(static_cast<double>(row[j]), expected, 1e-6);
      }
    }
  }
  for (const char* positions : {"all", "-1,0"}) {
    const TapPlan kept = all.plan({.positions = positions, .mix = "3=0.5,0=-2,1=0.125"});
    Rows once;
    ASSERT_TRUE(all.show(kept, once, 0).ok());
    for (unsigned seed = 1; seed <= 20; ++seed) {
      Rows cut;
      ASSERT_TRUE(all.show(kept, cut, seed).ok());
      EXPECT_EQ(cut.values, once.values) << "seed " << seed;
    }
  }
}

TEST(Reducer, PooledMixAndStoredLayersTogether) {
  const Fixture all(kLengths);
  const TapPlan plan = all.plan({.layers = "0", .pool = Pooling::kMean, .mix = "0..1"});
  Rows rows;
  ASSERT_TRUE(all.show(plan, rows, 3).ok());
  for (std::size_t s = 0; s < kLengths.size(); ++s) {
    const std::vector<float> mix = rows.floats(100 + s, 1, 0);
    for (std::int64_t j = 0; j < kWidth; ++j) {
      const double expected = (pooled(all, Pooling::kMean, 0, s, j) + pooled(all, Pooling::kMean, 1, s, j)) / 2;
      EXPECT_NEAR(static_cast<double>(mix.at(static_cast<std::size_t>(j))), expected, 1e-6);
    }
  }
}

TEST(Reducer, CastsRoundToNearestEven) {
  const Fixture all(kLengths, 3.0F);
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const TapPlan plan = all.plan({.sites = "final", .save_dtype = dtype});
    Rows rows;
    ASSERT_TRUE(all.show(plan, rows, 5, kWidth + 1).ok());
    for (std::size_t s = 0; s < kLengths.size(); ++s) {
      for (std::int64_t p = 0; p < kLengths[s]; ++p) {
        const auto& bytes = rows.values.at({100 + s, 0, p});
        ASSERT_EQ(bytes.size(), kWidth * sizeof(std::uint16_t));
        for (std::size_t j = 0; j < kWidth; ++j) {
          std::uint16_t bits = 0;
          std::memcpy(&bits, bytes.data() + 2 * j, 2);
          const float value = all.at(0, s, p)[j];
          EXPECT_EQ(bits, dtype == DType::kF16 ? float_to_f16(value) : float_to_bf16(value));
        }
      }
    }
  }
}

TEST(Reducer, OverflowNamesTheSiteAndTheRow) {
  Fixture all({2, 3});
  all.states[0][3 * kWidth + 1] = 65519.0F;  // the largest that rounds to a finite float16
  const TapPlan plan = all.plan({.sites = "final", .save_dtype = DType::kF16});
  Rows rows;
  EXPECT_TRUE(all.show(plan, rows, 0).ok());
  all.states[0][3 * kWidth + 1] = 65520.0F;
  Rows again;
  const Status overflow = all.show(plan, again, 1);
  ASSERT_FALSE(overflow.ok());
  EXPECT_EQ(overflow.error().code, ErrorCode::kRuntime);
  EXPECT_NE(overflow.error().message.find("\"final\""), std::string::npos);
  EXPECT_NE(overflow.error().message.find("row 10"), std::string::npos);
  Rows other;
  EXPECT_TRUE(all.show(all.plan({.sites = "final", .save_dtype = DType::kBF16}), other, 0).ok());
  all.states[0][0] = std::numeric_limits<float>::max();
  Rows last;
  EXPECT_FALSE(all.show(all.plan({.sites = "final", .save_dtype = DType::kBF16}), last, 0).ok());
}

TEST(Reducer, TheSinksErrorEndsTheRun) {
  class Full : public Sink {
   public:
    Status accept(const StateFrame&) override { return Error{ErrorCode::kResource, "full"}; }
  } full;
  const Fixture all(kLengths);
  const Status status = all.show(all.plan({}), full, 0);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "full");
}

TEST(Reducer, DoublesAreRoundedOnce) {
  const Fixture all({2});
  const TapPlan plan = all.plan({.sites = "final"});
  Rows rows;
  Reducer reducer(all.batch, plan, rows);
  const std::vector<double> values = {0.1, 1.0 / 3, -2.5, 1e-40, 0, 1, 2, 3};
  ASSERT_TRUE(reducer
                  .observe({.rows = {.dtype = DType::kF64,
                                     .data = reinterpret_cast<const std::byte*>(values.data()),
                                     .rows = 2,
                                     .width = kWidth,
                                     .stride = kWidth}})
                  .ok());
  EXPECT_EQ(rows.floats(100, 0, 0), (std::vector<float>{0.1F, 1.0F / 3, -2.5F, 1e-40F}));
}

}  // namespace
}  // namespace layerscope::testing
