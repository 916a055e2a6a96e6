// Any bytes as a safetensors file, and any text as the header of one. What is accepted must describe the file exactly,
// and mean what a general JSON parser reads.
// Covers: src/checkpoint/safetensors.cpp src/checkpoint/header_reader.cpp
#include "checkpoint/safetensors.h"

#include <algorithm>

#include "base/json.h"
#include "fuzz/check.h"
#include "support/safetensors_bytes.h"

using namespace layerscope;

namespace {

void check_integers(const Json& array, std::span<const std::uint64_t> expected) {
  fuzz::check(array.array() != nullptr && array.array()->size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::int64_t* const integer = (*array.array())[i].integer();
    fuzz::check(integer != nullptr && static_cast<std::uint64_t>(*integer) == expected[i]);
  }
}

void check_against_json(const SafetensorsHeader& header, std::string_view text) {
  const auto json = parse_json(text, "f", ErrorCode::kModel);
  fuzz::check(json.ok() && json->object() != nullptr);
  const std::size_t extra = json->find("__metadata__") != nullptr ? 1 : 0;
  fuzz::check(json->object()->size() == header.tensors.size() + extra);
  for (const TensorEntry& tensor : header.tensors) {
    const Json* const entry = json->find(tensor.name);
    fuzz::check(entry != nullptr && entry->object() != nullptr && entry->object()->size() == 3);
    fuzz::check(*entry->find("dtype")->string() == dtype_name(tensor.dtype));
    const auto dims = tensor.shape.dims();
    check_integers(*entry->find("shape"), std::vector<std::uint64_t>(dims.begin(), dims.end()));
    check_integers(*entry->find("data_offsets"), std::vector<std::uint64_t>{tensor.begin, tensor.end});
  }
}

void check_file(std::string_view file) {
  const auto header = parse_safetensors(test::bytes_of(file), "f");
  if (!header.ok()) return fuzz::check_error(header.error(), ErrorCode::kModel, "f");
  std::uint64_t end = 0;
  for (const TensorEntry& tensor : header->tensors) {
    fuzz::check(tensor.begin == end && tensor.end >= tensor.begin);
    fuzz::check((TensorView{tensor.dtype, tensor.shape, nullptr}).bytes() == tensor.end - tensor.begin);
    end = tensor.end;
  }
  fuzz::check(header->data_offset + end == file.size());
  check_against_json(*header, file.substr(8, header->data_offset - 8));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  check_file(input);
  if (size > 0) check_file(test::safetensors_bytes(input.substr(1), data[0]));
  return 0;
}
