// Golden models write on behind prompts as transformers does (tests/oracle/make_generation.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/json.h"
#include "session/generator.h"
#include "session/model_state.h"
#include "support/golden.h"

namespace layerscope::testing {
namespace {

std::vector<std::int32_t> ids_of(const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& item : *list.array()) ids.push_back(static_cast<std::int32_t>(*item.integer()));
  return ids;
}

const Json& references() {
  static const Json json = [] {
    auto read =
        read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/generation/greedy.json", ErrorCode::kRuntime);
    EXPECT_TRUE(read.ok());
    return read.ok() ? std::move(read).value() : Json();
  }();
  return json;
}

std::vector<std::string> models() {
  std::vector<std::string> names;
  for (const auto& [name, rows] : *references().object()) names.push_back(name);
  return names;
}

/// All rows together, by tag.
std::vector<GeneratedRow> generate(const Model& model, const GenerationOptions& options,
                                   const std::vector<std::vector<std::int32_t>>& prompts, const TapPlan* plan = nullptr,
                                   GenerationObserver* observer = nullptr) {
  auto generator = Generator::create(model, options, plan, observer);
  EXPECT_TRUE(generator.ok()) << generator.error().message;
  if (!generator) return {};
  for (std::size_t tag = 0; tag < prompts.size(); ++tag) {
    auto row = (*generator)->tokenize(TextRow{.ids = prompts[tag]});
    EXPECT_TRUE(row.ok()) << row.error().message;
    if (row) (*generator)->join(tag, static_cast<std::int64_t>(tag), std::move(row).value());
  }
  std::vector<GeneratedRow> rows(prompts.size());
  while ((*generator)->rows() > 0) {
    auto finished = (*generator)->step();
    EXPECT_TRUE(finished.ok()) << finished.error().message;
    if (!finished) break;
    for (GeneratedRow& row : *finished) rows[row.tag] = std::move(row);
  }
  return rows;
}

class Generation : public ::testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] std::string folder() const { return golden_folder() + "/" + GetParam(); }
  [[nodiscard]] std::unique_ptr<Model> open() const {
    auto model = Model::open(folder());
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model ? std::move(model).value() : nullptr;
  }
  [[nodiscard]] GenerationOptions options(const Model& model, const GenerationFlags& flags) const {
    auto read = read_generation_config(folder(), model.info().vocabulary_size);
    EXPECT_TRUE(read.ok()) << read.error().message;
    auto config = with_flags(read ? *read : GenerationConfig(), flags);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return {.config = config ? *config : GenerationConfig()};
  }
  [[nodiscard]] const Json::Array& rows() const { return *references().find(GetParam())->array(); }
};

TEST_P(Generation, GreedyAsTheReference) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  for (const Json& row : rows()) {
    for (const bool free : {true, false}) {
      GenerationOptions asked = options(*model, {.ignore_eos = free});
      asked.max_new_tokens = *row.find("new_tokens")->integer();
      const auto made = generate(*model, asked, {ids_of(*row.find("prompt"))});
      EXPECT_EQ(made.front().output_ids, ids_of(*row.find(free ? "free" : "folder"))) << free;
    }
  }
}

/// Keeps what rows show: [row][observed site] values in token order.
class Kept final : public GenerationObserver {
 public:
  explicit Kept(std::size_t rows, std::size_t sites) : values(rows, std::vector<std::vector<float>>(sites)) {}
  Status observe(std::uint64_t tag, const Frame& frame) override {
    std::vector<float>& site = values[tag][static_cast<std::size_t>(frame.observed)];
    EXPECT_EQ(static_cast<std::int64_t>(site.size()), frame.first * frame.rows.width);
    for (std::int64_t i = 0; i < frame.rows.rows; ++i)
      site.insert(site.end(), frame.rows.row<float>(i), frame.rows.row<float>(i) + frame.rows.width);
    return {};
  }
  void restart(std::uint64_t tag) override {
    for (auto& site : values[tag]) site.clear();
  }
  std::vector<std::vector<std::vector<float>>> values;
};

