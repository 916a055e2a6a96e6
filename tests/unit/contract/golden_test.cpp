// The contract of every family: states equal the reference, and do not depend on company, plan or instruction set.
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "session/model_state.h"
#include "support/golden.h"
#include "tap/reducer.h"

namespace layerscope::testing {
namespace {

constexpr double kExact = 1e-5;
constexpr double kHalf = 2e-2;

MutableRows rows_of(std::vector<float>& values, std::int64_t width) {
  return {.data = reinterpret_cast<std::byte*>(values.data()),
          .rows = static_cast<std::int64_t>(values.size()) / width,
          .width = width,
          .stride = width};
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { reference_ = std::make_unique<Reference>(folder() + "/reference.safetensors"); }

  static std::string folder() { return golden_folder() + "/" + GetParam(); }
  static std::unique_ptr<Model> open(const OpenOptions& options = {}) {
    auto model = Model::open(folder(), options);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model.ok() ? std::move(model).value() : nullptr;
  }
  static TapPlan plan(const Model& model, const TapRequest& request) {
    auto plan = TapPlan::compile(model.sites(), request);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    return plan.ok() ? std::move(plan).value() : TapPlan();
  }
  void append(Batch& batch, const Model& model, int row) const {
    auto ready = model.tokenize(text_row(*reference_, row, model.info().two_stacks));
    ASSERT_TRUE(ready.ok()) << ready.error().message;
    model.append(batch, *ready, row, static_cast<std::uint64_t>(row));
  }
  Collected run(const Model& model, const std::vector<int>& rows, const TapPlan& plan) const {
    Batch batch;
    for (const int row : rows) append(batch, model, row);
    Collected values(plan);
    const Status status = model.run(batch, plan, values);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return values;
  }
  [[nodiscard]] std::vector<int> all_rows() const {
    std::vector<int> rows(static_cast<std::size_t>(reference_->rows()));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int>(i);
    return rows;
  }

  // Logits of a head over labels rather than the vocabulary.
  [[nodiscard]] bool scores_labels(const Model& model, int row, const std::vector<float>& logits) const {
    const std::string prefix = "r" + std::to_string(row) + (model.info().two_stacks ? ".dec." : ".");
    const auto scores = static_cast<std::size_t>(model.state().spec.scores());
    return logits.size() != reference_->ids(prefix + "input_ids").size() * scores;
  }

  std::unique_ptr<Reference> reference_;
};

TEST_P(Golden, EverySiteEqualsTheReference) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const TapPlan everything = plan(*model, {.sites = "**"});
  ASSERT_GE(reference_->rows(), 4);
  for (const int row : all_rows()) {
    const Collected values = run(*model, {row}, everything);
    const std::vector<std::string> sites = reference_->sites(row);
    ASSERT_GE(sites.size(), 4U);
    for (const std::string& site : sites) {
      const std::vector<float> expected = reference_->floats("r" + std::to_string(row) + "." + site);
      if (site == "logits" && scores_labels(*model, row, expected)) continue;
      EXPECT_LE(relative_l2(values.at(static_cast<std::uint64_t>(row), site), expected), kExact)
          << site << " of row " << row;
    }
  }
}

TEST_P(Golden, WholeResultsAreTheStreamedOnes) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const TapRequest request{.sites = "**"};
  const Collected streamed = run(*model, all_rows(), plan(*model, request));
  std::vector<TextRow> rows;
  for (const int row : all_rows()) rows.push_back(text_row(*reference_, row, model->info().two_stacks));
  for (const int threads : {1, 3}) {
    const auto whole = model->states(rows, {.request = request, .threads = threads});
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      EXPECT_EQ((*whole)[row].sites.size(), model->sites().sites.size());
      for (const StateBlock& block : (*whole)[row].sites)
        EXPECT_EQ(block.values, streamed.at(row, block.site)) << block.site;
    }
  }
}

bool chooses_experts(const ModelSpec& spec) {
  if (!spec.decoder) return false;
  return std::any_of(spec.decoder->blocks.begin(), spec.decoder->blocks.end(), [](const Block& block) {
    return std::any_of(block.steps.begin(), block.steps.end(),
                       [](const Step& step) { return std::holds_alternative<Experts>(step.mixer); });
  });
}

