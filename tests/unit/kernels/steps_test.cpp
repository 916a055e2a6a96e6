// Products of single-token steps, keys and values in pages, and a team's parts: precision, and that a row's bits depend
// on nothing but itself.
#include <atomic>
#include <chrono>
#include <limits>
#include <new>
#include <thread>

#include "backend/team_backend.h"
#include "kernels/kernels.h"
#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

std::unique_ptr<PackedLinear> packed(const Backend& backend, const Rows& weights, std::span<const float> bias,
                                     Activation activation) {
  const MatrixView matrix{weights.dtype, weights.bytes.data(), weights.rows, weights.width, weights.stride, 1};
  auto result = backend.pack(std::span(&matrix, 1), bias, activation);
  EXPECT_TRUE(result.ok());
  return result.ok() ? std::move(result).value() : nullptr;
}

class Steps : public EveryBackend {
 protected:
  Rows run(const Backend& by, const PackedLinear& weights, const RowsView& in, DType type) {
    Rows out(type, in.rows, weights.outputs, 3);
    EXPECT_TRUE(by.linear_steps(weights, {0, weights.outputs}, in, out.mutable_view(), *scratch).ok());
    EXPECT_TRUE(out.gaps_intact());
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Steps, ::testing::ValuesIn(all_kinds()), kind_name);

struct Size {
  std::int64_t rows, inputs, outputs;
};

TEST_P(Steps, AreTheProductOfFloat64) {
  for (const Size size : {Size{1, 1, 1}, {2, 3, 5}, {1, 1000, 33}, {16, 129, 65}, {17, 384, 130}, {5, 1000, 64}}) {
    const Rows weights = random_rows(operand, size.outputs, size.inputs, 1, 0, 0, 0.1);
    const Rows in = random_rows(operand, size.rows, size.inputs, 3, 5);
    const std::vector<float> bias = random_floats(size.outputs, 2);
    const MatrixView matrix{operand, weights.bytes.data(), size.outputs, size.inputs, size.inputs, 1};
    for (const Activation activation : {Activation::kNone, Activation::kGeluErf, Activation::kReluSquared}) {
      const auto linear = packed(*backend, weights, bias, activation);
      ASSERT_NE(linear, nullptr);
      Rows expected(DType::kF64, size.rows, size.outputs);
      reference::linear<double>(std::span(&matrix, 1), bias, activation, in.view(), expected.mutable_view());
      for (const DType type : {DType::kF32, operand}) {
        EXPECT_LT(relative_l2(run(*backend, *linear, in.view(), type), expected), type == DType::kBF16 ? 4e-3 : 1e-6)
            << size.rows << "x" << size.inputs << "x" << size.outputs;
      }
    }
  }
}

TEST_P(Steps, ARowsBitsDependNeitherOnItsCompanyNorOnTheTeam) {
  for (const Size size : {Size{40, 300, 200}, {40, 1024, 130}, {40, 64, 37}}) {
    const Rows weights = random_rows(DType::kF32, size.outputs, size.inputs, 1, 0, 0, 0.1);
    const std::vector<float> bias = random_floats(size.outputs, 2);
    const auto linear = packed(*backend, weights, bias, Activation::kSilu);
    ASSERT_NE(linear, nullptr);
    const Rows in = random_rows(operand, size.rows, size.inputs, 3);
    const Rows together = run(*backend, *linear, in.view(), DType::kF32);
    for (const int threads : {1, 2, 3}) {
      Team team(*backend, threads);
      const TeamBackend shared(*backend, &team, true);
      for (const std::int64_t rows : {1, 2, 6, 7, 13, 16, 17, 40}) {
        for (const std::int64_t first : {std::int64_t{0}, size.rows - rows}) {
          const Rows alone = run(shared, *linear, in.slice(first, rows), DType::kF32);
          for (std::int64_t row = 0; row < rows; ++row)
            EXPECT_TRUE(same_bytes(alone, row, together, first + row)) << rows << " rows, " << threads << " threads";
        }
      }
    }
  }
}

// What a step gives are the bits of the whole sequence's pass: the chains of the tiles' product are found by trial.
TEST_P(Steps, HaveTheBitsOfTilesWhereNoActivationFollows) {
  for (const std::int64_t inputs : {64, 384, 512, 768, 1024, 1536, 2816}) {
    const Rows weights = random_rows(DType::kF32, 130, inputs, 1, 0, 0, 0.1);
    const std::vector<float> bias = random_floats(130, 2);
    const auto linear = packed(*backend, weights, bias, Activation::kNone);
    ASSERT_NE(linear, nullptr);
    const Rows in = random_rows(operand, 20, inputs, 3);
    Rows tiles(DType::kF32, 20, 130, 3);
    ASSERT_TRUE(backend->linear(*linear, in.view(), tiles.mutable_view(), *scratch).ok());
    const Rows steps = run(*backend, *linear, in.view(), DType::kF32);
    for (std::int64_t row = 0; row < 20; ++row) EXPECT_TRUE(same_bytes(steps, row, tiles, row)) << inputs;
  }
}

TEST_P(Steps, RangesOfOutputsLeaveTheOthersAlone) {
  const Rows weights = random_rows(DType::kF32, 200, 70, 1), in = random_rows(operand, 3, 70, 3);
  const auto linear = packed(*backend, weights, {}, Activation::kNone);
  ASSERT_NE(linear, nullptr);
  const Rows whole = run(*backend, *linear, in.view(), DType::kF32);
  const std::int64_t begin = linear->grain, end = std::min<std::int64_t>(2 * linear->grain, 200);
  Rows part(DType::kF32, 3, 200);
  const Rows before = part;
  ASSERT_TRUE(backend->linear_steps(*linear, {begin, end}, in.view(), part.mutable_view(), *scratch).ok());
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t o = 0; o < 200; ++o)
      EXPECT_EQ(part.at(row, o), (o >= begin && o < end ? whole : before).at(row, o)) << o;
  }
}

