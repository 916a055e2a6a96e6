// Any bytes as a text and its pair for good tokenizers, and as damage to their files.
// The first byte chooses a tokenizer and what is done with the rest. Covers: src/tokenizer, rust/tokenizer
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/check.h"
#include "tokenizer/tokenizer.h"

using namespace layerscope;
namespace fs = std::filesystem;

namespace {

struct Known {
  std::string json;
  std::unique_ptr<Tokenizer> tokenizer;
};

const std::vector<Known>& known() {
  static const std::vector<Known> all = [] {
    std::vector<Known> made;
    for (const char* name : {"word_piece", "byte_level", "split_pattern", "unigram"}) {
      const std::string path = (fs::path(LAYERSCOPE_SOURCE_DIR) / "tests/data/tokenizers" / name).string() + ".json";
      auto tokenizer = Tokenizer::open(path);
      fuzz::check(tokenizer.ok());
      std::ifstream file(path, std::ios::binary);
      made.push_back({{std::istreambuf_iterator<char>(file), {}}, std::move(tokenizer).value()});
    }
    return made;
  }();
  return all;
}

/// A file in the temporary folder, gone when the fuzzer ends.
class File {
 public:
  File() {
    const int descriptor = ::mkstemp(path_.data());
    fuzz::check(descriptor >= 0);
    ::close(descriptor);
  }
  ~File() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  void write(std::string_view content) const { std::ofstream(path_, std::ios::binary | std::ios::trunc) << content; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = (fs::temp_directory_path() / "layerscope-fuzz-XXXXXX").string();
};

std::int64_t code_points(std::string_view text) {
  std::int64_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

void check_encoding(const Tokenizer& tokenizer, std::string_view text, std::string_view pair,
                    const EncodeOptions& options) {
  const auto encoding = tokenizer.encode(text, pair, options);
  if (!encoding.ok()) {
    fuzz::check(!encoding.error().message.empty() && encoding.error().message.find('\n') == std::string::npos);
    return;
  }
  const std::size_t count = encoding->ids.size();
  fuzz::check(encoding->type_ids.size() == count && encoding->special.size() == count);
  fuzz::check(encoding->offsets.size() == count && encoding->sequence.size() == count);
  fuzz::check(!options.max_length || static_cast<std::int64_t>(count) <= *options.max_length);
  const std::int64_t lengths[] = {code_points(text), code_points(pair)};
  for (std::size_t i = 0; i < count; ++i) {
    fuzz::check(tokenizer.token(encoding->ids[i]).has_value());
    const auto [start, end] = encoding->offsets[i];
    if (encoding->sequence[i] < 0) {
      fuzz::check(start == -1 && end == -1);
    } else {
      fuzz::check(0 <= start && start <= end && end <= lengths[encoding->sequence[i]]);
    }
  }
  (void)tokenizer.decode(encoding->ids, true);
}

/// Puts the bytes over, or into, the file at a place that the first two bytes give.
std::string damaged(const std::string& json, std::string_view bytes, bool over) {
  if (bytes.size() < 2) return json.substr(0, bytes.size());
  const std::size_t place = static_cast<unsigned char>(bytes[0]) * 256U + static_cast<unsigned char>(bytes[1]);
  std::string copy = json;
  bytes.remove_prefix(2);
  const std::size_t at = place % copy.size();
  copy.replace(at, over ? bytes.size() : 0, bytes);
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Known& chosen = known()[data[0] % 4];
  const unsigned action = (data[0] / 4U) % 4;
  EncodeOptions options;
  options.want_offsets = true;
  options.add_special_tokens = (data[0] & 0x10U) != 0;
  if ((data[0] & 0x20U) != 0) options.max_length = 6;
  if (action < 2) {
    const std::size_t cut = action == 0 ? rest.size() : rest.size() / 2;
    check_encoding(*chosen.tokenizer, rest.substr(0, cut), rest.substr(cut), options);
    return 0;
  }
  static const File file;
  file.write(damaged(chosen.json, rest, action == 2));
  const auto tokenizer = Tokenizer::open(file.path());
  if (!tokenizer.ok()) {
    fuzz::check(tokenizer.error().code == ErrorCode::kModel);
    return 0;
  }
  check_encoding(**tokenizer, "Hidden states, <mask> 12345 \xe6\x97\xa5!", "don't  stop", options);
  return 0;
}
