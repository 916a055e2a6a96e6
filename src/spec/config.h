// config.json, read strictly: a value that changes the mathematics and is not handled is refused by key and value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/functions.h"
#include "base/json.h"
#include "layerscope/error.h"
#include "spec/rope.h"

namespace layerscope {

/// What a family knows about its rotary settings beside the config.
struct RopeDefaults {
  double theta = 10000;
  double partial = 1;                         ///< share of a head that turns, where the config has no such key
  std::string_view theta_key = "rope_theta";  ///< the base at the top level of older configs
  std::string_view partial_key = "partial_rotary_factor";  ///< likewise
  std::string_view layer_type = {};  ///< the entry to read of a `rope_parameters` that has one for each layer type
  bool scaled = true;                ///< false: `rope_scaling` is not for these layers
  bool interleaved = false;
  std::optional<std::int64_t> trained = {};  ///< "original_max_position_embeddings" where the config has no such key
  bool yarn_is_long = false;                 ///< the type "yarn" is an old name of "longrope"
  bool fixed_alpha = false;                  ///< "dynamic" with an "alpha" stretches the base once for all lengths
};

/// Reads one config. Keys with a dot look into an object: "attn_config.alibi". The first thing that is wrong is kept
/// and every later getter returns a harmless value, so that a family's description needs no branches for errors: check
/// status() once at the end.
class Config {
 public:
  Config(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {}
  [[nodiscard]] static Result<Config> open(const std::string& path);

  [[nodiscard]] std::string model_type();
  /// First of "architectures", or empty.
  [[nodiscard]] std::string architecture();
  /// True if a version of transformers below this one wrote the file; no version counts as 4. For the few settings that
  /// mean something else in a later one.
  [[nodiscard]] bool written_before(std::int64_t major) const;
  /// True if the first of "architectures" ends in one of these: a model with a head over the vocabulary.
  [[nodiscard]] bool architecture_ends_in(std::initializer_list<std::string_view> endings);

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
  /// An id; nothing where it is absent, null or none (lists, -1).
  [[nodiscard]] std::optional<std::int64_t> token(std::string_view key);
  /// A finite number.
  [[nodiscard]] double real(std::string_view key, std::optional<double> fallback = {});
  /// A finite number > 0.
  [[nodiscard]] float epsilon(std::string_view key, std::optional<double> fallback = {});
  [[nodiscard]] bool flag(std::string_view key, bool fallback);
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback);
  /// A list of integers >= 0, or nothing where absent or null.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> indices(std::string_view key);
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
  /// The key is another name of `name`, as in the attribute maps of transformers: absent, null, the same value, or in
  /// the place of a `name` that is absent. To be called before `name` is read.
  void alias(std::string_view key, std::string_view name);
  /// The value is known not to matter for hidden states.
  void ignore(std::string_view key);

  /// Rotary embeddings in either spelling: `rope_parameters`, read as transformers 5 reads it, or `rope_theta` with
  /// `rope_scaling`, read as transformers 4 does (docs/rotary.md: where the two part). `head` = elements of a head;
  /// int(head * partial) of them turn, one more if that is odd.
  [[nodiscard]] Rope rope(std::int64_t head, const RopeDefaults& defaults = {});

  [[nodiscard]] bool has(std::string_view key) const;
  /// Records "FILE: message" if nothing was wrong before.
  void refuse(const std::string& message);
  /// `condition` must hold; otherwise refuse(message).
  void require(bool condition, const std::string& message);

  /// After a family has described itself: the first error; or a key that is known to change the mathematics of some
  /// model, is set to something else than "off", and that this family did not ask for.
  [[nodiscard]] Status finish();
  [[nodiscard]] const Json& json() const noexcept { return json_; }
  /// The keys that the family holds to one value so far, each with that value, in words: what it refuses.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& limits() const noexcept { return limits_; }

 private:
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] const Json* find_exactly(std::string_view key) const;
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
  std::map<std::string, std::string, std::less<>> limits_;
  std::map<std::string, std::string, std::less<>> aliases_;  ///< absent name -> the one in its place
  std::optional<Error> error_;
};

/// Keys that change the mathematics of some model: refused, unless "off", wherever a family does not ask for them.
[[nodiscard]] std::span<const std::string_view> settings_that_matter();

/// Most blocks, widths and the like that a config may name; larger values are refused before anything is sized by them.
inline constexpr std::int64_t kMaxConfigSize = std::int64_t{1} << 28;
inline constexpr std::int64_t kMaxLayers = 4096;

}  // namespace layerscope