std::vector<std::vector<std::int32_t>> many_prompts(const Model& model, std::size_t count, std::int64_t longest) {
  std::vector<std::vector<std::int32_t>> prompts(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto length = 1 + static_cast<std::int64_t>(i * 7) % longest;
    for (std::int64_t k = 0; k < length; ++k)
      prompts[i].push_back(
          static_cast<std::int32_t>((11 + static_cast<std::int64_t>(i) * 31 + k * 17) % model.info().vocabulary_size));
  }
  return prompts;
}

TEST_P(Generation, SampledBitsDoNotDependOnCompanyOrThreads) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  auto plan = TapPlan::compile(model->sites(), {.layers = "all"});
  ASSERT_TRUE(plan.ok());
  GenerationOptions asked = options(*model, {.temperature = 1.0, .ignore_eos = false});
  asked.max_new_tokens = 9;
  asked.seed = 5;
  asked.last_state = true;
  const auto prompts = many_prompts(*model, 16, 9);
  Kept together(16, plan->observed().size()), threaded(16, plan->observed().size());
  const auto rows = generate(*model, asked, prompts, &*plan, &together);
  asked.threads = 3;
  const auto again = generate(*model, asked, prompts, &*plan, &threaded);
  for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(again[i].output_ids, rows[i].output_ids);
  EXPECT_EQ(threaded.values, together.values);
  asked.threads = 1;
  for (const std::size_t count : {1U, 3U}) {
    const std::vector<std::vector<std::int32_t>> few(prompts.begin(),
                                                     prompts.begin() + static_cast<std::ptrdiff_t>(count));
    Kept alone(count, plan->observed().size());
    const auto made = generate(*model, asked, few, &*plan, &alone);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(made[i].output_ids, rows[i].output_ids);
      EXPECT_EQ(alone.values[i], together.values[i]);
    }
  }
}

TEST_P(Generation, StatesAreThoseOfTheWholeSequence) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const bool two_stacks = model->info().two_stacks;
  for (const Block& block : model->state().spec.decoder->blocks) {
    for (const Step& step : block.steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      const bool grows = attention != nullptr && attention->rope &&
                         std::holds_alternative<DynamicFrequencies>(attention->rope->frequencies);
      if (grows) GTEST_SKIP() << "its angles change with every token, and keys that are cached keep theirs";
    }
  }
  auto plan = TapPlan::compile(model->sites(), {.layers = "all", .sites = "logits"});
  ASSERT_TRUE(plan.ok());
  const std::vector<std::int32_t> prompt = ids_of(*rows().front().find("prompt"));
  GenerationOptions asked = options(*model, {.ignore_eos = true});
  asked.max_new_tokens = *rows().front().find("new_tokens")->integer();
  Kept kept(1, plan->observed().size());
  const auto made = generate(*model, asked, {prompt}, &*plan, &kept);
  const GeneratedRow& row = made.front();
  std::vector<std::int32_t> ids = two_stacks ? row.prompt.decoder->ids : prompt;
  ids.insert(ids.end(), row.output_ids.begin(), row.output_ids.end() - 1);
  EXPECT_EQ(row.states, static_cast<std::int64_t>(ids.size()));
  TextRow whole{.ids = prompt};
  (two_stacks ? whole.decoder_ids : whole.ids) = ids;
  const auto states = model->states({whole}, {.request = {.layers = "all", .sites = "logits"}});
  ASSERT_TRUE(states.ok()) << states.error().message;
  for (std::size_t i = 0; i < plan->observed().size(); ++i) {
    const Site& site = plan->observed()[i];
    const StateBlock* block = states->front().find(site.name);
    ASSERT_NE(block, nullptr) << site.name;
    const std::vector<float>& values = kept.values[0][i];
    ASSERT_EQ(values.size(), block->values.size()) << site.name;
    const auto width = static_cast<std::ptrdiff_t>(site.width);
    for (std::ptrdiff_t at = 0; at < static_cast<std::ptrdiff_t>(values.size()); at += width) {
      const std::vector<float> step(values.begin() + at, values.begin() + at + width),
          full(block->values.begin() + at, block->values.begin() + at + width);
      EXPECT_LE(relative_l2(step, full), 1e-5) << site.name << " at token " << at / width;
      if (site.name != "logits") continue;
      EXPECT_EQ(std::max_element(step.begin(), step.end()) - step.begin(),
                std::max_element(full.begin(), full.end()) - full.begin());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Generation, ::testing::ValuesIn(models()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace layerscope::testing
