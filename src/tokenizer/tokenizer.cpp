#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <utility>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/try.h"
#include "layerscope_tokenizer.h"

namespace layerscope {
namespace {

/// The files that may make up a tokenizer, in the order in which they are hashed.
constexpr std::array kFiles = {"tokenizer.json",
                               "tokenizer_config.json",
                               "special_tokens_map.json",
                               "added_tokens.json",
                               "vocab.txt",
                               "vocab.json",
                               "merges.txt",
                               "spiece.model",
                               "tokenizer.model",
                               "sentencepiece.bpe.model",
                               "spm.model",
                               "source.spm",
                               "target.spm"};
/// Those among them that only say something about another one.
constexpr std::array kNotAlone = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};

/// The largest file that is read; those of the largest vocabularies (260 000 entries) take about 40 MB.
constexpr std::size_t kMaxFileBytes = std::size_t{128} << 20;
/// The longest text and pair together; the tokenizers crate takes some 200 bytes of memory for each of them.
constexpr std::size_t kMaxTextBytes = std::size_t{16} << 20;

struct FreeText {
  void operator()(char* text) const noexcept { layerscope_tokenizer_free_text(text); }
};
using Text = std::unique_ptr<char, FreeText>;

struct FreeTokenizer {
  void operator()(layerscope_tokenizer* tokenizer) const noexcept { layerscope_tokenizer_free(tokenizer); }
};

/// An encoding of the Rust half, freed at the end of its life.
struct Row : layerscope_encoding {
  Row() : layerscope_encoding{} {}
  ~Row() { layerscope_tokenizer_free_encoding(this); }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
};

/// Only what is the file's fault names the file; the caller knows where a text came from.
Error to_error(int kind, char* message, const std::string& path) {
  const Text owned(message);
  const std::string text = owned ? owned.get() : "out of memory";
  switch (kind) {
    case LAYERSCOPE_TOKENIZER_MODEL: return Error{ErrorCode::kModel, path.empty() ? text : path + ": " + text};
    case LAYERSCOPE_TOKENIZER_USAGE: return Error{ErrorCode::kUsage, text};
    default: return Error{ErrorCode::kInput, text};
  }
}

Encoding to_encoding(const Row& row) {
  Encoding encoding;
  encoding.ids.assign(row.ids, row.ids + row.length);
  encoding.type_ids.assign(row.type_ids, row.type_ids + row.length);
  encoding.special.assign(row.special, row.special + row.length);
  if (row.offsets != nullptr) {
    encoding.sequence.assign(row.sequence, row.sequence + row.length);
    encoding.offsets.reserve(row.length);
    for (std::size_t i = 0; i < row.length; ++i) {
      encoding.offsets.emplace_back(row.offsets[2 * i], row.offsets[2 * i + 1]);
    }
  }
  return encoding;
}

}  // namespace

struct Tokenizer::State {
  std::string path;
  std::string hash;
  std::unique_ptr<layerscope_tokenizer, FreeTokenizer> tokenizer;
};

namespace {

Result<MappedFile> open_file(const std::string& path) {
  LAYERSCOPE_ASSIGN(MappedFile file, MappedFile::open(path, ErrorCode::kModel));
  if (file.bytes().size() > kMaxFileBytes) {
    return Error{ErrorCode::kModel, path + ": a tokenizer of " + std::to_string(file.bytes().size()) +
                                        " bytes, at most " + std::to_string(kMaxFileBytes) + " are read"};
  }
  return file;
}

const std::uint8_t* data(const MappedFile& file) { return reinterpret_cast<const std::uint8_t*>(file.bytes().data()); }

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::open(const std::string& path) {
  LAYERSCOPE_ASSIGN(const MappedFile file, open_file(path));
  auto state = std::make_unique<State>();
  state->path = path;
  Hasher hasher;
  hasher.update(file.bytes());
  state->hash = hasher.hex();
  layerscope_tokenizer* loaded = nullptr;
  char* message = nullptr;
  const int kind = layerscope_tokenizer_load(data(file), file.bytes().size(), &loaded, &message);
  if (kind != LAYERSCOPE_TOKENIZER_OK) return to_error(kind, message, path);
  state->tokenizer.reset(loaded);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(state)));
}

