// Vectors of tiny folders against those of sentence-transformers (tests/oracle/make_sentence.py), and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "session/embedder.h"
#include "unit/session/vector_folder.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

const Json& cases() {
  static const Json json =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/sentence/cases.json", ErrorCode::kRuntime)
          .value();
  return json;
}

const Json& case_named(std::string_view name) {
  for (const Json& one : *cases().find("cases")->array()) {
    if (*one.find("name")->string() == name) return one;
  }
  ADD_FAILURE() << "no case " << name;
  return cases();
}

using test::number;

/// The folder of a case, to be changed.
class Folder : public test::VectorFolder {
 public:
  explicit Folder(const Json& one) : VectorFolder(cases(), one) {}
};

EmbedOptions options_of(const Json& json) {
  EmbedOptions options;
  if (const Json* prompt = json.find("prompt")) options.prompt = *prompt->string();
  if (const Json* name = json.find("prompt_name")) options.prompt_name = *name->string();
  if (const Json* size = json.find("truncate_dim")) options.truncate_dim = *size->integer();
  if (const Json* normalize = json.find("normalize")) options.normalize = *normalize->boolean();
  return options;
}

std::vector<TextRow> texts() {
  std::vector<TextRow> rows;
  for (const Json& text : *cases().find("texts")->array()) rows.push_back({.text = *text.string()});
  return rows;
}

TEST(Embedder, GivesTheVectorsOfSentenceTransformers) {
  const std::vector<TextRow> rows = texts();
  for (const Json& one : *cases().find("cases")->array()) {
    const Folder folder(one);
    for (const Json& run : *one.find("runs")->array()) {
      SCOPED_TRACE(*one.find("name")->string() + " " + run.find("options")->dump());
      const auto embedder = folder.open(options_of(*run.find("options")));
      ASSERT_TRUE(embedder) << embedder.error().message;
      const auto vectors = (*embedder)->embed(std::span<const TextRow>(rows), 2);
      ASSERT_TRUE(vectors) << vectors.error().message;
      const Json::Array& expected = *run.find("vectors")->array();
      const auto width = static_cast<std::size_t>((*embedder)->width());
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto ready = (*embedder)->tokenize(rows[row]);
        ASSERT_TRUE(ready);
        std::vector<std::int32_t> ids;
        for (const Json& id : *run.find("ids")->array()->at(row).array())
          ids.push_back(static_cast<std::int32_t>(*id.integer()));
        EXPECT_EQ(ready->main.ids, ids) << "row " << row;
        ASSERT_EQ(expected[row].array()->size(), width);
        double dot = 0, ours = 0, theirs = 0;
        for (std::size_t i = 0; i < width; ++i) {
          const double x = static_cast<double>((*vectors)[row * width + i]), y = number(expected[row].array()->at(i));
          EXPECT_NEAR(x, y, 1e-5) << "row " << row << " element " << i;
          dot += x * y;
          ours += x * x;
          theirs += y * y;
        }
        if (theirs > 0) {
          EXPECT_GT(dot / std::sqrt(ours * theirs), 1 - 1e-6) << "row " << row;
        }
      }
    }
  }
}

TEST(Embedder, GivesTheSameBitsInAnyCompanyAndFromItsRecipe) {
  const Folder folder(case_named("dense-projected-norm"));
  const auto embedder = folder.open({.prompt = "find ", .truncate_dim = 6, .normalize = true});
  ASSERT_TRUE(embedder) << embedder.error().message;
  std::vector<TextRow> rows;
  for (int copy = 0; copy < 40; ++copy) {
    for (const TextRow& row : texts()) rows.push_back(row);
  }
  const std::vector<float> many = (*embedder)->embed(std::span<const TextRow>(rows), 4).value();
  EXPECT_EQ(many, (*embedder)->embed(std::span<const TextRow>(rows), 1).value());
  const auto again = Embedder::reopen(folder.path(), {}, (*embedder)->recipe());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->recipe(), (*embedder)->recipe());
  for (std::size_t row = 0; row < texts().size(); ++row) {
    const std::vector<float> alone = (*again)->embed(std::span<const TextRow>(&rows[row], 1), 1).value();
    EXPECT_EQ(std::memcmp(alone.data(), many.data() + row * 6, 6 * sizeof(float)), 0) << row;
  }
  const auto other = Embedder::reopen(folder.path(), {}, (*embedder)->recipe(), "another ");
  ASSERT_TRUE(other);
  EXPECT_NE((*other)->embed(std::span<const TextRow>(&rows[0], 1), 1).value(),
            (*again)->embed(std::span<const TextRow>(&rows[0], 1), 1).value());
}

TEST(Embedder, PoolsAnotherLayerAnotherWay) {
  const Folder folder(case_named("old-mean"));
  const std::vector<TextRow> rows = texts();
  const auto vectors = [&](const EmbedOptions& options) {
    return folder.open(options).value()->embed(std::span<const TextRow>(rows), 1).value();
  };
  const std::vector<float> last = vectors({});
  EXPECT_EQ(vectors({.layers = "-1"}), last);
  EXPECT_EQ(vectors({.mix = "2=1"}), last);
  EXPECT_NE(vectors({.layers = "0"}), last);
  EXPECT_EQ(vectors({.pool = Pooling::kMean}), last);
  EXPECT_EQ(vectors({.pool = Pooling::kMax}),
            Folder(case_named("old-max")).open().value()->embed(std::span<const TextRow>(rows), 1).value());
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.layers = "0..1"}), HasSubstr("2 layers"));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.layers = "9"}), HasSubstr("9"));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.layers = "0", .mix = "0..1"}), HasSubstr("--mix"));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.pool = Pooling::kNone}), HasSubstr("--pool none"));
}

