#include "probe/given_layers.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kBlockElements = std::int64_t{1} << 20;  // of all layers together, about

class GivenLayers final : public LayerSource {
 public:
  GivenLayers(std::string name, std::vector<GivenLayer> layers) : name_(std::move(name)), layers_(std::move(layers)) {
    std::int64_t width = 1;
    for (const GivenLayer& layer : layers_) {
      sites_.push_back({.name = layer.name,
                        .stack = StackId::kEncoder,
                        .unit = StoredUnit::kPooled,
                        .width = layer.values.width,
                        .heads = 0,
                        .cross = false,
                        .dtype = DType::kF32,
                        .hf_index = layer.hf_index});
      width += layer.values.width;
    }
    step_ = std::max<std::int64_t>(kBlockElements / width, 1);
  }

  [[nodiscard]] const std::string& path() const noexcept override { return name_; }
  [[nodiscard]] const std::vector<StoredSite>& sites() const noexcept override { return sites_; }
  [[nodiscard]] Result<bool> next(LayerBlock& block) override {
    block.clear();
    block.values.resize(layers_.size());
    const std::int64_t end = std::min(next_ + step_, layers_.front().values.rows);
    for (std::int64_t row = next_; row < end; ++row) {
      block.rows.push_back({row, row - next_, 1});
      block.positions.push_back(-1);
      for (std::size_t k = 0; k < layers_.size(); ++k) {
        const float* const vector = layers_[k].values.row<float>(row);
        block.values[k].insert(block.values[k].end(), vector, vector + layers_[k].values.width);
      }
    }
    next_ = end;
    return !block.rows.empty();
  }

 private:
  std::string name_;
  std::vector<GivenLayer> layers_;
  std::vector<StoredSite> sites_;
  std::int64_t next_ = 0, step_ = 1;
};

}  // namespace

Status check_given(const std::string& name, const std::vector<GivenLayer>& layers) {
  if (layers.empty()) return Error{ErrorCode::kUsage, name + ": no layers"};
  for (const GivenLayer& layer : layers) {
    if (layer.values.rows != layers.front().values.rows) {
      return Error{ErrorCode::kUsage, name + ": " + layers.front().name + " has " +
                                          std::to_string(layers.front().values.rows) + " vectors, " + layer.name +
                                          " has " + std::to_string(layer.values.rows)};
    }
  }
  return {};
}

Result<std::unique_ptr<LayerSource>> given_layers(std::string name, std::vector<GivenLayer> layers) {
  LAYERSCOPE_TRY(check_given(name, layers));
  return std::unique_ptr<LayerSource>(std::make_unique<GivenLayers>(std::move(name), std::move(layers)));
}

}  // namespace layerscope
