#include "support/golden.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace layerscope::testing {
namespace {

// A test without its reference is no test.
template <class T>
T must(Result<T> result) {
  if (result) return std::move(result).value();
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::abort();
}

template <class T>
std::vector<T> values(const SourceTensor* tensor) {
  if (tensor == nullptr) std::abort();
  std::vector<T> result(static_cast<std::size_t>(tensor->view.shape.elements()));
  std::memcpy(result.data(), tensor->view.data, tensor->view.bytes());
  return result;
}

const SourceTensor* find(const std::vector<SourceTensor>& tensors, const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const SourceTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace

Reference::Reference(const std::string& path) : file_(must(MappedFile::open(path, ErrorCode::kRuntime))) {
  const SafetensorsHeader header = must(parse_safetensors(file_.bytes(), path));
  for (const TensorEntry& entry : header.tensors) {
    tensors_.push_back({.name = entry.name,
                        .view = {.dtype = entry.dtype,
                                 .shape = entry.shape,
                                 .data = file_.bytes().data() + header.data_offset + entry.begin}});
  }
}

int Reference::rows() const {
  int count = 0;
  while (has("r" + std::to_string(count) + ".input_ids") || has("r" + std::to_string(count) + ".enc.input_ids"))
    ++count;
  return count;
}

std::vector<std::int32_t> Reference::ids(const std::string& name) const {
  return values<std::int32_t>(find(tensors_, name));
}
std::vector<std::uint8_t> Reference::bytes(const std::string& name) const {
  return values<std::uint8_t>(find(tensors_, name));
}
std::vector<float> Reference::floats(const std::string& name) const { return values<float>(find(tensors_, name)); }
bool Reference::has(const std::string& name) const { return find(tensors_, name) != nullptr; }

std::vector<std::string> Reference::sites(int row) const {
  const std::string prefix = "r" + std::to_string(row) + ".";
  std::vector<std::string> names;
  for (const SourceTensor& tensor : tensors_) {
    if (tensor.view.dtype != DType::kF32 || !tensor.name.starts_with(prefix)) continue;
    const std::string site = tensor.name.substr(prefix.size());
    if (site != "embedding") names.push_back(site);  // sentence vectors are not sites of the engine
  }
  return names;
}

Status Collected::accept(const StateFrame& frame) {
  std::vector<float>& block = values_[{frame.tag, plan_.stored()[static_cast<std::size_t>(frame.site)].name}];
  const auto end = static_cast<std::size_t>((frame.first_row + frame.rows.rows) * frame.rows.width);
  if (block.size() < end) block.resize(end, std::nanf(""));
  std::memcpy(block.data() + frame.first_row * frame.rows.width, frame.rows.data,
              static_cast<std::size_t>(frame.rows.rows * frame.rows.width) * sizeof(float));
  return {};
}

const std::vector<float>& Collected::at(std::uint64_t tag, const std::string& site) const {
  static const std::vector<float> kNothing;
  const auto found = values_.find({tag, site});
  return found == values_.end() ? kNothing : found->second;
}

double relative_l2(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += delta * delta;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

TextRow text_row(const Reference& reference, int row, bool two_stacks) {
  const std::string prefix = "r" + std::to_string(row) + ".";
  TextRow text;
  text.ids = reference.ids(prefix + (two_stacks ? "enc.input_ids" : "input_ids"));
  if (two_stacks) text.decoder_ids = reference.ids(prefix + "dec.input_ids");
  if (reference.has(prefix + "type_ids")) text.type_ids = reference.bytes(prefix + "type_ids");
  return text;
}

}  // namespace layerscope::testing
