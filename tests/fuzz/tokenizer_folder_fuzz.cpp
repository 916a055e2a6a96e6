// Any bytes as one of the older tokenizer files of a folder; the first byte chooses the class and the file.
// Covers: src/tokenizer rust/tokenizer
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "fuzz/check.h"
#include "layerscope_tokenizer.h"

using namespace layerscope;

namespace {

struct Kind {
  const char* config;
  const char* file;        ///< the one that is tried
  const char* other_file;  ///< one that it needs beside it, or null
  const char* other;
};

constexpr const char* kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n<s>\n</s>\n";
constexpr const char* kTokens = R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6})";

constexpr std::array kKinds = {
    Kind{R"({"tokenizer_class":"T5Tokenizer","extra_ids":3})", "spiece.model", nullptr, nullptr},
    Kind{R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":true})", "tokenizer.model", nullptr, nullptr},
    Kind{R"({"tokenizer_class":"XLMRobertaTokenizer"})", "sentencepiece.bpe.model", nullptr, nullptr},
    Kind{R"({"tokenizer_class":"MBartTokenizer"})", "sentencepiece.bpe.model", nullptr, nullptr},
    Kind{R"({"tokenizer_class":"M2M100Tokenizer"})", "sentencepiece.bpe.model", "vocab.json", kTokens},
    Kind{R"({"tokenizer_class":"BertTokenizer"})", "vocab.txt", nullptr, nullptr},
    Kind{R"({"tokenizer_class":"RobertaTokenizer"})", "merges.txt", "vocab.json", kTokens},
    Kind{R"({"tokenizer_class":"RobertaTokenizer"})", "vocab.json", "merges.txt", "a b\n"},
    Kind{nullptr, "tokenizer_config.json", "vocab.txt", kVocabulary},
    Kind{R"({"tokenizer_class":"BertTokenizer"})", "special_tokens_map.json", "vocab.txt", kVocabulary},
    Kind{R"({"tokenizer_class":"BertTokenizer"})", "added_tokens.json", "vocab.txt", kVocabulary},
};

layerscope_file view(std::string_view name, std::string_view content) {
  return {name.data(), name.size(), reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

struct Free {
  void operator()(layerscope_tokenizer* tokenizer) const { layerscope_tokenizer_free(tokenizer); }
  void operator()(char* text) const { layerscope_tokenizer_free_text(text); }
};

void check_message(char* message) {
  const std::unique_ptr<char, Free> owned(message);
  fuzz::check(owned && std::string_view(owned.get()).find('\n') == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Kind& kind = kKinds[data[0] % kKinds.size()];
  std::vector<layerscope_file> files = {view(kind.file, fuzz::text_of(data + 1, size - 1)),
                                        view("config.json", R"({"model_type":"bert"})")};
  if (kind.config != nullptr) files.push_back(view("tokenizer_config.json", kind.config));
  if (kind.other_file != nullptr) files.push_back(view(kind.other_file, kind.other));

  layerscope_tokenizer* loaded = nullptr;
  char* message = nullptr;
  if (layerscope_tokenizer_load_folder(files.data(), files.size(), &loaded, &message) != LAYERSCOPE_TOKENIZER_OK) {
    check_message(message);
    return 0;
  }
  const std::unique_ptr<layerscope_tokenizer, Free> tokenizer(loaded);
  constexpr std::string_view kText = ">>a<< ab  ba <mask>\xe6\x97\xa5\xcc\x81 [NEW]\n";
  layerscope_encoding row{};
  if (layerscope_tokenizer_encode(loaded, kText.data(), kText.size(), kText.data(), 2, 1, -1, 1, data[0] & 1, &row,
                                  &message) != LAYERSCOPE_TOKENIZER_OK) {
    check_message(message);
    return 0;
  }
  for (std::size_t i = 0; i < row.length; ++i) fuzz::check(row.sequence[i] < 0 || row.offsets[2 * i] >= 0);
  layerscope_tokenizer_free_encoding(&row);
  return 0;
}