// Where a rounding makes a token choose another expert its state is another one: there the middle token counts.
TEST_P(Golden, Bfloat16StaysNearTheReference) {
  const auto model = open({.dtype = "bf16"});
  ASSERT_NE(model, nullptr);
  const bool chooses = chooses_experts(model->state().spec);
  const TapPlan layers = plan(*model, {.layers = "all"});
  std::map<std::string, std::vector<double>> by_token;
  for (const int row : all_rows()) {
    const Collected values = run(*model, {row}, layers);
    for (const StoredSite& site : layers.stored()) {
      const std::string name = "r" + std::to_string(row) + "." + site.name;
      if (!reference_->has(name)) continue;
      const std::vector<float>& mine = values.at(static_cast<std::uint64_t>(row), site.name);
      const std::vector<float> expected = reference_->floats(name);
      ASSERT_EQ(mine.size(), expected.size());
      if (!chooses) {
        EXPECT_LE(relative_l2(mine, expected), kHalf) << name;
      }
      for (std::size_t at = 0; at < mine.size(); at += static_cast<std::size_t>(site.width)) {
        const auto token = [&](const std::vector<float>& all) {
          const auto first = all.begin() + static_cast<std::ptrdiff_t>(at);
          return std::vector<float>(first, first + site.width);
        };
        by_token[site.name].push_back(relative_l2(token(mine), token(expected)));
      }
    }
  }
  for (auto& [site, distances] : by_token) {
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    EXPECT_LE(*middle, kHalf) << site;
  }
}

TEST_P(Golden, Bfloat16ScoresStayNearTheReference) {
  const auto model = open({.dtype = "bf16"});
  ASSERT_NE(model, nullptr);
  const ModelSpec& spec = model->state().spec;
  if (!spec.head || !reference_->has("r2.logits")) GTEST_SKIP() << "no scores over the vocabulary";
  std::vector<float> finals = reference_->floats("r2." + stack_prefix(spec, spec.head_stack()) + "final");
  const std::int64_t width = spec.stack(spec.head_stack()).final_width(spec.width);
  const std::int64_t rows = static_cast<std::int64_t>(finals.size()) / width;
  std::vector<float> scores(static_cast<std::size_t>(rows * spec.scores()));
  const Status status = model->logits(rows_of(finals, width).view(), rows_of(scores, spec.scores()));
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_LE(relative_l2(scores, reference_->floats("r2.logits")), kHalf);
}

TEST_P(Golden, BitsDoNotDependOnCompanyOrPlan) {
  for (const std::string& isa : cpu_isas()) {
    for (const char* dtype : {"f32", "bf16"}) {
      const auto model = open({.dtype = dtype, .isa = isa});
      ASSERT_NE(model, nullptr);
      const TapPlan everything = plan(*model, {.sites = "**"});
      std::vector<int> rows = all_rows();
      const Collected together = run(*model, rows, everything);
      std::reverse(rows.begin(), rows.end());
      EXPECT_EQ(run(*model, rows, everything).all(), together.all()) << isa << " " << dtype;
      for (const int row : all_rows()) {
        const Collected alone = run(*model, {row}, everything);
        for (const auto& [key, value] : alone.all())
          EXPECT_EQ(value, together.at(key.first, key.second)) << key.second << " " << isa << " " << dtype;
      }
      for (const StoredSite& site : everything.stored()) {
        const TapPlan single = plan(*model, {.sites = site.name});
        const Collected early = run(*model, {2}, single);
        EXPECT_EQ(early.at(2, site.name), together.at(2, site.name))
            << site.name << " by itself, " << isa << " " << dtype;
        EXPECT_EQ(early.all().size(), 1U);
      }
    }
  }
}

/// What a run showed, by site, all its rows end to end.
class Frames : public Observer {
 public:
  Status observe(const Frame& frame) override {
    for (std::int64_t i = 0; i < frame.rows.rows; ++i)
      rows[frame.observed].insert(rows[frame.observed].end(), frame.rows.row<float>(i),
                                  frame.rows.row<float>(i) + frame.rows.width);
    return {};
  }
  std::map<int, std::vector<float>> rows;
};

