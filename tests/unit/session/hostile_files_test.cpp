// Weights, tokenizers and folders that are not what they should be; and ones that merely look unusual.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "unit/session/model_copy.h"

namespace layerscope {
namespace {

using Tensors = std::vector<test::StoredTensor>;

struct FileCase {
  std::string_view title, model;
  std::function<void(const test::ModelCopy&)> change;
  std::string_view file;   ///< that the refusal starts with; empty: the folder
  std::string_view named;  ///< what the refusal names; empty: opens
};

test::StoredTensor& tensor(Tensors& tensors, std::string_view name) {
  return *std::ranges::find(tensors, name, &test::StoredTensor::name);
}

/// A change to the tensors of model.safetensors.
auto weights(std::function<void(Tensors&)> change) {
  return [change = std::move(change)](const test::ModelCopy& copy) {
    Tensors tensors = copy.tensors();
    change(tensors);
    copy.write_tensors(tensors);
  };
}

auto renamed(std::string_view from, std::string_view to) {
  return weights([=](Tensors& tensors) { tensor(tensors, from).name = to; });
}
auto removed(std::string_view name) {
  return weights(
      [=](Tensors& tensors) { std::erase_if(tensors, [&](const auto& item) { return item.name == name; }); });
}
auto reshaped(std::string_view name, std::vector<std::int64_t> shape) {
  return weights([=](Tensors& tensors) { tensor(tensors, name).shape = shape; });
}
auto added(std::string_view name, std::string_view dtype, std::vector<std::int64_t> shape, std::size_t bytes) {
  return weights([=](Tensors& tensors) {
    tensors.push_back({std::string(name), std::string(dtype), shape, std::string(bytes, '\0')});
  });
}
/// The same number of elements under another dtype of `size` bytes each.
auto retyped(std::string_view name, std::string_view dtype, std::size_t size) {
  return weights([=](Tensors& tensors) {
    test::StoredTensor& changed = tensor(tensors, name);
    changed.dtype = dtype;
    changed.bytes = std::string(changed.bytes.size() / 4 * size, '\0');
  });
}
auto replaced(std::string_view file, std::string content) {
  return [=](const test::ModelCopy& copy) { copy.write(file, content); };
}
/// Bytes of a file, changed.
auto bytes(std::string_view file, std::function<std::string(std::string)> change) {
  return [=](const test::ModelCopy& copy) { copy.write(file, change(copy.read(file))); };
}
auto cut(std::string_view file, std::size_t left) {
  return bytes(file, [=](std::string content) { return content.substr(0, left); });
}
auto gone(std::string_view file) {
  return [=](const test::ModelCopy& copy) { copy.remove(file); };
}
auto folder(std::string_view file) {
  return [=](const test::ModelCopy& copy) {
    copy.remove(file);
    std::filesystem::create_directory(copy.file(file));
  };
}
auto pipe(std::string_view file) {
  return [=](const test::ModelCopy& copy) {
    copy.remove(file);
    ASSERT_EQ(::mkfifo(copy.file(file).c_str(), 0600), 0);
  };
}
auto link(std::string_view file, std::string target) {
  return [=](const test::ModelCopy& copy) {
    copy.remove(file);
    std::filesystem::create_symlink(target, copy.file(file));
  };
}

void check(const std::vector<FileCase>& cases) {
  for (const FileCase& item : cases) {
    SCOPED_TRACE(std::string(item.model) + ": " + std::string(item.title));
    const test::ModelCopy copy(item.model);
    item.change(copy);
    const auto opened = copy.open();
    if (item.named.empty()) {
      EXPECT_TRUE(opened.ok()) << opened.error().message;
      continue;
    }
    ASSERT_FALSE(opened.ok());
    const std::string& message = opened.error().message;
    EXPECT_EQ(opened.error().code, ErrorCode::kModel) << message;
    const std::string start = item.file.empty() ? copy.path() + ": " : copy.file(item.file) + ": ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    EXPECT_NE(message.find(item.named, start.size()), std::string::npos)
        << message << "\n  does not name " << item.named;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

constexpr std::string_view kWeights = "model.safetensors";
constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::string_view kFirst = "model-00001-of-00003.safetensors", kSecond = "model-00002-of-00003.safetensors",
                           kThird = "model-00003-of-00003.safetensors";
constexpr std::string_view kQuery = "encoder.layer.1.attention.self.query.weight";
constexpr std::string_view kNorm = "embeddings.LayerNorm.weight";

TEST(HostileFiles, TensorsThatDoNotFitAreRefused) {
  check({
      {"renamed", "bert-base-v5", renamed(kQuery, "encoder.layer.1.attention.self.q.weight"), "", kQuery},
      {"other case", "bert-base-v5", renamed(kQuery, "encoder.layer.1.attention.self.Query.weight"), "", kQuery},
      {"trailing space", "bert-base-v5", renamed(kQuery, "encoder.layer.1.attention.self.query.weight "), "", kQuery},
      {"leading zero", "bert-base-v5", renamed(kQuery, "encoder.layer.01.attention.self.query.weight"), "", kQuery},
      {"one other prefix", "bert-base-v5", renamed(kQuery, "bert.encoder.layer.1.attention.self.query.weight"), "",
       kQuery},
      {"removed matrix", "bert-base-v5", removed(kQuery), "", kQuery},
      {"removed norm", "bert-base-v5", removed(kNorm), "", kNorm},
      {"removed bias", "bert-base-v5", removed("encoder.layer.0.output.dense.bias"), "",
       "encoder.layer.0.output.dense.bias"},
      {"removed table", "bert-base-v5", removed("embeddings.token_type_embeddings.weight"), "",
       "token_type_embeddings"},
      {"added matrix", "bert-base-v5", added("encoder.extra.weight", "F32", {2, 2}, 16), kWeights,
       "encoder.extra.weight"},
      {"added bias", "llama-base-v4", added("layers.0.self_attn.q_proj.bias", "F32", {24}, 96), kWeights,
       "q_proj.bias"},
      {"added query norm", "llama-base-v4", added("layers.0.self_attn.q_norm.weight", "F32", {6}, 24), kWeights,
       "q_norm"},
      {"added layer", "gpt2-base-v4", added("h.3.ln_1.weight", "F32", {24}, 96), kWeights, "h.3.ln_1.weight"},
      {"both norm names", "bert-base-v5", added("embeddings.LayerNorm.gamma", "F32", {24}, 96), kWeights,
       "LayerNorm.gamma"},
      {"adapter", "bert-base-v5", added("encoder.layer.0.attention.self.query.lora_A.weight", "F32", {1, 24}, 96),
       kWeights, "lora_A"},
      {"cross attention", "gpt2-base-v4", added("h.0.crossattention.q_attn.bias", "F32", {24}, 96), kWeights,
       "crossattention"},
      {"relative distances", "bert-base-v5",
       added("encoder.layer.0.attention.self.distance_embedding.weight", "F32", {127, 6}, 3048), kWeights,
       "distance_embedding"},
      {"quantised beside", "llama-base-v4", added("layers.0.self_attn.q_proj.weight_scale", "F32", {1}, 4), kWeights,
       "weight_scale"},
      {"bias table of a later block", "t5-base-v5",
       added("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight", "F32", {32, 3}, 384), kWeights,
       "relative_attention_bias"},
      {"a name of control characters", "bert-base-v5", added("a\nb\x01", "F32", {1}, 4), kWeights, "a\\x0ab"},
      {"transposed matrix", "bert-base-v5", reshaped("encoder.layer.0.intermediate.dense.weight", {24, 56}), kWeights,
       "encoder.layer.0.intermediate.dense.weight"},
      {"untransposed Conv1D", "gpt2-base-v4", reshaped("h.0.attn.c_attn.weight", {72, 24}), kWeights,
       "h.0.attn.c_attn.weight"},
      {"transposed table", "t5-base-v5", reshaped("shared.weight", {24, 120}), kWeights, "shared.weight"},
      {"vector as a row", "bert-base-v5", reshaped(kNorm, {1, 24}), kWeights, kNorm},
      {"flat matrix", "bert-base-v5", reshaped(kQuery, {576}), kWeights, kQuery},
      {"one axis more", "bert-base-v5", reshaped(kQuery, {1, 24, 24}), kWeights, kQuery},
      {"rank 9", "bert-base-v5", reshaped(kQuery, {1, 1, 1, 1, 1, 1, 1, 24, 24}), kWeights, kQuery},
      {"shape too large", "bert-base-v5", reshaped(kQuery, {4294967296, 4294967296}), kWeights, kQuery},
      {"shape beyond its bytes", "bert-base-v5", reshaped(kQuery, {24, 25}), kWeights, kQuery},
      {"shape within its bytes", "bert-base-v5", reshaped(kQuery, {24, 23}), kWeights, kQuery},
      {"empty tensor", "bert-base-v5", weights([](Tensors& all) {
         tensor(all, kQuery).shape = {0, 24};
         tensor(all, kQuery).bytes.clear();
       }),
       kWeights, kQuery},
      {"I64", "bert-base-v5", retyped(kQuery, "I64", 8), kWeights, kQuery},
      {"F64", "bert-base-v5", retyped(kQuery, "F64", 8), kWeights, kQuery},
      {"I8", "llama-base-v4", retyped("layers.0.self_attn.q_proj.weight", "I8", 1), kWeights, "q_proj.weight"},
      {"U8", "llama-base-v4", retyped("layers.0.self_attn.q_proj.weight", "U8", 1), kWeights, "q_proj.weight"},
      {"F8", "llama-base-v4", retyped("layers.0.self_attn.q_proj.weight", "F8_E4M3", 1), kWeights, "q_proj.weight"},
      {"BOOL norm", "llama-base-v4", retyped("norm.weight", "BOOL", 1), kWeights, "norm.weight"},
      {"unknown dtype", "bert-base-v5", retyped(kQuery, "F33", 4), kWeights, "F33"},
      {"I32 of the same bytes", "bert-base-v5", retyped(kQuery, "I32", 4), kWeights, kQuery},
      {"BF16 that lies", "bert-base-v5", weights([](Tensors& all) { tensor(all, kQuery).dtype = "BF16"; }), kWeights,
       kQuery},
      {"a copy that differs", "t5-base-v5", added("encoder.embed_tokens.weight", "F32", {120, 24}, 11520), kWeights,
       "encoder.embed_tokens.weight"},
      {"no tensors", "bert-base-v5", weights([](Tensors& all) { all.clear(); }), "",
       "embeddings.word_embeddings.weight"},
  });
}

TEST(HostileFiles, WeightFilesThatAreBrokenAreRefused) {
  std::vector<FileCase> cases = {
      {"missing", "bert-base-v5", gone(kWeights), "", "has neither"},
      {"empty", "bert-base-v5", cut(kWeights, 0), kWeights, "bytes"},
      {"junk behind", "bert-base-v5", bytes(kWeights, [](std::string all) { return all + "1234"; }), kWeights, "bytes"},
      {"a zip", "bert-base-v5", replaced(kWeights, std::string("PK\x03\x04") + std::string(100, 'x')), kWeights,
       "header"},
      {"a pipe", "bert-base-v5", pipe(kWeights), kWeights, "named pipe"},
      {"a folder", "bert-base-v5", folder(kWeights), kWeights, "folder"},
      {"a device", "bert-base-v5", link(kWeights, "/dev/zero"), kWeights, "/dev/zero"},
      {"a link to nothing", "bert-base-v5", link(kWeights, "nowhere"), kWeights, "link"},
      {"pickle instead", "bert-base-v5",
       [](const test::ModelCopy& copy) {
         copy.remove(kWeights);
         copy.write("pytorch_model.bin", "\x80\x02");
       },
       "", "pytorch_model.bin"},
      {"shard missing", "bert-sharded-v5", gone(kSecond), kSecond, "cannot be opened"},
      {"shard empty", "bert-sharded-v5", cut(kSecond, 0), kSecond, "bytes"},
      {"shards swapped", "bert-sharded-v5",
       [](const test::ModelCopy& copy) {
         const std::string first = copy.read(kFirst);
         copy.write(kFirst, copy.read(kSecond));
         copy.write(kSecond, first);
       },
       kFirst, "places in"},
      {"one shard twice", "bert-sharded-v5",
       [](const test::ModelCopy& copy) { copy.write(kThird, copy.read(kSecond)); }, kThird, "places in"},
      {"a tensor in two shards", "bert-sharded-v5",
       [](const test::ModelCopy& copy) {
         Tensors third = copy.tensors(kThird);
         third.push_back(copy.tensors(kFirst).front());
         copy.write_tensors(third, kThird);
       },
       kThird, "places in"},
      {"a tensor that no index lists", "bert-sharded-v5",
       [](const test::ModelCopy& copy) {
         Tensors third = copy.tensors(kThird);
         third.push_back({"unlisted", "F32", {1}, std::string(4, '\0')});
         copy.write_tensors(third, kThird);
       },
       kThird, "unlisted"},
      {"a shard lacks a tensor", "bert-sharded-v5",
       [](const test::ModelCopy& copy) {
         Tensors third = copy.tensors(kThird);
         third.pop_back();
         copy.write_tensors(third, kThird);
       },
       kThird, "lacks tensor"},
      {"index empty", "bert-sharded-v5", replaced(kIndex, ""), kIndex, "JSON"},
      {"index without a map", "bert-sharded-v5", replaced(kIndex, "{}"), kIndex, "weight_map"},
      {"index a pipe", "bert-sharded-v5", pipe(kIndex), kIndex, "named pipe"},
      {"index points outside", "bert-sharded-v5", replaced(kIndex, R"({"weight_map":{"a":"../x.safetensors"}})"),
       kIndex, "../x.safetensors"},
      {"index names a pickle", "bert-sharded-v5", replaced(kIndex, R"({"weight_map":{"a":"x.bin"}})"), kIndex, "x.bin"},
  };
  for (const std::size_t left : {1U, 7U, 8U, 9U, 100U, 1000U, 5000U, 20000U, 60000U})
    cases.push_back({"cut", "bert-base-v5", cut(kWeights, left), kWeights, "bytes"});
  check(cases);
}

std::string repeated(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(HostileFiles, ConfigFilesThatAreBrokenAreRefused) {
  check({
      {"missing", "bert-base-v5", gone(kConfig), kConfig, "cannot be opened"},
      {"a pipe", "bert-base-v5", pipe(kConfig), kConfig, "named pipe"},
      {"a folder", "bert-base-v5", folder(kConfig), kConfig, "folder"},
      {"a device", "bert-base-v5", link(kConfig, "/dev/zero"), kConfig, "device"},
      {"empty", "bert-base-v5", replaced(kConfig, ""), kConfig, "JSON"},
      {"blank", "bert-base-v5", replaced(kConfig, " \n"), kConfig, "JSON"},
      {"cut", "bert-base-v5", cut(kConfig, 100), kConfig, "JSON"},
      {"70 MB", "bert-base-v5", replaced(kConfig, "{\"a\":\"" + std::string(70U << 20, 'x') + "\"}"), kConfig, "bytes"},
      {"nested deeply", "bert-base-v5", replaced(kConfig, repeated("[", 100000) + repeated("]", 100000)), kConfig,
       "deep"},
      {"objects nested deeply", "bert-base-v5",
       replaced(kConfig, repeated("{\"a\":", 5000) + "1" + repeated("}", 5000)), kConfig, "deep"},
      {"not UTF-8", "bert-base-v5", replaced(kConfig, "{\"model_type\":\"b\xff\"}"), kConfig, "UTF-8"},
      {"UTF-16", "bert-base-v5", replaced(kConfig, std::string("\xff\xfe{\0}\0", 6)), kConfig, "UTF-8"},
      {"byte order mark", "bert-base-v5", bytes(kConfig, [](std::string all) { return "\xef\xbb\xbf" + all; }), kConfig,
       "JSON"},
      {"a key twice", "bert-base-v5", replaced(kConfig, R"({"model_type":"bert","hidden_size":24,"hidden_size":48})"),
       kConfig, "hidden_size"},
      {"comments", "bert-base-v5", bytes(kConfig, [](std::string all) { return "// of mine\n" + all; }), kConfig,
       "JSON"},
      {"trailing comma", "bert-base-v5", replaced(kConfig, R"({"model_type":"bert",})"), kConfig, "JSON"},
      {"NaN", "bert-base-v5", replaced(kConfig, R"({"model_type":"bert","layer_norm_eps":NaN})"), kConfig, "JSON"},
      {"something behind", "bert-base-v5", bytes(kConfig, [](std::string all) { return all + "{}"; }), kConfig, "JSON"},
      {"an array", "bert-base-v5", replaced(kConfig, "[]"), kConfig, "object"},
      {"a text", "bert-base-v5", replaced(kConfig, "\"bert\""), kConfig, "object"},
      {"null", "bert-base-v5", replaced(kConfig, "null"), kConfig, "object"},
      {"no keys", "bert-base-v5", replaced(kConfig, "{}"), kConfig, "model_type"},
  });
}

std::string tokenizer(std::string_view name) {
  return test::content_of(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/tokenizers/" + std::string(name));
}

TEST(HostileFiles, BrokenTokenizersAreRefused) {
  constexpr std::string_view kFile = "tokenizer.json";
  const std::string sound = tokenizer("word_piece.json");
  check({
      {"empty", "bert-base-v5", replaced(kFile, ""), kFile, "EOF"},
      {"no object", "bert-base-v5", replaced(kFile, "[]"), kFile, "Tokenizer"},
      {"no keys", "bert-base-v5", replaced(kFile, "{}"), kFile, "Model missing"},
      {"cut", "bert-base-v5", replaced(kFile, sound.substr(0, sound.size() / 2)), kFile, "EOF"},
      {"unknown model", "bert-base-v5", replaced(kFile, R"({"version":"1.0","model":{"type":"Magic","vocab":{}}})"),
       kFile, "ModelUntagged"},
      {"not UTF-8", "bert-base-v5", replaced(kFile, "{\"version\":\"\xff\"}"), kFile, "invalid unicode"},
      {"a pipe", "bert-base-v5", pipe(kFile), kFile, "named pipe"},
      {"a folder", "bert-base-v5", folder(kFile), kFile, "folder"},
      {"a link to nothing", "bert-base-v5", link(kFile, "nowhere"), kFile, "cannot be opened"},
      {"an older one", "bert-base-v5", replaced("vocab.txt", "\xff"), "vocab.txt", "UTF-8"},
  });
}

TEST(HostileFiles, WhatIsNoFolderIsRefused) {
  const test::ModelCopy copy("bert-base-v5");
  for (const std::string& path :
       {copy.file("nothing"), copy.file("config.json"), std::string(), std::string("a\0b", 3)}) {
    const auto opened = Model::open(path, {.weights = false});
    ASSERT_FALSE(opened.ok()) << path;
    EXPECT_EQ(opened.error().code, ErrorCode::kModel);
    EXPECT_NE(opened.error().message.find("folder"), std::string::npos) << opened.error().message;
  }
}

/// Every tensor name with this in front.
auto prefixed(std::string prefix) {
  return weights([=](Tensors& all) {
    for (test::StoredTensor& item : all) item.name = prefix + item.name;
  });
}

TEST(OddFolders, ThatAreSoundOpen) {
  check({
      {"unchanged", "bert-sharded-v5", [](const test::ModelCopy&) {}, "", ""},
      {"reversed", "bert-base-v5", weights([](Tensors& all) { std::ranges::reverse(all); }), "", ""},
      {"reversed", "t5-base-v5", weights([](Tensors& all) { std::ranges::reverse(all); }), "", ""},
      {"with a prefix", "bert-base-v5", prefixed("bert."), "", ""},
      {"with a prefix", "gpt2-base-v4", prefixed("transformer."), "", ""},
      {"with a prefix", "llama-base-v4", prefixed("model."), "", ""},
      {"without a pooler", "bert-base-v5", weights([](Tensors& all) {
         std::erase_if(all, [](const auto& item) { return item.name.starts_with("pooler."); });
       }),
       "", ""},
      {"position ids", "bert-base-v5", added("embeddings.position_ids", "I64", {1, 64}, 512), "", ""},
      {"a head", "bert-base-v5", added("classifier.weight", "F32", {2, 24}, 192), "", ""},
      {"a language head", "bert-base-v5", added("cls.predictions.bias", "F32", {120}, 480), "", ""},
      {"a language head", "gpt2-base-v4", added("lm_head.weight", "F32", {120, 24}, 11520), "", ""},
      {"mask buffers", "gpt2-base-v4", added("h.0.attn.bias", "BOOL", {1, 1, 64, 64}, 4096), "", ""},
      {"a masked value", "gpt2-base-v4", added("h.1.attn.masked_bias", "F32", {}, 4), "", ""},
      {"rotary buffers", "llama-base-v4", added("layers.0.self_attn.rotary_emb.inv_freq", "F32", {3}, 12), "", ""},
      {"a copied table", "t5-base-v5", weights([](Tensors& all) {
         test::StoredTensor copy = tensor(all, "shared.weight");
         copy.name = "decoder.embed_tokens.weight";
         all.push_back(copy);
       }),
       "", ""},
      {"old norm names", "bert-base-v5", renamed(kNorm, "embeddings.LayerNorm.gamma"), "", ""},
      {"one matrix F16", "bert-base-v5", retyped(kQuery, "F16", 2), "", ""},
      {"one norm BF16", "bert-base-v5", retyped(kNorm, "BF16", 2), "", ""},
      {"other files", "bert-base-v5",
       [](const test::ModelCopy& copy) {
         for (const char* name : {"README.md", ".gitattributes", "tokenizer_config.json", "pytorch_model.bin",
                                  "1_Pooling/config.json", "modules.json", "generation_config.json", "code.py"})
           copy.write(name, "not read \xff");
       },
       "", ""},
      {"an index beside a whole file", "bert-base-v5", replaced(kIndex, "{}"), "", ""},
      {"a tokenizer that pads and cuts", "bert-base-v5", replaced("tokenizer.json", tokenizer("word_piece.json")), "",
       ""},
      {"a Unigram tokenizer", "t5-base-v5", replaced("tokenizer.json", tokenizer("unigram.json")), "", ""},
      {"a config with spaces", "bert-base-v5", bytes(kConfig, [](std::string all) { return " \r\n\t" + all + "\n\n"; }),
       "", ""},
      {"nested where unknown", "bert-base-v5",
       [](const test::ModelCopy& copy) { copy.set("own", repeated("[", 40) + repeated("]", 40)); }, "", ""},
  });
}

TEST(OddFolders, OpenWithTheirWeights) {
  const test::ModelCopy copy("bert-base-v5");
  retyped(kQuery, "F16", 2)(copy);
  const auto opened = copy.open(true);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_GT((*opened)->info().packed_bytes, 0U);
}

}  // namespace
}  // namespace layerscope