/// A cache that is filled piece by piece, as one sequence's tokens come.
class Remembering {
 public:
  Remembering(const Backend& backend, const AttentionArguments& whole) : backend_(&backend), whole_(whole) {}
  void add(std::int64_t count, Scratch& scratch) {
    AttentionArguments a = whole_;
    const auto part = [&](RowsView& rows) {
      rows.data += tokens_ * rows.stride * static_cast<std::int64_t>(sizeof(float));
      rows.rows = count;
    };
    part(a.k);
    part(a.v);
    tokens_ += count;
    const std::size_t bytes = backend_->page_bytes(a.kv_heads, a.d_qk, a.d_v);
    while (static_cast<std::int64_t>(memory_.size()) * KeyValuePages::kTokens < tokens_) {
      memory_.emplace_back();
      std::memset(memory_.back().reserve(bytes), 0, bytes);
      pages_.push_back(memory_.back().data());
    }
    a.cache = view();
    backend_->remember(a, scratch);
  }
  [[nodiscard]] KeyValuePages view() { return {.pages = pages_.data(), .tokens = tokens_}; }

 private:
  const Backend* backend_;
  AttentionArguments whole_;
  std::vector<AlignedBuffer> memory_;
  std::vector<std::byte*> pages_;
  std::int64_t tokens_ = 0;
};

struct Case {
  std::int64_t keys, heads, kv_heads, d_qk, d_v;
  bool bias, sinks;
  float softcap;
  std::int64_t window;
};
constexpr Case kCases[] = {{300, 4, 2, 64, 64, false, false, 0, Reach::kUnlimited},
                           {200, 2, 2, 17, 33, true, false, 0, 40},
                           {131, 3, 1, 7, 97, false, true, 2, Reach::kUnlimited},
                           {3, 1, 1, 1, 1, false, false, 0, Reach::kUnlimited}};

