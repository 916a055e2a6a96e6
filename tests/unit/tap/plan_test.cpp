// What a request compiles to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/hash.h"
#include "unit/tap/support.h"

namespace layerscope::testing {
namespace {

using Names = std::vector<std::string>;

TapPlan compiled(const SiteTable& table, const TapRequest& request) {
  auto plan = TapPlan::compile(table, request);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return plan.ok() ? std::move(plan).value() : TapPlan();
}

Names stored(const SiteTable& table, const TapRequest& request) {
  Names names;
  const TapPlan plan = compiled(table, request);
  for (const StoredSite& site : plan.stored()) names.push_back(site.name);
  return names;
}

std::string refused(const SiteTable& table, const TapRequest& request) {
  const auto plan = TapPlan::compile(table, request);
  EXPECT_FALSE(plan.ok());
  if (plan) return {};
  EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
  return plan.error().message;
}

TEST(Plan, NothingNamedMeansAllLayers) {
  const SiteTable table = one_stack(3, true);
  EXPECT_EQ(stored(table, {}), (Names{"embed", "block.0.out", "block.1.out", "final"}));
  EXPECT_EQ(stored(table, {.layers = "all"}), stored(table, {}));
  const SiteTable both = two_stacks();
  EXPECT_EQ(stored(both, {}), (Names{"enc.embed", "enc.block.0.out", "enc.final", "dec.embed", "dec.block.0.out",
                                     "dec.block.1.out", "dec.final"}));
}

TEST(Plan, OnlyWhatIsNamed) {
  const SiteTable table = one_stack(3, true);
  EXPECT_EQ(stored(table, {.layers = "1"}), (Names{"block.0.out"}));
  EXPECT_EQ(stored(table, {.sites = "final"}), (Names{"final"}));
  EXPECT_EQ(stored(table, {.layers = "-1", .sites = "block.*.mlp.act,final"}),
            (Names{"block.0.mlp.act", "block.1.mlp.act", "block.2.mlp.act", "final"}));
  EXPECT_EQ(stored(table, {.mix = "0..1"}), (Names{"mix"}));
  EXPECT_EQ(stored(table, {.layers = "0", .mix = "1=1"}), (Names{"embed", "mix"}));
  EXPECT_EQ(stored(two_stacks(), {.layers = "enc:-1"}), (Names{"enc.final"}));
  EXPECT_EQ(stored(two_stacks(), {.mix = "dec:0..1"}), (Names{"dec.mix"}));
  EXPECT_EQ(stored(two_stacks(), {.mix = "0..1"}), (Names{"enc.mix", "dec.mix"}));
}

TEST(Plan, HfIndexIsThatOfTransformers) {
  for (const bool top : {true, false}) {
    const TapPlan plan = compiled(one_stack(3, top), {.sites = "**"});
    std::set<int> seen;
    for (const StoredSite& site : plan.stored()) {
      std::optional<int> expected;
      if (site.name == "embed") expected = 0;
      if (site.name == "block.0.out") expected = 1;
      if (site.name == "block.1.out") expected = 2;
      if (site.name == "block.2.out" && !top) expected = 3;  // an alias of final, where nothing stands between
      if (site.name == "final") expected = 3;
      EXPECT_EQ(site.hf_index, expected) << site.name << (top ? " with" : " without") << " a top norm";
      if (site.hf_index) seen.insert(*site.hf_index);
    }
    EXPECT_EQ(seen, (std::set<int>{0, 1, 2, 3}));
  }
  EXPECT_EQ(stored(one_stack(3, false), {.layers = "3"}), (Names{"final"}));
  EXPECT_EQ(stored(one_stack(3, true), {.sites = "block.2.out"}), (Names{"block.2.out"}));
}

TEST(Plan, DepthIsThatOfTheDeepestSite) {
  const SiteTable table = one_stack(3, true);
  struct Case {
    TapRequest request;
    int blocks, steps;
    bool top;
  };
  const Case cases[] = {
      {{.layers = "0"}, 0, 0, false},
      {{.layers = "1"}, 1, 0, false},
      {{.layers = "2"}, 2, 0, false},
      {{.sites = "block.0.attn.q"}, 1, 1, false},
      {{.sites = "block.1.attn.probs"}, 2, 1, false},
      {{.sites = "block.1.mlp.in"}, 2, 2, false},
      {{.sites = "block.1.attn.q,block.1.mlp.in"}, 2, 2, false},
      {{.sites = "block.1.attn.q,block.1.out"}, 2, 0, false},
      {{.layers = "0", .sites = "block.2.attn.in"}, 3, 1, false},
      {{.sites = "block.2.out"}, 3, 0, false},
      {{.sites = "final"}, 3, 0, true},
      {{.sites = "embed,final"}, 3, 0, true},
      {{.mix = "0=1,2=1"}, 2, 0, false},
      {{}, 3, 0, true},
  };
  for (const Case& test : cases) {
    const TapPlan::Depth depth = compiled(table, test.request).depth(StackId::kEncoder);
    const std::string what = test.request.layers + "|" + test.request.sites + "|" + test.request.mix;
    EXPECT_EQ(depth.blocks, test.blocks) << what;
    EXPECT_EQ(depth.steps, test.steps) << what;
    EXPECT_EQ(depth.top, test.top) << what;
  }
  const TapPlan encoder = compiled(two_stacks(), {.sites = "enc.block.0.out"});
  EXPECT_TRUE(encoder.wants_stack(StackId::kEncoder));
  EXPECT_FALSE(encoder.wants_stack(StackId::kDecoder));
}

TEST(Plan, WantsFindsEveryObservedSiteAndNoOther) {
  for (const SiteTable& table : {one_stack(3, true), two_stacks()}) {
    const TapPlan all = compiled(table, {.sites = "**"});
    ASSERT_EQ(all.observed().size(), table.sites.size());
    for (std::size_t i = 0; i < table.sites.size(); ++i) {
      const Site& site = table.sites[i];
      EXPECT_EQ(all.wants(site.stack, site.block, site.step, site.kind), static_cast<int>(i)) << site.name;
      const TapPlan one = compiled(table, {.sites = site.name});
      for (const Site& other : table.sites)
        EXPECT_EQ(one.wants(other.stack, other.block, other.step, other.kind), other.name == site.name ? 0 : -1)
            << other.name << " when only " << site.name << " is wanted";
    }
  }
}

TEST(Plan, UsageErrors) {
  const SiteTable table = one_stack(3, true);
  const std::string unknown = refused(table, {.sites = "final,block.3.out"});
  EXPECT_NE(unknown.find("\"block.3.out\""), std::string::npos);
  EXPECT_NE(unknown.find("block.{i}.attn.probs"), std::string::npos) << "lists what there is";
  EXPECT_NE(unknown.find("embed"), std::string::npos);
  EXPECT_EQ(unknown.find('\n'), std::string::npos);
  EXPECT_NE(refused(table, {.positions = "first", .pool = Pooling::kMean}).find("--pool"), std::string::npos);
  EXPECT_NE(refused(table, {.sites = "**", .pool = Pooling::kMean}).find("probs"), std::string::npos);
  EXPECT_NE(refused(table, {.sites = "block.0.attn.probs", .positions = "0"}).find("probs"), std::string::npos);
  EXPECT_TRUE(TapPlan::compile(table, {.sites = "block.0.attn.probs"}).ok());
  for (const char* positions : {"", "x", "0,", "sample:0", "sample:-1", "sample:", "sample:x", "first,last", "1..2",
                                "2147483648", "-2147483649"})
    EXPECT_FALSE(refused(table, {.positions = positions}).empty()) << positions;
  EXPECT_FALSE(refused(table, {.layers = "4"}).empty());
  EXPECT_FALSE(refused(table, {.mix = "0=1,0=1"}).empty());
  EXPECT_FALSE(refused(table, {.sites = "dec.final"}).empty());
}

TEST(Plan, Positions) {
  using Picks = std::vector<std::int32_t>;
  const SiteTable table = one_stack(1, true);
  const auto picks = [&](const char* positions, std::int64_t tokens) {
    return compiled(table, {.positions = positions}).picks(0, tokens);
  };
  EXPECT_FALSE(compiled(table, {}).has_picks());
  EXPECT_EQ(picks("first", 5), (Picks{0}));
  EXPECT_EQ(picks("last", 5), (Picks{4}));
  EXPECT_EQ(picks("last", 1), (Picks{0}));
  EXPECT_EQ(picks("0,-1,2", 5), (Picks{0, 2, 4}));
  EXPECT_EQ(picks("0,-1,2", 2), (Picks{0, 1})) << "2 is absent";
  EXPECT_EQ(picks("0,-1", 1), (Picks{0})) << "one token, named twice";
  EXPECT_EQ(picks("-3", 2), (Picks{}));
  EXPECT_EQ(picks("7", 2), (Picks{}));
  EXPECT_EQ(picks("4,2,0", 5), (Picks{0, 2, 4}));
  EXPECT_EQ(picks("-2147483648,2147483647", 5), (Picks{}));
}

TEST(Plan, SampledPositionsAreThoseWithTheSmallestHash) {
  const SiteTable table = one_stack(1, true);
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{42}, ~std::uint64_t{0}}) {
    const TapPlan plan = compiled(table, {.positions = "sample:4", .seed = seed});
    for (const std::int64_t row : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1} << 40}) {
      for (const std::int64_t tokens : {1, 3, 4, 5, 100}) {
        std::vector<std::pair<std::uint64_t, std::int32_t>> keyed;
        for (std::int32_t position = 0; position < tokens; ++position) {
          std::array<std::byte, 16> key{};
          for (std::size_t b = 0; b < 8; ++b) {
            key[b] = static_cast<std::byte>(static_cast<std::uint64_t>(row) >> (8 * b));
            key[8 + b] = static_cast<std::byte>(static_cast<std::uint64_t>(position) >> (8 * b));
          }
          keyed.emplace_back(hash64(key, seed), position);
        }
        std::sort(keyed.begin(), keyed.end());
        keyed.resize(std::min<std::size_t>(keyed.size(), 4));
        std::vector<std::int32_t> expected;
        for (const auto& [hash, position] : keyed) expected.push_back(position);
        std::sort(expected.begin(), expected.end());
        EXPECT_EQ(plan.picks(row, tokens), expected) << "row " << row << ", " << tokens << " tokens";
      }
    }
  }
  const auto at = [&](std::uint64_t seed, std::int64_t row) {
    return compiled(table, {.positions = "sample:4", .seed = seed}).picks(row, 1000);
  };
  EXPECT_NE(at(0, 0), at(1, 0));
  EXPECT_NE(at(0, 0), at(0, 1));
}

