#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/json.h"
#include "base/parallel.h"
#include "bindings.h"
#include "errors.h"
#include "rows.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

// Rows end to end.
struct Encodings {
  std::vector<std::int64_t> begins = {0}, ids, type_ids, special, offsets, sequence;
};

void append(Encodings& all, const Encoding& one) {
  all.ids.insert(all.ids.end(), one.ids.begin(), one.ids.end());
  all.type_ids.insert(all.type_ids.end(), one.type_ids.begin(), one.type_ids.end());
  all.special.insert(all.special.end(), one.special.begin(), one.special.end());
  for (const auto& [begin, end] : one.offsets) {
    all.offsets.push_back(begin);
    all.offsets.push_back(end);
  }
  all.sequence.insert(all.sequence.end(), one.sequence.begin(), one.sequence.end());
  all.begins.push_back(static_cast<std::int64_t>(all.ids.size()));
}

using EncodingArrays =
    std::tuple<NumpyArray<std::int64_t, 1>, NumpyArray<std::int64_t, 1>, NumpyArray<std::int64_t, 1>,
               NumpyArray<std::int64_t, 1>, NumpyArray<std::int64_t, 2>, NumpyArray<std::int64_t, 1>>;

EncodingArrays encode(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                      const std::vector<std::string>& pairs, bool add_special_tokens,
                      std::optional<std::int64_t> max_length, bool offsets, bool target) {
  if (!pairs.empty() && pairs.size() != texts.size())
    raise({ErrorCode::kUsage, "as many pairs as texts expected, " + std::to_string(pairs.size()) + " for " +
                                  std::to_string(texts.size())});
  const EncodeOptions options{
      .add_special_tokens = add_special_tokens, .max_length = max_length, .want_offsets = offsets, .target = target};
  Encodings all;
  Status status;
  {
    const nb::gil_scoped_release released;
    std::vector<Encoding> each(texts.size());
    status = for_each_parallel(texts.size(), texts.size() < 8 ? 1 : all_cores(0), [&](std::size_t i) -> Status {
      std::optional<std::string_view> pair;
      if (!pairs.empty()) pair = pairs[i];
      auto encoding = tokenizer.encode(texts[i], pair, options);
      if (!encoding) return in_row(encoding.error(), i, texts.size());
      each[i] = std::move(encoding).value();
      return {};
    });
    for (const Encoding& one : each) append(all, one);
  }
  check(status);
  const std::size_t spans = all.offsets.size() / 2;
  return {array_of(std::move(all.begins)),
          array_of(std::move(all.ids)),
          array_of(std::move(all.type_ids)),
          array_of(std::move(all.special)),
          array_of<std::int64_t, 2>(std::move(all.offsets), {spans, 2}),
          array_of(std::move(all.sequence))};
}

std::string render(const ChatTemplate& chat, const std::string& messages, bool add_generation_prompt,
                   const std::string& name, std::optional<std::array<std::int32_t, 3>> date) {
  const Json json = take(parse_json(messages, "messages", ErrorCode::kInput));
  Result<std::string> text = Error{};
  {
    const nb::gil_scoped_release released;
    text = chat.render(json, {.add_generation_prompt = add_generation_prompt, .name = name, .date = date});
  }
  return take(std::move(text));
}

}  // namespace

void bind_tokenizer(nb::module_& module) {
  nb::class_<Tokenizer>(module, "Tokenizer", "A model folder's tokenizer.")
      .def_static(
          "open",
          [](const std::string& folder) {
            FolderTokenizer found = take(Tokenizer::open_folder(folder));
            if (!found.tokenizer) raise({ErrorCode::kModel, found.missing});
            return std::move(found.tokenizer);
          },
          "folder"_a)
      .def("encode", &encode, "texts"_a, "pairs"_a, "add_special_tokens"_a, "max_length"_a.none(), "offsets"_a,
           "target"_a = false,
           "Rows end to end: where each begins, ids, type ids, special, offsets [tokens, 2], sequence.")
      .def(
          "decode",
          [](const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, bool skip_special_tokens) {
            return take(tokenizer.decode(ids, skip_special_tokens));
          },
          "ids"_a, "skip_special_tokens"_a)
      .def(
          "token", [](const Tokenizer& tokenizer, std::int32_t id) { return tokenizer.token(id); }, "id"_a)
      .def(
          "id", [](const Tokenizer& tokenizer, const std::string& token) { return tokenizer.id(token); }, "token"_a)
      .def("is_special", &Tokenizer::is_special, "id"_a)
      .def("vocabulary_size", &Tokenizer::vocabulary_size);
  nb::class_<ChatTemplate>(module, "ChatTemplate", "A model folder's chat templates.")
      .def_static(
          "open",
          [](const std::string& folder) {
            std::unique_ptr<ChatTemplate> chat = take(ChatTemplate::open_folder(folder));
            if (!chat) raise({ErrorCode::kModel, folder + ": has no chat template"});
            return chat;
          },
          "folder"_a)
      .def("render", &render, "messages"_a, "add_generation_prompt"_a, "name"_a = "", "date"_a = nb::none());
}

}  // namespace layerscope::python