Result<FolderTokenizer> Tokenizer::open_folder(const std::string& folder) {
  FolderTokenizer result;
  std::vector<std::pair<std::string, MappedFile>> files;
  Hasher hasher;
  bool alone = true;
  const auto add = [&](const std::string& name) -> Status {
    const std::string path = folder + "/" + name;
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path, error))) return {};
    LAYERSCOPE_ASSIGN(MappedFile file, open_file(path));
    files.emplace_back(name, std::move(file));
    return {};
  };
  for (const char* name : kFiles) {
    const std::size_t before = files.size();
    LAYERSCOPE_TRY(add(name));
    if (files.size() == before) continue;
    result.files.push_back(folder + "/" + name);
    hasher.update(std::as_bytes(std::span(files.back().first.c_str(), files.back().first.size() + 1)));
    hasher.update(files.back().second.bytes());
    alone = alone && std::find(kNotAlone.begin(), kNotAlone.end(), files.back().first) != kNotAlone.end();
  }
  if (alone) {
    result.missing = "the folder has no tokenizer (neither tokenizer.json nor a vocabulary)";
    return result;
  }
  LAYERSCOPE_TRY(add("config.json"));

  std::vector<layerscope_file> views;
  for (const auto& [name, file] : files) views.push_back({name.data(), name.size(), data(file), file.bytes().size()});
  layerscope_tokenizer* loaded = nullptr;
  char* message = nullptr;
  const int kind = layerscope_tokenizer_load_folder(views.data(), views.size(), &loaded, &message);
  if (kind == LAYERSCOPE_TOKENIZER_UNSUPPORTED) {
    const Text owned(message);
    result.missing = "the folder's tokenizer cannot be used: " + std::string(owned ? owned.get() : "out of memory");
    return result;
  }
  if (kind != LAYERSCOPE_TOKENIZER_OK) {
    Error error = to_error(kind, message, "");
    error.message = folder + "/" + error.message;
    error.code = ErrorCode::kModel;
    return error;
  }
  auto state = std::make_unique<State>();
  state->path = folder;
  state->hash = hasher.hex();
  state->tokenizer.reset(loaded);
  result.tokenizer.reset(new Tokenizer(std::move(state)));
  return result;
}

Status Tokenizer::lower_first() {
  char* message = nullptr;
  const int kind = layerscope_tokenizer_lower_first(state_->tokenizer.get(), &message);
  if (kind != LAYERSCOPE_TOKENIZER_OK) return to_error(kind, message, state_->path);
  return {};
}

Status Tokenizer::keep_whole(std::string_view text) {
  char* message = nullptr;
  const int kind = layerscope_tokenizer_keep_whole(state_->tokenizer.get(), text.data(), text.size(), &message);
  if (kind != LAYERSCOPE_TOKENIZER_OK) return to_error(kind, message, state_->path);
  return {};
}

Result<Encoding> Tokenizer::encode(std::string_view text, std::optional<std::string_view> pair,
                                   const EncodeOptions& options) const {
  const std::size_t pair_size = pair ? pair->size() : 0;
  if (text.size() > kMaxTextBytes || pair_size > kMaxTextBytes - text.size()) {
    return Error{ErrorCode::kInput,
                 "a text of more than " + std::to_string(kMaxTextBytes) + " bytes, which is the limit of a row"};
  }
  if (options.max_length && *options.max_length < 0) {
    return Error{ErrorCode::kUsage, "max_length is " + std::to_string(*options.max_length) + ", expected 0 or more"};
  }
  const char* pair_data = pair ? (pair->empty() ? "" : pair->data()) : nullptr;
  Row row;
  char* message = nullptr;
  const int kind = layerscope_tokenizer_encode(state_->tokenizer.get(), text.data(), text.size(), pair_data, pair_size,
                                               options.add_special_tokens ? 1 : 0, options.max_length.value_or(-1),
                                               options.want_offsets ? 1 : 0, options.target ? 1 : 0, &row, &message);
  if (kind != LAYERSCOPE_TOKENIZER_OK) return to_error(kind, message, state_->path);
  return to_encoding(row);
}

Result<std::string> Tokenizer::decode(const std::vector<std::int32_t>& ids, bool skip_special_tokens) const {
  char* text = nullptr;
  std::size_t size = 0;
  char* message = nullptr;
  const int kind = layerscope_tokenizer_decode(state_->tokenizer.get(), ids.data(), ids.size(),
                                               skip_special_tokens ? 1 : 0, &text, &size, &message);
  if (kind != LAYERSCOPE_TOKENIZER_OK) return to_error(kind, message, state_->path);
  const Text owned(text);
  return std::string(owned.get(), size);
}

std::optional<std::string> Tokenizer::token(std::int32_t id) const {
  std::size_t size = 0;
  const Text owned(layerscope_tokenizer_token(state_->tokenizer.get(), id, &size));
  if (!owned) return std::nullopt;
  return std::string(owned.get(), size);
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const {
  const std::int32_t id = layerscope_tokenizer_id(state_->tokenizer.get(), token.data(), token.size());
  if (id < 0) return std::nullopt;
  return id;
}

bool Tokenizer::is_special(std::int32_t id) const {
  return layerscope_tokenizer_is_special(state_->tokenizer.get(), id) != 0;
}

std::int64_t Tokenizer::vocabulary_size() const { return layerscope_tokenizer_size(state_->tokenizer.get()); }

const std::string& Tokenizer::hash() const { return state_->hash; }

}  // namespace layerscope