TEST(Plan, StoredRowsAndElements) {
  const SiteTable table = two_stacks(4);
  const std::array<std::int64_t, 2> tokens = {5, 3};
  const TapPlan all = compiled(table, {.sites = "**"});
  for (std::size_t i = 0; i < all.stored().size(); ++i) {
    const StoredSite& site = all.stored()[i];
    const bool encoder = site.stack == StackId::kEncoder;
    const bool reads_encoder = site.name.find("cross.k") != std::string::npos ||
                               site.name.find("cross.v") != std::string::npos ||
                               site.name.find("cross.probs") != std::string::npos;
    EXPECT_EQ(site.cross, reads_encoder) << site.name;
    const std::int64_t own = encoder ? 5 : 3, keys = encoder || reads_encoder ? 5 : 3;
    if (site.unit == StoredUnit::kProbs) {
      EXPECT_EQ(all.stored_rows(i, 0, tokens), 2 * own) << site.name;
      EXPECT_EQ(all.stored_elements(i, 0, tokens), 2 * own * keys) << site.name;
    } else {
      EXPECT_EQ(all.stored_rows(i, 0, tokens), keys) << site.name;
      EXPECT_EQ(all.stored_elements(i, 0, tokens), keys * site.width) << site.name;
    }
  }
  const TapPlan pooled = compiled(table, {.pool = Pooling::kMean});
  EXPECT_EQ(pooled.stored_elements(0, 0, tokens), 4);
  const TapPlan picked = compiled(table, {.sites = "enc.final,dec.final,dec.block.0.cross.k", .positions = "0,4"});
  ASSERT_EQ(picked.stored().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(picked.stored_rows(i, 0, tokens), picked.stored()[i].name == "dec.final" ? 1 : 2)
        << picked.stored()[i].name;
}

TEST(Plan, PoolingNamesReadBack) {
  for (int i = 0; i <= static_cast<int>(Pooling::kLast); ++i)
    EXPECT_EQ(pooling_from_name(pooling_name(static_cast<Pooling>(i))), static_cast<Pooling>(i));
  EXPECT_EQ(pooling_from_name("average"), std::nullopt);
}

}  // namespace
}  // namespace layerscope::testing
