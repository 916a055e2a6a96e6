// The contract on a real model: all-MiniLM-L6-v2, its tokens, its seven states, and their independence of company.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <thread>

#include "base/json.h"
#include "session/model_state.h"
#include "support/golden.h"

namespace layerscope::testing {
namespace {

constexpr double kExact = 1e-5;
constexpr double kHalf = 2e-2;

std::string model_folder() {
  const char* named = std::getenv("LAYERSCOPE_DEMO_MODEL");
  return named != nullptr ? named : std::string(LAYERSCOPE_SOURCE_DIR) + "/models/all-MiniLM-L6-v2";
}

std::vector<Json> json_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) {
    auto json = parse_json(line, path, ErrorCode::kInput);
    EXPECT_TRUE(json.ok()) << path << ":" << lines.size() + 1;
    if (json.ok()) lines.push_back(std::move(json).value());
  }
  return lines;
}

template <class T>
std::vector<T> integers(const Json& object, const char* key) {
  std::vector<T> values;
  for (const Json& item : *object.find(key)->array()) values.push_back(static_cast<T>(*item.integer()));
  return values;
}

class RealModel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(model_folder() + "/config.json"))
      GTEST_SKIP() << "no demo model in " << model_folder() << " (LAYERSCOPE_DEMO_MODEL names another folder)";
    const std::string folder = golden_folder() + "/all-MiniLM-L6-v2";
    texts_ = json_lines(folder + "/texts.jsonl");
    tokens_ = json_lines(folder + "/tokens.jsonl");
    reference_ = std::make_unique<Reference>(folder + "/reference.safetensors");
    ASSERT_EQ(texts_.size(), tokens_.size());
    ASSERT_EQ(texts_.size(), static_cast<std::size_t>(reference_->rows()));
    ASSERT_GE(texts_.size(), 20U);
  }

  static std::unique_ptr<Model> open(const OpenOptions& options = {}) {
    auto model = Model::open(model_folder(), options);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model.ok() ? std::move(model).value() : nullptr;
  }
  static TapPlan all_layers(const Model& model) {
    auto plan = TapPlan::compile(model.sites(), {});
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    return plan.ok() ? std::move(plan).value() : TapPlan();
  }
  [[nodiscard]] TextRow row(std::size_t index) const {
    TextRow row{.text = *texts_[index].find("text")->string()};
    if (const Json* pair = texts_[index].find("pair")) row.pair = *pair->string();
    return row;
  }
  [[nodiscard]] TextRow id_row(std::size_t index) const {
    return {.ids = integers<std::int32_t>(tokens_[index], "ids"),
            .type_ids = integers<std::uint8_t>(tokens_[index], "type_ids")};
  }
  // Runs rows as one batch; sequence i of it is tagged i.
  static Collected run(const Model& model, const TapPlan& plan, const std::vector<TextRow>& rows) {
    Batch batch;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto ready = model.tokenize(rows[i]);
      EXPECT_TRUE(ready.ok()) << ready.error().message;
      if (ready.ok()) model.append(batch, *ready, static_cast<std::int64_t>(i), i);
    }
    Collected values(plan);
    const Status status = model.run(batch, plan, values);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
  }
  [[nodiscard]] std::vector<TextRow> rows_at(const std::vector<std::size_t>& indices) const {
    std::vector<TextRow> rows;
    for (const std::size_t index : indices) rows.push_back(row(index));
    return rows;
  }
  // How many states of `values` differ from those of `expected`; sequence i holds text indices[i].
  static int differing(const TapPlan& plan, const Collected& values, const std::vector<std::size_t>& indices,
                       const std::vector<Collected>& expected) {
    int count = 0;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      for (const StoredSite& site : plan.stored()) {
        const std::vector<float>& alone = expected[indices[i]].at(0, site.name);
        const std::vector<float>& now = values.at(i, site.name);
        if (alone.empty() || alone.size() != now.size() ||
            std::memcmp(alone.data(), now.data(), alone.size() * sizeof(float)) != 0)
          ++count;
      }
    }
    return count;
  }

  std::vector<Json> texts_, tokens_;
  std::unique_ptr<Reference> reference_;
};

TEST_F(RealModel, TokensAreThoseOfTheReference) {
  const auto model = open({.weights = false});
  ASSERT_NE(model, nullptr);
  ASSERT_NE(model->state().tokenizer, nullptr);
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const TextRow text = row(i);
    const auto ready = model->tokenize(text);
    ASSERT_TRUE(ready.ok()) << i << ": " << ready.error().message;
    const auto expected_ids = integers<std::int32_t>(tokens_[i], "ids");
    EXPECT_EQ(ready->main.ids, expected_ids) << "text " << i;
    EXPECT_EQ(ready->main.ids, reference_->ids("r" + std::to_string(i) + ".input_ids")) << "text " << i;
    EXPECT_EQ(ready->main.special, integers<std::uint8_t>(tokens_[i], "special")) << "text " << i;
    auto types = ready->main.type_ids;
    types.resize(expected_ids.size(), 0);
    EXPECT_EQ(types, integers<std::uint8_t>(tokens_[i], "type_ids")) << "text " << i;

    const Tokenizer& tokenizer = *model->state().tokenizer;
    std::optional<std::string_view> pair;
    if (text.pair && !text.pair->empty()) pair = *text.pair;
    const auto encoding = tokenizer.encode(*text.text, pair, {.want_offsets = true});
    ASSERT_TRUE(encoding.ok());
    ASSERT_EQ(encoding->ids, expected_ids);
    for (std::size_t t = 0; t < expected_ids.size(); ++t) {
      EXPECT_EQ(tokenizer.token(expected_ids[t]), *(*tokens_[i].find("tokens")->array())[t].string());
      const Json& span = (*tokens_[i].find("offsets")->array())[t];
      std::pair<std::int64_t, std::int64_t> expected = {-1, -1};
      if (!span.is_null()) expected = {*(*span.array())[0].integer(), *(*span.array())[1].integer()};
      EXPECT_EQ(encoding->offsets[t], expected) << "text " << i << " token " << t;
      const Json& sequence = (*tokens_[i].find("sequence")->array())[t];
      EXPECT_EQ(encoding->sequence[t], sequence.is_null() ? -1 : *sequence.integer());
    }
  }
}