struct Operands {
  explicit Operands(const Case& c)
      : q(random_rows(DType::kF32, c.keys, c.heads * c.d_qk, 1, 3)),
        k(random_rows(DType::kF32, c.keys, c.kv_heads * c.d_qk, 2, 5)),
        v(random_rows(DType::kF32, c.keys, c.kv_heads * c.d_v, 3, 1)),
        table(random_floats(c.heads * (2 * c.keys + 1), 4)),
        sinks(random_floats(c.heads, 5, 1)),
        bias{table.data(), 2 * c.keys + 1, c.keys} {
    arguments = {.q = q.view(),
                 .k = k.view(),
                 .v = v.view(),
                 .heads = c.heads,
                 .kv_heads = c.kv_heads,
                 .d_qk = c.d_qk,
                 .d_v = c.d_v,
                 .scale = 0.2F,
                 .reach = {c.window, 0},
                 .bias = c.bias ? &bias : nullptr,
                 .softcap = c.softcap,
                 .sinks = c.sinks ? sinks.data() : nullptr};
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  Rows q, k, v;
  std::vector<float> table, sinks;
  DistanceBias bias;
  AttentionArguments arguments;
};

TEST_P(Steps, AttentionOverACacheHasTheBitsOfTheWholeSequence) {
  for (const Case& c : kCases) {
    Operands operands(c);
    const AttentionArguments& whole = operands.arguments;
    const std::int64_t width = c.heads * c.d_v;
    Rows expected(DType::kF32, c.keys, width);
    backend->attention(whole, expected.mutable_view(), *scratch);
    for (const std::int64_t prompt : {std::int64_t{1}, std::int64_t{5}, c.keys}) {
      Remembering cache(*backend, whole);
      std::int64_t done = 0;
      for (std::int64_t count = std::min(prompt, c.keys); done < c.keys; done += count) {
        // The prompt, then tokens one by one, and now and then several.
        if (done > 0) count = std::min<std::int64_t>(done % 50 == 49 ? 9 : 1, c.keys - done);
        cache.add(count, *scratch);
        AttentionArguments a = whole;
        a.q = operands.q.slice(done, count);
        a.k = a.v = {};
        a.first_position = done;
        a.cache = cache.view();
        Rows z(DType::kF32, count, width);
        backend->attention(a, z.mutable_view(), *scratch);
        for (std::int64_t row = 0; row < count; ++row)
          ASSERT_TRUE(same_bytes(z, row, expected, done + row)) << "token " << done + row << " of " << c.keys;
        Rows p(DType::kF32, 1, done + count), q(DType::kF32, 1, c.keys);
        backend->attention_probabilities(a, c.heads - 1, count - 1, p.mutable_view(), *scratch);
        backend->attention_probabilities(whole, c.heads - 1, done + count - 1, q.mutable_view(), *scratch);
        ASSERT_EQ(std::memcmp(p.bytes.data(), q.bytes.data(), p.bytes.size()), 0);
      }
    }
  }
}

TEST_P(Steps, AValueThatIsNotFiniteStaysWithThoseThatSeeIt) {
  Operands operands({140, 1, 1, 8, 8, false, false, 0, Reach::kUnlimited});
  for (std::int64_t i = 0; i < 8; ++i) operands.v.set(130, i, std::numeric_limits<double>::infinity());
  Remembering cache(*backend, operands.arguments);
  cache.add(130, *scratch);
  cache.add(1, *scratch);
  cache.add(9, *scratch);
  AttentionArguments a = operands.arguments;
  a.k = a.v = {};
  a.cache = cache.view();
  Rows z(DType::kF32, 140, 8);
  backend->attention(a, z.mutable_view(), *scratch);
  for (std::int64_t row = 0; row < 140; ++row) EXPECT_EQ(std::isfinite(z.at(row, 0)), row < 130) << row;
}

TEST_P(Steps, ATeamsAttentionHasTheBitsOfOneThread) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    Rows expected(DType::kF32, c.keys, c.heads * c.d_v);
    backend->attention(operands.arguments, expected.mutable_view(), *scratch);
    for (const int threads : {2, 5}) {
      Team team(*backend, threads);
      const TeamBackend shared(*backend, &team, false);
      for (const bool cached : {false, true}) {
        Rows first(DType::kF32, c.keys, c.heads * c.d_v), second = first;
        Remembering one(*backend, operands.arguments), other(*backend, operands.arguments);
        std::vector<AttentionCall> calls = {{operands.arguments, first.mutable_view()},
                                            {operands.arguments, second.mutable_view()}};
        if (cached) {  // nothing but zeros in the pages until the team remembers
          Operands zeros(c);
          std::fill(zeros.k.bytes.begin(), zeros.k.bytes.end(), std::byte{0});
          std::fill(zeros.v.bytes.begin(), zeros.v.bytes.end(), std::byte{0});
          Remembering* caches[] = {&one, &other};
          for (std::size_t i = 0; i < 2; ++i) {
            *caches[i] = Remembering(*backend, zeros.arguments);
            caches[i]->add(c.keys, *scratch);
            calls[i].arguments.cache = caches[i]->view();
            calls[i].remember = true;
          }
        }
        shared.attend(calls, *scratch);
        EXPECT_EQ(first.bytes, expected.bytes) << threads << " threads, cached " << cached;
        EXPECT_EQ(second.bytes, expected.bytes) << threads << " threads, cached " << cached;
      }
    }
  }
}

