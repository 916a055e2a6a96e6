#include "session/tuned_lens.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/try.h"
#include "checkpoint/safetensors.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::size_t kHashDigits = 32;

Error refused(const std::string& path, std::string_view tensor, const std::string& what) {
  return {ErrorCode::kModel, path + ": tensor \"" + std::string(tensor) + "\" " + what};
}

/// The floats of a tensor of that shape; values must be finite.
Result<std::vector<float>> floats(const std::string& path, const TensorEntry& tensor, const std::byte* data,
                                  const Shape& shape) {
  if (tensor.dtype != DType::kF32 || !(tensor.shape == shape)) {
    return refused(
        path, tensor.name,
        "is " + std::string(dtype_name(tensor.dtype)) + " " + tensor.shape.text() + ", expected F32 " + shape.text());
  }
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  std::memcpy(values.data(), data + tensor.begin, values.size() * sizeof(float));
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    return refused(path, tensor.name, "holds a value that is not finite");
  return values;
}

Status check_model(const std::string& path, const SafetensorsHeader& header, const std::byte* data,
                   const Model& model) {
  const auto found = std::find_if(header.tensors.begin(), header.tensors.end(),
                                  [](const TensorEntry& tensor) { return tensor.name == kLensModel; });
  if (found == header.tensors.end() || found->end - found->begin != kHashDigits)
    return refused(path, kLensModel, "is missing: this is no lens");
  const std::string of_model(reinterpret_cast<const char*>(data) + found->begin, kHashDigits);
  LAYERSCOPE_ASSIGN(const std::string hash, lens_model_hash(model));
  if (of_model == hash) return {};
  return Error{ErrorCode::kUsage, path + ": this lens was trained for another model than " + model.info().path +
                                      ", whose hash is " + hash + "; --train makes one for it"};
}

std::vector<float> transposed(const std::vector<float>& square, std::size_t width) {
  std::vector<float> out(square.size());
  for (std::size_t row = 0; row < width; ++row) {
    for (std::size_t column = 0; column < width; ++column) out[column * width + row] = square[row * width + column];
  }
  return out;
}

}  // namespace

Result<std::string> lens_model_hash(const Model& model) {
  Hasher hasher;
  std::vector<std::string> files = {model.info().path + "/config.json"};
  const std::vector<std::string>& weights = model.state().checkpoint->files();
  files.insert(files.end(), weights.begin(), weights.end());
  for (const std::string& file : files) {
    LAYERSCOPE_ASSIGN(const std::string hash, hash_file(file, ErrorCode::kModel));
    hasher.update(hash);
  }
  return hasher.hex();
}

Result<std::unique_ptr<TunedLens>> TunedLens::open(const std::string& path, const Model& model) {
  LAYERSCOPE_ASSIGN(const MappedFile file, MappedFile::open(path, ErrorCode::kModel));
  LAYERSCOPE_ASSIGN(const SafetensorsHeader header, parse_safetensors(file.bytes(), path));
  const std::byte* const data = file.bytes().data() + header.data_offset;
  auto lens = std::make_unique<TunedLens>();
  const std::int64_t width = model.state().spec.width;
  lens->width_ = static_cast<std::size_t>(width);
  LAYERSCOPE_TRY(check_model(path, header, data, model));
  for (const TensorEntry& tensor : header.tensors) {
    if (tensor.name == kLensModel) continue;
    const bool turn = tensor.name.ends_with(kLensTurn);
    if (!turn && !tensor.name.ends_with(kLensShift)) return refused(path, tensor.name, "is none of a lens");
    const std::string site = tensor.name.substr(0, tensor.name.rfind('.'));
    if (model.sites().find(site) == nullptr) return refused(path, tensor.name, "names no site of the model");
    LAYERSCOPE_ASSIGN(const std::vector<float> values,
                      floats(path, tensor, data, turn ? Shape{width, width} : Shape{width}));
    Map& map = lens->maps_[site];
    (turn ? map.columns : map.shift) = turn ? transposed(values, lens->width_) : values;
  }
  for (const auto& [site, map] : lens->maps_) {
    if (map.columns.empty() || map.shift.empty()) return refused(path, site, "has only one of .weight and .bias");
  }
  return lens;
}

void TunedLens::apply(std::string_view site, std::span<float> rows) const {
  const auto found = maps_.find(site);
  if (found == maps_.end()) return;
  const Map& map = found->second;
  std::vector<double> sum(width_);
  for (std::size_t first = 0; first < rows.size(); first += width_) {
    const std::span<float> row = rows.subspan(first, width_);
    for (std::size_t k = 0; k < width_; ++k) sum[k] = double{row[k]} + double{map.shift[k]};
    for (std::size_t in = 0; in < width_; ++in) {
      const double value = row[in];
      const float* const column = map.columns.data() + in * width_;
      for (std::size_t out = 0; out < width_; ++out) sum[out] += value * double{column[out]};
    }
    std::transform(sum.begin(), sum.end(), row.begin(), [](double value) { return static_cast<float>(value); });
  }
}

}  // namespace layerscope
