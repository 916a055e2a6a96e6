// config.json, read strictly: a value that changes the mathematics and is not handled is refused by key and value.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/functions.h"
#include "base/json.h"
#include "layerscope/error.h"
#include "spec/rope.h"

namespace layerscope {

/// Reads one config. The first thing that is wrong is kept and every later getter returns a harmless value, so that a
/// family's description needs no branches for errors: check status() once at the end.
class Config {
 public:
  Config(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {}
  [[nodiscard]] static Result<Config> open(const std::string& path);

  [[nodiscard]] std::string model_type();
  /// First of "architectures", or empty.
  [[nodiscard]] std::string architecture();

  /// A count >= 1 and small enough to be a size. Without a fallback the key must be there. null counts as absent.
  [[nodiscard]] std::int64_t size(std::string_view key, std::optional<std::int64_t> fallback = {});
  /// The number of blocks of a stack, at most kMaxLayers.
  [[nodiscard]] std::int64_t layers(std::string_view key);
  /// A count, or nothing where absent or null.
  [[nodiscard]] std::optional<std::int64_t> optional_size(std::string_view key);
  /// A count; nothing where null; the fallback where absent.
  [[nodiscard]] std::optional<std::int64_t> nullable_size(std::string_view key, std::optional<std::int64_t> fallback);
  /// An integer >= 0 (ids, layer numbers).
  [[nodiscard]] std::int64_t index(std::string_view key, std::optional<std::int64_t> fallback = {});
  /// A finite number.
  [[nodiscard]] double real(std::string_view key, std::optional<double> fallback = {});
  /// A finite number > 0.
  [[nodiscard]] float epsilon(std::string_view key, std::optional<double> fallback = {});
  [[nodiscard]] bool flag(std::string_view key, bool fallback);
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback);
  /// A list of texts, or nothing where absent or null.
  [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key);
  /// The function of that name ("gelu", "gelu_new", "silu", ...).
  [[nodiscard]] Activation activation(std::string_view key, std::string_view fallback);
  [[nodiscard]] Activation activation_named(std::string_view key, std::string_view name);

  /// The key must be absent, null, or this value: anything else is mathematics that the family does not do.
  void only(std::string_view key, bool value);
  void only(std::string_view key, std::int64_t value);
  void only(std::string_view key, std::string_view value);
  void only(std::string_view key, const char* value) { only(key, std::string_view(value)); }  // or it would be a bool
  /// The key must be absent or null, or an empty list or object.
  void absent(std::string_view key);
  /// The key is another name of `name`, as in the attribute maps of transformers: absent, null, or the same value.
  void alias(std::string_view key, std::string_view name);
  /// The value is known not to matter for hidden states.
  void ignore(std::string_view key);

  /// Rotary embeddings in either spelling: `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling`.
  /// `dims` = elements of a head that turn. `theta` = base where the config has none.
  [[nodiscard]] Rope rope(std::int64_t dims, double theta);

  [[nodiscard]] bool has(std::string_view key) const;
  /// Records "FILE: message" if nothing was wrong before.
  void refuse(const std::string& message);
  /// `condition` must hold; otherwise refuse(message).
  void require(bool condition, const std::string& message);

  /// After a family has described itself: the first error; or a key that is known to change the mathematics of some
  /// model, is set to something else than "off", and that this family did not ask for.
  [[nodiscard]] Status finish();
  [[nodiscard]] const Json& json() const noexcept { return json_; }

 private:
  const Json* look(std::string_view key);
  void refuse_value(std::string_view key, const Json* value, std::string_view expected);
  template <class T>
  T wrong(std::string_view key, const Json* value, std::string_view expected, T harmless) {
    refuse_value(key, value, expected);
    return harmless;
  }

  Json json_;
  std::string file_;
  std::set<std::string, std::less<>> read_;
  std::optional<Error> error_;
};

/// Most blocks, widths and the like that a config may name; larger values are refused before anything is sized by them.
inline constexpr std::int64_t kMaxConfigSize = std::int64_t{1} << 28;
inline constexpr std::int64_t kMaxLayers = 4096;

}  // namespace layerscope