TEST(Embedder, RefusesWhatItCannotServe) {
  const Folder folder(case_named("old-mean"));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.prompt_name = "passage"}),
              ::testing::AllOf(HasSubstr("passage"), HasSubstr("query, words")));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.prompt = "a", .prompt_name = "query"}), HasSubstr("--prompt-name"));
  EXPECT_THAT(folder.refusal(ErrorCode::kUsage, {.truncate_dim = 25}), HasSubstr("1 to 24"));
}

TEST(Embedder, RefusesModulesThatItDoesNotKnow) {
  const Folder folder(case_named("dense-normalize"));
  const std::string list = folder.read("modules.json");
  const auto with = [&](std::string_view old, std::string_view replacement) {
    std::string text = list;
    text.replace(text.find(old), old.size(), replacement);
    folder.write("modules.json", text);
    return folder.refusal();
  };
  EXPECT_THAT(with("sentence_transformers.models.Dense", "custom_module.Head"),
              ::testing::AllOf(HasSubstr("modules.json"), HasSubstr("custom_module.Head")));
  EXPECT_THAT(with("sentence_transformers.models.Dense", "sentence_transformers.models.LSTM"),
              HasSubstr("models.LSTM"));
  EXPECT_THAT(with("sentence_transformers.models.Pooling", "sentence_transformers.models.Dense"),
              HasSubstr("in_features"));
  EXPECT_THAT(with("\"1_Pooling\"", "\"../1_Pooling\""), HasSubstr("out of the folder"));
  EXPECT_THAT(with("\"1_Pooling\"", "\"/etc\""), HasSubstr("/etc"));
  EXPECT_THAT(with("sentence_transformers.models.Transformer", "sentence_transformers.models.BoW"), HasSubstr("BoW"));
  folder.write("modules.json", list);
  EXPECT_EQ(folder.refusal(), "opened");
  std::filesystem::create_directory_symlink("/usr", folder.path() + "/elsewhere");
  EXPECT_THAT(with("\"1_Pooling\"", "\"elsewhere\""), HasSubstr("out of the folder"));
}

TEST(Embedder, RefusesSettingsThatContradictOrSurprise) {
  struct Change {
    const char *file, *old, *replacement, *named;
  };
  const std::vector<Change> changes = {
      {"1_Pooling/config.json", ":24", ":23", "23"},
      {"1_Pooling/config.json", ":24", ":\"24\"", "word_embedding_dimension"},
      {"1_Pooling/config.json", "\"pooling_mode_max_tokens\"", "\"pooling_mode_attention\"", "pooling_mode_attention"},
      {"1_Pooling/config.json", "{", "{\"pooling_mode\":\"median\",", "median"},
      {"2_Dense/config.json", ":24", ":25", "linear.weight"},
      {"2_Dense/config.json", ":10", ":11", "linear.weight"},
      {"2_Dense/config.json", "torch.nn.modules.activation.Tanh", "evil.module.Tanh", "evil.module.Tanh"},
      {"2_Dense/config.json", "activation.Tanh", "activation.Threshold", "Threshold"},
      {"2_Dense/config.json", "{", "{\"use_residual\":true,", "residual.weight"},
      {"2_Dense/config.json", "\"bias\":true", "\"bias\":false", "2 tensors"},
      {"2_Dense/config.json", "{", "{\"module_input_name\":\"token_embeddings\",", "token_embeddings"},
      {"config.json", "\"hidden_size\":", "\"hidden_size\" :", "opened"},
  };
  for (const Change& change : changes) {
    const Folder folder(case_named("dense-normalize"));
    std::string text = folder.read(change.file);
    const std::size_t at = text.find(change.old);
    ASSERT_NE(at, std::string::npos) << change.old << " in " << text;
    text.replace(at, std::strlen(change.old), change.replacement);
    folder.write(change.file, text);
    EXPECT_THAT(folder.refusal(), HasSubstr(change.named)) << change.replacement;
  }
  const Folder folder(case_named("dense-normalize"));
  folder.remove("2_Dense/model.safetensors");
  folder.write("2_Dense/pytorch_model.bin", "pickle");
  EXPECT_THAT(folder.refusal(), HasSubstr("pytorch_model.bin"));
}

TEST(Embedder, RefusesChatTemplatesUnlessTheCallerPools) {
  const Folder folder(case_named("no-modules"));
  EXPECT_EQ(folder.refusal(), "opened");
  folder.write("chat_template.jinja", "{{ messages }}");
  EXPECT_THAT(folder.refusal(), HasSubstr("chat_template.jinja"));
  EXPECT_TRUE(folder.open({.pool = Pooling::kMean}));
}

}  // namespace
}  // namespace layerscope
