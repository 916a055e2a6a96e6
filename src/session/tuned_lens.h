// A tuned lens: one affine map a layer, from its stream to what the last block would have left of it (Belrose et al.
// 2023, arXiv:2303.08112), stored as one safetensors file (docs/lens.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

/// Names of the tensors of a lens file: for every site D F32 [width, width] and c F32 [width] of x -> x + D x + c, and
/// the hash of the model as 32 characters, U8.
inline constexpr std::string_view kLensTurn = ".weight";
inline constexpr std::string_view kLensShift = ".bias";
inline constexpr std::string_view kLensModel = "model_xxh128";

/// XXH3-128 over config.json and the weight files: what a lens belongs to. Errors: kModel naming the file.
[[nodiscard]] Result<std::string> lens_model_hash(const Model& model);

class TunedLens {
 public:
  /// Errors: kUsage for a lens of another model; kModel for what is no lens, naming file and tensor.
  [[nodiscard]] static Result<std::unique_ptr<TunedLens>> open(const std::string& path, const Model& model);
  [[nodiscard]] bool has(std::string_view site) const { return maps_.contains(site); }
  /// Applies the site's map to rows [n, width] float32 in place, each by itself; a site without a map stays as it is.
  void apply(std::string_view site, std::span<float> rows) const;

 private:
  struct Map {
    std::vector<float> columns;  // D transposed: products run along rows
    std::vector<float> shift;
  };
  std::size_t width_ = 0;
  std::map<std::string, Map, std::less<>> maps_;
};

}  // namespace layerscope
