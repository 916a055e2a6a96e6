// Folders whose tokenizer files are broken, lie or are of a kind that is not built: one line that names the file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <map>
#include <random>

#include "files.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

using Files = std::map<std::string, std::string>;

class HostileFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/layerscope-tokenizer-folder-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Result<FolderTokenizer> open(const Files& files) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    for (const auto& [name, content] : files) std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return Tokenizer::open_folder(folder_);
  }

  void expect_refused(const Files& files, const std::string& file, const std::string& why) {
    const auto opened = open(files);
    ASSERT_FALSE(opened.ok()) << file << " " << why;
    EXPECT_EQ(opened.error().code, ErrorCode::kModel);
    EXPECT_THAT(opened.error().message, ::testing::StartsWith(folder_ + "/" + file + ": "));
    EXPECT_THAT(opened.error().message, HasSubstr(why));
    EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
  }

  void expect_without(const Files& files, const std::string& why) {
    const auto opened = open(files);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_FALSE(opened->tokenizer);
    EXPECT_THAT(opened->missing, HasSubstr(why));
  }

  std::string folder_;
};

constexpr const char* kConfig = "tokenizer_config.json";

std::string class_of(const std::string& name, const std::string& more = "") {
  return R"({"tokenizer_class":")" + name + "\"" + more + "}";
}

Files bert(const std::string& more = "") {
  return {{"vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"}, {kConfig, class_of("BertTokenizer", more)}};
}

Files gpt2() {
  return {{"vocab.json", R"({"<|endoftext|>":0,"a":1,"b":2,"ab":3})"},
          {"merges.txt", "#version: 0.2\na b\n"},
          {kConfig, class_of("GPT2Tokenizer")}};
}

Files with(Files files, const std::string& name, const std::string& content) {
  files[name] = content;
  return files;
}

Files without(Files files, const std::string& name) {
  files.erase(name);
  return files;
}

// Protocol buffers, field by field.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string number(std::uint64_t field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(std::uint64_t field, const std::string& content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}
std::string score(float value) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &value, 4);
  return varint(2 << 3 | 5) + bytes;
}
std::string piece(const std::string& text, float value, std::uint64_t kind = 1) {
  return bytes(1, bytes(1, text) + score(value) + number(3, kind));
}
std::string pieces() {
  return piece("<pad>", 0, 3) + piece("</s>", 0, 3) + piece("<unk>", 0, 2) + piece("\xe2\x96\x81", -1) + piece("a", -2);
}
std::string trainer(const std::string& fields) { return bytes(2, fields); }
Files t5(const std::string& model) { return {{"spiece.model", model}, {kConfig, class_of("T5Tokenizer")}}; }

TEST_F(HostileFolder, TheHarmlessOnesOpen) {
  for (const Files& files : {bert(), gpt2(), t5(pieces() + trainer(number(40, 2)))}) {
    const auto opened = open(files);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    ASSERT_TRUE(opened->tokenizer) << opened->missing;
    EXPECT_TRUE(opened->tokenizer->encode("a b", std::nullopt, {}).ok());
    EXPECT_EQ(opened->files.size(), files.size());
  }
}

TEST_F(HostileFolder, WithoutAVocabularyThereIsNoTokenizer) {
  expect_without({}, "no tokenizer");
  expect_without({{kConfig, class_of("BertTokenizer")}, {"added_tokens.json", "{}"}}, "no tokenizer");
  expect_without(without(gpt2(), "merges.txt"), "merges.txt is missing");
  expect_without(without(gpt2(), "vocab.json"), "vocab.json is missing");
}

TEST_F(HostileFolder, WhatIsNotBuiltIsNamed) {
  expect_without(with(bert(), kConfig, class_of("RoFormerTokenizer")), "RoFormerTokenizer");
  expect_without(with(bert(), kConfig, class_of("SomebodysTokenizer")), "SomebodysTokenizer");
  expect_without(with(bert(), kConfig, class_of("PreTrainedTokenizerFast")), "PreTrainedTokenizer ");
  expect_without(with(bert(), kConfig, "{}"), "no class");
  expect_without(with(with(gpt2(), kConfig, "{}"), "config.json", R"({"model_type":"biogpt"})"), "BioGptTokenizer");
}

