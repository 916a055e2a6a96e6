// Token vectors and sparse vectors of tiny folders against those of sentence-transformers
// (tests/oracle/make_vectors.py), and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "session/embedder.h"
#include "unit/session/vector_folder.h"

namespace layerscope {
namespace {

using test::number;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Json& cases() {
  static const Json json =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/vectors/cases.json", ErrorCode::kRuntime)
          .value();
  return json;
}

class Folder : public test::VectorFolder {
 public:
  explicit Folder(std::string_view name) : VectorFolder(cases(), named(name)) {}
  static const Json& named(std::string_view name) {
    for (const Json& one : *cases().find("cases")->array()) {
      if (*one.find("name")->string() == name) return one;
    }
    ADD_FAILURE() << "no case " << name;
    return cases();
  }
};

EmbedOptions options_of(const Json& json) {
  EmbedOptions options;
  if (const Json* task = json.find("task"))
    options.task = *task->string() == "query" ? TextTask::kQuery : TextTask::kDocument;
  if (const Json* kind = json.find("vectors")) options.kind = vector_kind_from_name(*kind->string());
  return options;
}

std::vector<TextRow> texts() {
  std::vector<TextRow> rows;
  for (const Json& text : *cases().find("texts")->array()) rows.push_back({.text = *text.string()});
  return rows;
}

std::vector<std::int32_t> integers(const Json& json) {
  std::vector<std::int32_t> values;
  for (const Json& value : *json.array()) values.push_back(static_cast<std::int32_t>(*value.integer()));
  return values;
}

std::vector<ModelRow> tokenized(const Embedder& embedder, const std::vector<TextRow>& rows) {
  std::vector<ModelRow> ready;
  for (const TextRow& row : rows) ready.push_back(embedder.tokenize(row).value());
  return ready;
}

void expect_close(std::span<const float> ours, const Json::Array& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  double dot = 0, ours_squared = 0, theirs_squared = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double x = static_cast<double>(ours[i]), y = number(theirs[i]);
    EXPECT_NEAR(x, y, 1e-5) << "element " << i;
    dot += x * y;
    ours_squared += x * x;
    theirs_squared += y * y;
  }
  if (theirs_squared > 0) {
    EXPECT_GT(dot / std::sqrt(ours_squared * theirs_squared), 1 - 1e-6);
  }
}

void check_run(const test::VectorFolder& folder, const Json& run) {
  const auto embedder = folder.open(options_of(*run.find("options")));
  ASSERT_TRUE(embedder) << embedder.error().message;
  const std::vector<ModelRow> rows = tokenized(**embedder, texts());
  const auto vectors = (*embedder)->vectors(rows, 2);
  ASSERT_TRUE(vectors) << vectors.error().message;
  const Json::Array& expected = *run.find("rows")->array();
  ASSERT_EQ(expected.size(), rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    SCOPED_TRACE("row " + std::to_string(row));
    const TextVectors& made = (*vectors)[row];
    EXPECT_EQ(rows[row].main.ids, integers(*expected[row].find("ids")));
    if (const Json* indices = expected[row].find("indices")) {
      EXPECT_EQ((*embedder)->kind(), VectorKind::kSparse);
      EXPECT_EQ(made.places, integers(*indices));
      expect_close(made.values, *expected[row].find("values")->array());
      continue;
    }
    EXPECT_EQ((*embedder)->kind(), VectorKind::kTokens);
    if (const Json* places = expected[row].find("places")) {
      EXPECT_EQ(made.places, integers(*places));
    }
    const Json::Array& theirs = *expected[row].find("vectors")->array();
    const auto width = static_cast<std::size_t>((*embedder)->width());
    ASSERT_EQ(made.values.size(), theirs.size() * width);
    for (std::size_t k = 0; k < theirs.size(); ++k)
      expect_close(std::span(made.values).subspan(k * width, width), *theirs[k].array());
  }
}

TEST(Vectors, AreThoseOfSentenceTransformers) {
  for (const Json& one : *cases().find("cases")->array()) {
    const test::VectorFolder folder(cases(), one);
    for (const Json& run : *one.find("runs")->array()) {
      SCOPED_TRACE(*one.find("name")->string() + " " + run.find("options")->dump());
      check_run(folder, run);
    }
  }
}

TEST(Vectors, HaveTheSameBitsInAnyCompanyAndFromTheirRecipe) {
  for (const auto& [name, kind] : {std::pair{"native-expanded", VectorKind::kTokens},
                                   {"splade-max", VectorKind::kSparse},
                                   {"three-heads", VectorKind::kTokens},
                                   {"three-heads", VectorKind::kSparse}}) {
    SCOPED_TRACE(name);
    const Folder folder(name);
    const auto embedder = folder.open({.kind = kind, .task = TextTask::kQuery});
    ASSERT_TRUE(embedder) << embedder.error().message;
    std::vector<TextRow> rows;
    for (int copy = 0; copy < 40; ++copy) {
      for (const TextRow& row : texts()) rows.push_back(row);
    }
    const std::vector<ModelRow> ready = tokenized(**embedder, rows);
    const std::vector<TextVectors> many = (*embedder)->vectors(ready, 4).value();
    const auto again = Embedder::reopen(folder.path(), {}, (*embedder)->recipe());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ((*again)->recipe(), (*embedder)->recipe());
    for (std::size_t row = 0; row < texts().size(); ++row) {
      const std::vector<TextVectors> alone = (*again)->vectors(std::span<const ModelRow>(&ready[row], 1), 1).value();
      EXPECT_EQ(alone[0].places, many[row].places);
      EXPECT_EQ(alone[0].values, many[row].values);
      EXPECT_EQ(many[row + texts().size()].values, many[row].values);
    }
  }
}

TEST(Vectors, RefuseKindsAndOptionsThatAFolderCannotServe) {
  const Folder tokens("native-expanded"), sparse("splade-max"), heads("three-heads");
  using Options = EmbedOptions;
  const auto usage = [](const test::VectorFolder& folder, const Options& options) {
    return folder.refusal(ErrorCode::kUsage, options);
  };
  EXPECT_THAT(usage(tokens, {.kind = VectorKind::kDense}), AllOf(HasSubstr("--vectors dense"), HasSubstr("tokens")));
  EXPECT_THAT(usage(sparse, {.kind = VectorKind::kTokens}), HasSubstr("--vectors tokens"));
  EXPECT_THAT(usage(tokens, {.pool = Pooling::kMean}), HasSubstr("--pool"));
  EXPECT_THAT(usage(tokens, {.truncate_dim = 4}), HasSubstr("--truncate-dim"));
  EXPECT_THAT(usage(sparse, {.normalize = true}), HasSubstr("--normalize"));
  EXPECT_THAT(usage(sparse, {.layers = "1"}), HasSubstr("--layer"));
  EXPECT_THAT(usage(tokens, {.task = TextTask::kQuery, .tokenize = {.truncate = true, .max_length = 9}}),
              HasSubstr("--max-length"));
  heads.remove("sparse_linear.safetensors");
  EXPECT_THAT(usage(heads, {.kind = VectorKind::kSparse}), HasSubstr("sparse_linear.safetensors"));
  heads.write("sparse_linear.pt", "pickle");
  EXPECT_THAT(heads.refusal(ErrorCode::kModel, {.kind = VectorKind::kSparse}), HasSubstr("sparse_linear.pt"));
  const auto opened = tokens.open();
  ASSERT_TRUE(opened);
  EXPECT_EQ((*opened)->embed(std::span<const ModelRow>(), 1).error().code, ErrorCode::kUsage);
}

TEST(Vectors, RefuseSettingsThatContradictOrSurprise) {
  struct Change {
    const char *folder, *file, *old, *replacement, *named;
  };
  const std::vector<Change> changes = {
      {"native-expanded", "sentence_bert_config.json", "\"fixed\"", "\"often\"", "query_expansion"},
      {"native-expanded", "sentence_bert_config.json", "\"length\":12", "\"length\":0", "query_expansion"},
      {"native-expanded", "sentence_bert_config.json", "\"length\":12", "\"length\":65", "64 positions"},
      {"native-expanded", "sentence_bert_config.json", "\"length\":12", "\"length\":12,\"token\":\"nowhere\"",
       "nowhere"},
      {"native-expanded", "sentence_bert_config.json", "{", "{\"query_length\":5,", "query_length"},
      {"native-expanded", "2_MultiVectorMask/config.json", "{", "{\"keep_only_token_ids\":[4],", "keep_only_token_ids"},
      {"native-expanded", "2_MultiVectorMask/config.json", "{", "{\"threshold\":1,", "threshold"},
      {"native-expanded", "2_MultiVectorMask/config.json", "[", "[7,", "skiplist_words"},
      {"native-expanded", "3_Normalize/config.json", "token_embeddings", "sentence_embedding", "sentence_embedding"},
      {"native-expanded", "1_Dense/config.json", "token_embeddings", "sentence_embedding", "sentence_embedding"},
      {"native-expanded", "1_Dense/config.json", ":24", ":25", "linear.weight"},
      {"native-expanded", "modules.json", "multi_vector_mask.MultiVectorMask", "token_pooling.HierarchicalTokenPooling",
       "HierarchicalTokenPooling"},
      {"native-expanded", "config_sentence_transformers.json", "MultiVectorEncoder", "CrossEncoder", "CrossEncoder"},
      {"native-expanded", "tokenizer_config.json", "{", "{\"padding_side\":\"left\",", "padding_side"},
      {"pylate-3", "config_sentence_transformers.json", "\"attend_to_expansion_tokens\":false",
       "\"attend_to_expansion_tokens\":0", "attend_to_expansion_tokens"},
      {"pylate-3", "config_sentence_transformers.json", "\"query_length\":16", "\"query_length\":-1", "query_length"},
      {"colbert-classic", "artifact.metadata", "{", "{\"similarity\":\"l2\",", "l2"},
      {"colbert-classic", "artifact.metadata", "{", "{\"interaction\":\"flipr\",", "flipr"},
      {"colbert-classic", "artifact.metadata", "\"query_maxlen\":13", "\"query_maxlen\":\"13\"", "query_maxlen"},
      {"splade-max", "1_SpladePooling/config.json", "\"max\"", "\"mean\"", "pooling_strategy"},
      {"splade-max", "1_SpladePooling/config.json", "\"relu\"", "\"gelu\"", "activation_function"},
      {"splade-max", "1_SpladePooling/config.json", "101", "102", "102 elements"},
      {"splade-max", "modules.json", "SpladePooling", "SparseAutoEncoder", "SparseAutoEncoder"},
      {"splade-max", "modules.json", "MLMTransformer", "SparseStaticEmbedding", "SparseStaticEmbedding"},
      {"splade-max", "config_sentence_transformers.json", "{", "{\"max_active_dims\":0,", "max_active_dims"},
      {"splade-sum-twice", "sentence_bert_config.json", "fill-mask", "feature-extraction", "transformer_task"},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(std::string(change.file) + " " + change.replacement);
    const Folder folder(change.folder);
    folder.replace(change.file, change.old, change.replacement);
    EXPECT_THAT(folder.refusal(ErrorCode::kModel, {.task = TextTask::kQuery}), HasSubstr(change.named));
  }
}

TEST(Vectors, RefuseHeadsOfOtherShapes) {
  const Folder folder("three-heads");
  folder.write("sparse_linear.safetensors", folder.read("colbert_linear.safetensors"));
  EXPECT_THAT(folder.refusal(ErrorCode::kModel, {.kind = VectorKind::kSparse}), HasSubstr("24 rows, expected 1"));
  folder.write("colbert_linear.safetensors", folder.read("model.safetensors"));
  EXPECT_THAT(folder.refusal(ErrorCode::kModel, {.kind = VectorKind::kTokens}), HasSubstr("has no matrix"));
  folder.write("colbert_linear.safetensors", "short");
  EXPECT_THAT(folder.refusal(ErrorCode::kModel, {.kind = VectorKind::kTokens}),
              HasSubstr("colbert_linear.safetensors"));
}

}  // namespace
}  // namespace layerscope