TEST_F(RealModel, EveryStateIsNearTheReferenceOnEveryInstructionSet) {
  for (const std::string& isa : cpu_isas()) {
    for (const auto& [dtype, bound] : {std::pair{"f32", kExact}, std::pair{"bf16", kHalf}}) {
      const auto model = open({.dtype = dtype, .isa = isa});
      ASSERT_NE(model, nullptr);
      const TapPlan plan = all_layers(*model);
      ASSERT_EQ(plan.stored().size(), 7U);
      double worst = 0;
      std::string where;
      for (std::size_t i = 0; i < texts_.size(); ++i) {
        const Collected values = run(*model, plan, {row(i)});
        for (const StoredSite& site : plan.stored()) {
          const std::string name = "r" + std::to_string(i) + "." + site.name;
          const double error = relative_l2(values.at(0, site.name), reference_->floats(name));
          EXPECT_LE(error, bound) << name << " " << isa << " " << dtype;
          if (error >= worst) {
            worst = error;
            where = name;
          }
        }
      }
      std::cout << isa << " " << dtype << ": worst relative L2 " << worst << " at " << where << "\n";
    }
  }
}

TEST_F(RealModel, BitsDoNotDependOnCompany) {
  for (const std::string& isa : cpu_isas()) {
    for (const char* dtype : {"f32", "bf16"}) {
      SCOPED_TRACE(isa + " " + dtype);
      const auto model = open({.dtype = dtype, .isa = isa});
      ASSERT_NE(model, nullptr);
      const TapPlan plan = all_layers(*model);
      std::vector<Collected> alone;
      for (std::size_t i = 0; i < texts_.size(); ++i) alone.push_back(run(*model, plan, {row(i)}));

      std::vector<std::size_t> order(texts_.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      EXPECT_EQ(differing(plan, run(*model, plan, rows_at(order)), order, alone), 0) << "all together";
      std::mt19937 random(7);
      std::shuffle(order.begin(), order.end(), random);
      EXPECT_EQ(differing(plan, run(*model, plan, rows_at(order)), order, alone), 0) << "shuffled";
      std::vector<std::size_t> repeated;
      for (std::size_t i = 0; i < 2 * order.size(); ++i) repeated.push_back(order[(i * 7) % order.size()]);
      EXPECT_EQ(differing(plan, run(*model, plan, rows_at(repeated)), repeated, alone), 0) << "at other offsets";
      for (std::size_t i = 0; i < texts_.size(); ++i)
        EXPECT_EQ(differing(plan, run(*model, plan, {id_row(i)}), {i}, alone), 0) << "ids of text " << i;
    }
  }
}

TEST_F(RealModel, BitsDoNotDependOnThreads) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const TapPlan plan = all_layers(*model);
  std::vector<Collected> alone;
  for (std::size_t i = 0; i < texts_.size(); ++i) alone.push_back(run(*model, plan, {row(i)}));
  for (std::size_t threads = 1; threads <= 4; ++threads) {
    std::vector<int> wrong(threads, -1);
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        model->enter_worker();
        std::vector<std::size_t> order(texts_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::mt19937 random(static_cast<unsigned>(t));
        std::shuffle(order.begin(), order.end(), random);
        wrong[t] = differing(plan, run(*model, plan, rows_at(order)), order, alone);
      });
    }
    for (std::thread& worker : workers) worker.join();
    EXPECT_EQ(wrong, std::vector<int>(threads, 0)) << threads << " threads";
  }
}

// The comparison above must notice one changed bit, else it proves nothing.
TEST_F(RealModel, TheComparisonSeesOneBit) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const TapPlan plan = all_layers(*model);
  const std::vector<Collected> alone = {run(*model, plan, {row(0)})};
  Collected changed = run(*model, plan, {row(0)});
  EXPECT_EQ(differing(plan, changed, {0}, alone), 0);
  std::vector<float> last = changed.at(0, "final");
  last.back() = std::nextafter(last.back(), 2.0F);
  const auto width = static_cast<std::int64_t>(plan.stored().back().width);
  const StateFrame frame{.site = 6,
                         .rows = {.data = reinterpret_cast<const std::byte*>(last.data()),
                                  .rows = static_cast<std::int64_t>(last.size()) / width,
                                  .width = width,
                                  .stride = width}};
  ASSERT_TRUE(changed.accept(frame).ok());
  EXPECT_EQ(differing(plan, changed, {0}, alone), 1);
}

}  // namespace
}  // namespace layerscope::testing