TEST_P(Steps, ATeamsTilesAndRowsHaveTheBitsOfOneThread) {
  const Rows weights = random_rows(DType::kF32, 200, 96, 1, 0, 0, 0.1), in = random_rows(operand, 330, 96, 3);
  const auto linear = packed(*backend, weights, random_floats(200, 2), Activation::kGeluErf);
  ASSERT_NE(linear, nullptr);
  Team team(*backend, 3);
  const TeamBackend shared(*backend, &team, false);
  const std::vector<float> weight = random_floats(96, 7);
  const NormView norm{NormKind::kLayer, 1e-5F, weight.data(), nullptr};
  for (const std::int64_t rows : {1, 15, 31, 32, 33, 100, 330}) {
    Rows expected(DType::kF32, rows, 200), found(DType::kF32, rows, 200);
    ASSERT_TRUE(backend->linear(*linear, in.slice(0, rows), expected.mutable_view(), *scratch).ok());
    ASSERT_TRUE(shared.linear(*linear, in.slice(0, rows), found.mutable_view(), *scratch).ok());
    EXPECT_EQ(found.bytes, expected.bytes) << rows;
    const Rows x = random_rows(DType::kF32, rows, 96, 9);
    Rows a(operand, rows, 96), b(operand, rows, 96);
    backend->norm(norm, x.view(), a.mutable_view());
    shared.norm(norm, x.view(), b.mutable_view());
    EXPECT_EQ(a.bytes, b.bytes);
    backend->gate(Activation::kSilu, x.view(), x.view(), a.mutable_view());
    shared.gate(Activation::kSilu, x.view(), x.view(), b.mutable_view());
    EXPECT_EQ(a.bytes, b.bytes);
    Rows bad = x;
    EXPECT_TRUE(shared.all_finite(bad.view()));
    bad.set(rows - 1, 95, std::numeric_limits<double>::quiet_NaN());
    EXPECT_FALSE(shared.all_finite(bad.view()));
  }
}

TEST(ATeam, DoesEveryPartOnceAndPassesOnThatMemoryRanOut) {
  const auto backend = make_cpu_backend({});
  ASSERT_TRUE(backend.ok());
  for (const int threads : {-1, 1, 2, 7}) {
    Team team(**backend, threads);
    EXPECT_EQ(team.size(), std::max(threads, 1));
    for (int round = 0; round < 200; ++round) {
      std::vector<std::atomic<int>> members(static_cast<std::size_t>(team.size())), parts(23);
      team.on_all([&](int member) { ++members[static_cast<std::size_t>(member)]; });
      team.for_each(parts.size(), [&](std::size_t part, int) { ++parts[part]; });
      for (const auto& count : members) EXPECT_EQ(count, 1);
      for (const auto& count : parts) EXPECT_EQ(count, 1);
      if (round % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // long enough to fall asleep
    }
    EXPECT_THROW(team.on_all([&](int member) {
      if (member == team.size() - 1) throw std::bad_alloc();
    }),
                 std::bad_alloc);
    team.on_all([](int) {});
  }
}

}  // namespace
}  // namespace layerscope