bool runs_step_by_step(const ModelSpec& spec) {
  return spec.decoder && std::ranges::none_of(spec.decoder->blocks, [](const Block& block) {
           return std::ranges::any_of(block.steps, [](const Step& step) {
             const auto* attention = std::get_if<Attention>(&step.mixer);
             return attention != nullptr && attention->keys == KeySource::kSelf;
           });
         });
}

TapPlan plan_of_decoder(const Model& model) {
  auto plan = TapPlan::compile(model.sites(), {.layers = model.info().two_stacks ? "dec:all" : "all",
                                               .sites = model.info().has_head ? "logits" : ""});
  EXPECT_TRUE(plan.ok());
  return plan.ok() ? std::move(plan).value() : TapPlan();
}

/// Decoder tokens first ... of some rows; the encoder's come with the first.
Batch part_of(const std::vector<ModelRow>& rows, bool two_stacks, std::int64_t first, std::int64_t count) {
  Batch batch;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto add = [](Batch::Input& input, std::span<const std::int32_t> ids) {
      input.ids.insert(input.ids.end(), ids.begin(), ids.end());
      input.offsets.push_back(static_cast<std::int64_t>(input.ids.size()));
    };
    if (two_stacks)
      add(batch.inputs[0],
          first == 0 ? std::span<const std::int32_t>(rows[i].main.ids) : std::span<const std::int32_t>());
    const Tokens& tokens = rows[i].decoder ? *rows[i].decoder : rows[i].main;
    add(batch.inputs[1],
        std::span(tokens.ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    batch.rows.push_back(static_cast<std::int64_t>(i));
    batch.tags.push_back(i);
  }
  return batch;
}

TEST_P(Golden, CachedStepsEqualTheWholeSequence) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  if (!runs_step_by_step(model->state().spec)) GTEST_SKIP() << "no decoder, or one whose tokens see later ones";
  const TapPlan layers = plan_of_decoder(*model);
  const int row = 2;
  const Collected whole = run(*model, {row}, layers);
  auto ready = model->tokenize(text_row(*reference_, row, model->info().two_stacks));
  ASSERT_TRUE(ready.ok());
  const std::vector<ModelRow> rows = {*ready};
  const auto count = static_cast<std::int64_t>((ready->decoder ? *ready->decoder : ready->main).ids.size());
  const Engine& engine = *model->state().engine;
  for (const bool steps : {false, true}) {
    KvCache cache;
    KvCache* caches[] = {&cache};
    for (std::int64_t first = 0; first < count;) {
      const std::int64_t added = first == 0 ? std::min<std::int64_t>(5, count) : 1;
      Frames frames;
      const Status status = engine.run(part_of(rows, model->info().two_stacks, first, added), layers, frames,
                                       {.caches = caches, .steps = steps && first > 0});
      ASSERT_TRUE(status.ok()) << status.error().message;
      for (std::size_t i = 0; i < layers.observed().size(); ++i) {
        const std::vector<float>& all = whole.at(static_cast<std::uint64_t>(row), layers.observed()[i].name);
        const auto width = layers.observed()[i].width;
        const std::vector<float> expected(all.begin() + first * width, all.begin() + (first + added) * width);
        EXPECT_LE(relative_l2(frames.rows[static_cast<int>(i)], expected), 1e-6)
            << layers.observed()[i].name << " at token " << first;
      }
      first += added;
    }
    EXPECT_EQ(cache.tokens(), count);
  }
}