TEST_F(HostileFolder, WrongSettingsAreRefused) {
  expect_refused(with(bert(), kConfig, "{"), kConfig, "");
  expect_refused(with(bert(), kConfig, "[]"), kConfig, "object");
  expect_refused(with(bert(), kConfig, std::string(200000, '[')), kConfig, "nested");
  expect_refused(with(bert(), kConfig, R"({"tokenizer_class":7})"), kConfig, "tokenizer_class");
  expect_refused(bert(R"(,"do_lower_case":"yes")"), kConfig, "do_lower_case");
  expect_refused(bert(R"(,"strip_accents":3)"), kConfig, "strip_accents");
  expect_refused(bert(R"(,"cls_token":null)"), kConfig, "cls_token");
  expect_refused(bert(R"(,"cls_token":{"content":1})"), kConfig, "cls_token");
  expect_refused(bert(R"(,"cls_token":{"content":"x","colour":1})"), kConfig, "colour");
  expect_refused(bert(R"(,"truncation_side":"top")"), kConfig, "truncation_side");
  expect_refused(bert(R"(,"added_tokens_decoder":[])"), kConfig, "added_tokens_decoder");
  expect_refused(bert(R"(,"added_tokens_decoder":{"x":{"content":"y"}})"), kConfig, "no id");
  expect_refused(bert(R"(,"added_tokens_decoder":{"9":{"content":"y"}})"), kConfig, "id 9");
  expect_refused(bert(R"(,"additional_special_tokens":"x")"), kConfig, "additional_special_tokens");
  std::string many_names;
  std::string many_tokens;
  for (int i = 0; i < 20000; ++i) {
    many_names += ",\"" + std::to_string(i) + "_token\":\"x\"";
    many_tokens += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\"";
  }
  expect_refused(bert(many_names), kConfig, "names");
  expect_refused(bert(",\"extra_special_tokens\":[" + many_tokens + "]"), kConfig, "20000 tokens");
  expect_refused(with(bert(), "added_tokens.json", R"({"new":-1})"), "added_tokens.json", "new");
  expect_refused(with(bert(), "added_tokens.json", R"({"new":8})"), "added_tokens.json", "id 8");
  expect_refused(with(bert(), "special_tokens_map.json", R"({"cls_token":3})"), "special_tokens_map.json",
                 "cls_token is 3");
  expect_refused(with(t5(pieces()), kConfig, class_of("T5Tokenizer", R"(,"extra_ids":99999999999)")), kConfig,
                 "extra_ids");
}

TEST_F(HostileFolder, WrongVocabulariesAreRefused) {
  expect_refused(with(bert(), "vocab.txt", "[UNK]\na\nb\na\n"), "vocab.txt", "line 4");
  expect_refused(with(bert(), "vocab.txt", "[UNK]\n\xff\n"), "vocab.txt", "UTF-8");
  expect_refused(with(bert(), "vocab.txt", ""), "vocab.txt", "empty");
  expect_refused(with(gpt2(), "vocab.json", R"({"a":1,"b":1})"), "vocab.json", "id 1");
  expect_refused(with(gpt2(), "vocab.json", R"({"a":-1})"), "vocab.json", "expected an id");
  expect_refused(with(gpt2(), "vocab.json", R"({"a":4294967296})"), "vocab.json", "expected an id");
  expect_refused(with(gpt2(), "merges.txt", "a b c\n"), "merges.txt", "line 1");
  expect_refused(with(gpt2(), "merges.txt", "a x\n"), "merges.txt", "\"x\"");
  expect_refused(with(gpt2(), "merges.txt", "#version\nb a\n"), "merges.txt", "line 2");
  expect_refused(with(gpt2(), "merges.txt", "\xff"), "merges.txt", "UTF-8");
}