// Prompts run alone and go on in one batch, shared by a team: the bits of each alone on one thread.
TEST_P(Golden, StepsDependNeitherOnCompanyNorOnTheTeam) {
  constexpr std::int64_t kPrompt = 2, kSteps = 2;
  for (const char* dtype : {"f32", "bf16"}) {
    const auto model = open({.dtype = dtype});
    ASSERT_NE(model, nullptr);
    if (!runs_step_by_step(model->state().spec)) GTEST_SKIP() << "no decoder, or one whose tokens see later ones";
    const bool two = model->info().two_stacks;
    const TapPlan layers = plan_of_decoder(*model);
    std::vector<ModelRow> rows;
    for (const int row : all_rows()) {
      auto ready = model->tokenize(text_row(*reference_, row, two));
      ASSERT_TRUE(ready.ok());
      if ((ready->decoder ? *ready->decoder : ready->main).ids.size() >= kPrompt + kSteps) rows.push_back(*ready);
    }
    if (rows.size() < 2) GTEST_SKIP() << "its rows are too short";
    const Engine& engine = *model->state().engine;
    Team team(engine.backend(), 3);
    std::vector<KvCache> alone(rows.size()), together(rows.size());
    std::vector<KvCache*> all;
    for (KvCache& cache : together) all.push_back(&cache);
    const auto run_part = [&](const std::vector<ModelRow>& part, std::int64_t first, std::int64_t count,
                              const RunOptions& options) {
      Frames frames;
      const Status status = engine.run(part_of(part, two, first, count), layers, frames, options);
      EXPECT_TRUE(status.ok()) << status.error().message;
      return frames.rows;
    };
    const auto apart = [&](std::int64_t first, std::int64_t count, bool steps) {
      std::vector<std::map<int, std::vector<float>>> shown;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        KvCache* one[] = {&alone[i]};
        shown.push_back(run_part({rows[i]}, first, count, {.caches = one, .steps = steps}));
      }
      return shown;
    };
    (void)apart(0, kPrompt, false);
    (void)run_part(rows, 0, kPrompt, {.caches = all, .team = &team});
    for (std::int64_t step = kPrompt; step < kPrompt + kSteps; ++step) {
      const auto expected = apart(step, 1, true);
      const auto found = run_part(rows, step, 1, {.caches = all, .team = &team, .steps = true});
      for (std::size_t site = 0; site < layers.observed().size(); ++site) {
        const auto width = static_cast<std::size_t>(layers.observed()[site].width);
        const std::vector<float>& values = found.at(static_cast<int>(site));
        ASSERT_EQ(values.size(), rows.size() * width);
        for (std::size_t i = 0; i < rows.size(); ++i) {
          EXPECT_EQ(std::memcmp(values.data() + i * width, expected[i].at(static_cast<int>(site)).data(),
                                width * sizeof(float)),
                    0)
              << layers.observed()[site].name << " of row " << i << " at token " << step << ", " << dtype;
        }
      }
    }
  }
}

TEST_P(Golden, AnyStepCanBeTheFirst) {
  const auto model = open();
  ASSERT_NE(model, nullptr);
  const ModelSpec& spec = model->state().spec;
  const StackId id = spec.decoder ? StackId::kDecoder : StackId::kEncoder;
  const Stack& stack = spec.decoder ? *spec.decoder : *spec.encoder;
  const std::string prefix = model->info().two_stacks ? "dec." : "";
  const TapPlan everything = plan(*model, {.sites = "**"});
  Batch batch;
  append(batch, *model, 2);
  const Collected whole = run(*model, {2}, everything);
  const TapPlan final_only = plan(*model, {.sites = prefix + "final"});
  std::vector<float> stream = whole.at(2, prefix + "embed");
  for (int block = 0; block < static_cast<int>(stack.blocks.size()); ++block) {
    const auto& steps = stack.blocks[static_cast<std::size_t>(block)].steps;
    for (int step = 0; step < static_cast<int>(steps.size()); ++step) {
      if (step > 0 && std::any_of(steps.begin() + step, steps.end(), reads_block_input)) break;
      const StartPoint start{.stack = id,
                             .block = block,
                             .step = step,
                             .stream = {.data = reinterpret_cast<const std::byte*>(stream.data()),
                                        .rows = batch.tokens(id),
                                        .width = spec.width,
                                        .stride = spec.width}};
      Collected values(final_only);
      Reducer reducer(batch, final_only, values);
      const Status status = model->state().engine->run(batch, final_only, reducer, {.start = start});
      ASSERT_TRUE(status.ok()) << status.error().message;
      EXPECT_EQ(values.at(2, prefix + "final"), whole.at(2, prefix + "final"))
          << "from block " << block << " step " << step;
      stream = whole.at(
          2, prefix + "block." + std::to_string(block) + "." + steps[static_cast<std::size_t>(step)].slot + ".sum");
    }
    stream = whole.at(2, prefix + "block." + std::to_string(block) + ".out");
  }
}

// From states that were kept, as many rows at a time as one likes.
TEST_P(Golden, TheEndCanBeRunByItself) {
  for (const char* dtype : {"f32", "bf16"}) {
    const auto model = open({.dtype = dtype});
    ASSERT_NE(model, nullptr);
    const ModelSpec& spec = model->state().spec;
    const Collected whole = run(*model, {2}, plan(*model, {.sites = "**"}));
    const auto apply = [](std::vector<float> in, std::int64_t in_width, std::int64_t out_width, std::int64_t tile,
                          const auto& call) {
      const MutableRows from = rows_of(in, in_width);
      std::vector<float> out(static_cast<std::size_t>(from.rows * out_width));
      for (std::int64_t first = 0; first < from.rows; first += tile) {
        const std::int64_t count = std::min(tile, from.rows - first);
        const Status status = call(slice(from, first, count).view(), slice(rows_of(out, out_width), first, count));
        EXPECT_TRUE(status.ok()) << status.error().message;
      }
      return out;
    };
    for (const StackId id : {StackId::kEncoder, StackId::kDecoder}) {
      if (!(id == StackId::kEncoder ? spec.encoder : spec.decoder)) continue;
      const std::string prefix = stack_prefix(spec, id);
      const std::string last = prefix + "block." + std::to_string(spec.stack(id).blocks.size() - 1) + ".out";
      const std::int64_t final_width = spec.stack(id).final_width(spec.width);
      for (const std::int64_t tile : {1, 5, 1000}) {
        const auto finals =
            apply(whole.at(2, last), spec.width, final_width, tile,
                  [&](const RowsView& in, const MutableRows& out) { return model->finish(id, in, out); });
        EXPECT_EQ(finals, whole.at(2, prefix + "final")) << dtype << " " << tile << " rows at a time";
      }
    }
    EXPECT_EQ(model->load_head().ok(), model->info().has_head);
    if (!spec.head) continue;
    const StackId id = spec.head_stack();
    const std::int64_t vocabulary = spec.scores();
    for (const std::int64_t tile : {1, 5, 1000}) {
      const auto scores =
          apply(whole.at(2, stack_prefix(spec, id) + "final"), spec.stack(id).final_width(spec.width), vocabulary, tile,
                [&](const RowsView& in, const MutableRows& out) { return model->logits(in, out); });
      EXPECT_EQ(scores, whole.at(2, "logits")) << dtype << " " << tile << " rows at a time";
    }
    const Collected picked = run(*model, {2}, plan(*model, {.sites = "logits", .positions = "0,1,-1"}));
    std::vector<float> expected(whole.at(2, "logits").begin(), whole.at(2, "logits").begin() + 2 * vocabulary);
    expected.insert(expected.end(), whole.at(2, "logits").end() - vocabulary, whole.at(2, "logits").end());
    EXPECT_EQ(picked.at(2, "logits"), expected) << dtype;
  }
}

// Scores of labels: a decoder's input is the model's own affair.
TEST_P(Golden, LabelsScoreAsTheReferenceDoes) {
  for (const char* dtype : {"f32", "bf16"}) {
    const auto model = open({.dtype = dtype});
    ASSERT_NE(model, nullptr);
    if (!model->info().labels) {
      EXPECT_EQ(model->classify({}).error().code, ErrorCode::kModel);
      GTEST_SKIP() << "no head over labels";
    }
    std::vector<TextRow> rows;
    for (const int row : all_rows()) {
      rows.push_back(text_row(*reference_, row, model->info().two_stacks));
      rows.back().decoder_ids.reset();
    }
    const auto together = model->classify(rows);
    ASSERT_TRUE(together.ok()) << together.error().message;
    int compared = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto alone = model->classify({rows[row]}, {.threads = 2});
      ASSERT_TRUE(alone.ok()) << alone.error().message;
      EXPECT_EQ((*alone)[0].logits, (*together)[row].logits) << dtype;
      const std::string name = "r" + std::to_string(row) + ".logits";
      // Two or three scores that nearly cancel have no bfloat16 error worth bounding: there the states and heads above
      // do.
      if (*dtype == 'b' || !reference_->has(name)) continue;
      ++compared;
      EXPECT_LE(relative_l2((*alone)[0].logits, reference_->floats(name)), kExact) << name;
      EXPECT_EQ((*alone)[0].rows * static_cast<std::int64_t>(model->info().labels->names.size()),
                static_cast<std::int64_t>((*alone)[0].logits.size()));
    }
    EXPECT_GE(compared, *dtype == 'f' ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::ValuesIn(golden_models()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace layerscope::testing