TEST_F(HostileFolder, WrongSentencePieceModelsAreRefused) {
  const std::string file = "spiece.model";
  expect_refused(t5(""), file, "pieces");
  expect_refused(t5("no model"), file, "");
  expect_refused(t5(piece("a", 0) + piece("a", 0)), file, "pieces[1]");
  expect_refused(t5(piece("\xff", 0)), file, "UTF-8");
  expect_refused(t5(piece("", 0)), file, "empty");
  expect_refused(t5(piece("a", std::numeric_limits<float>::infinity())), file, "pieces[0]");
  expect_refused(t5(piece("a", 0, 99)), file, "type is 99");
  expect_refused(t5(piece(std::string(5000, 'a'), 0)), file, "5000 bytes");
  expect_refused(t5(pieces() + trainer(number(40, 5))), file, "unk_id is 5");
  expect_refused(t5(pieces() + trainer(number(40, std::uint64_t(-1)))), file, "unk_id");
  expect_refused(t5(pieces() + trainer(number(3, 4))), file, "model_type is 4");
  expect_refused(t5(pieces() + trainer(number(24, 1))), file, "treat_whitespace_as_suffix");
  expect_refused(t5(pieces() + varint(1 << 3 | 2) + varint(std::uint64_t{1} << 60)), file, "bytes");
  expect_refused(t5(pieces() + std::string(11, '\xff')), file, "ten bytes");
  expect_refused(t5(pieces() + std::string(1, '\x0b')), file, "wire type 3");
  expect_refused(t5(pieces() + bytes(3, bytes(2, "no charsmap")) + trainer(number(40, 2))), file, "charsmap");
  expect_refused({{"tokenizer.model", pieces() + trainer(number(40, 2))}, {kConfig, class_of("LlamaTokenizer")}},
                 "tokenizer.model", "model_type");
  std::string heavy = trainer(number(3, 2));
  for (int i = 0; i < 1100; ++i) heavy += piece(std::to_string(i) + std::string(1000, 'a'), 0);
  expect_refused({{"tokenizer.model", heavy}, {kConfig, class_of("LlamaTokenizer")}}, "tokenizer.model", "too long");
}

TEST_F(HostileFolder, FilesMayNotBeHuge) {
  const Files files = bert();
  ASSERT_TRUE(open(files).ok());
  std::filesystem::resize_file(folder_ + "/vocab.txt", std::uintmax_t{1} << 40);
  const auto opened = Tokenizer::open_folder(folder_);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("vocab.txt"));
}

TEST_F(HostileFolder, EveryFileIsInTheHash) {
  std::vector<std::string> hashes;
  for (const Files& files :
       {bert(), bert(R"(,"do_lower_case":false)"), with(bert(), "added_tokens.json", R"({"new":7})"),
        with(bert(), "vocab.txt", bert().at("vocab.txt") + "c\n"), with(bert(), "special_tokens_map.json", "{}")}) {
    const auto opened = open(files);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    ASSERT_TRUE(opened->tokenizer) << opened->missing;
    hashes.push_back(opened->tokenizer->hash());
    EXPECT_EQ(Tokenizer::open_folder(folder_)->tokenizer->hash(), hashes.back());
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

TEST_F(HostileFolder, DamagedFilesNeverCrash) {
  std::mt19937 random(1);
  int opened_count = 0;
  int refused = 0;
  for (const char* name :
       {"t5-sentinels", "llama-2", "gemma", "marian", "roberta-added", "bert-cased-added", "mbart"}) {
    Files files;
    for (const auto& entry : std::filesystem::directory_iterator(testing::folder_path(name))) {
      if (entry.path().filename() == "cases.json") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(file), {}};
    }
    for (int i = 0; i < 60; ++i) {
      Files damaged = files;
      auto chosen = damaged.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random() % damaged.size()));
      std::string& content = chosen->second;
      const std::size_t at = random() % content.size();
      switch (i % 4) {
        case 0: content[at] = static_cast<char>(random()); break;
        case 1: content.resize(at); break;
        case 2: content.erase(at, 1 + random() % 20); break;
        default: content.insert(at, content.substr(random() % content.size(), random() % 40)); break;
      }
      const auto opened = open(damaged);
      if (!opened.ok()) {
        ++refused;
        EXPECT_EQ(opened.error().code, ErrorCode::kModel);
      } else if (opened->tokenizer) {
        ++opened_count;
        (void)opened->tokenizer->encode(">>fra<< Hidden <mask> 日本語 12345!", "and", {.want_offsets = true});
        (void)opened->tokenizer->decode({0, 1, 2, 3}, false);
      }
    }
  }
  EXPECT_GT(opened_count, 20);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace layerscope
