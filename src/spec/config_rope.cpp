// Rotary settings of config.json: both generations of spelling, every type of transformers' modeling_rope_utils.py.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "spec/config.h"

namespace layerscope {
namespace {

// The widest turning part of a head; real models have 256. Keeps the tables of 4096 layers within memory.
constexpr std::int64_t kMaxTurning = 4096;

std::optional<double> finite(const Json& value) {
  if (value.integer() != nullptr) return static_cast<double>(*value.integer());
  if (value.real() != nullptr && std::isfinite(*value.real())) return *value.real();
  return std::nullopt;
}

std::optional<std::vector<double>> finite_list(const Json* value) {
  if (value == nullptr || value->array() == nullptr) return std::nullopt;
  std::vector<double> result;
  for (const Json& item : *value->array()) {
    const std::optional<double> number = finite(item);
    if (!number) return std::nullopt;
    result.push_back(*number);
  }
  return result;
}

bool usable(const std::vector<float>& inverse, float magnitude) {
  return std::ranges::all_of(inverse, [](float frequency) { return std::isfinite(frequency); }) &&
         std::isfinite(magnitude);
}

bool usable(const Rope& rope) {
  if (const auto* fixed = std::get_if<FixedFrequencies>(&rope.frequencies))
    return usable(fixed->inverse, fixed->magnitude);
  if (const auto* two = std::get_if<LongFrequencies>(&rope.frequencies))
    return usable(two->short_inverse, two->magnitude) && usable(two->long_inverse, two->magnitude);
  return true;
}

// Long wavelengths are stretched, short ones kept, those between blended.
std::vector<float> banded(std::vector<float> inverse, float factor, float low, float high, float trained) {
  for (float& frequency : inverse) {
    const float wavelength = 2.0F * std::numbers::pi_v<float> / frequency;
    if (wavelength < trained / high) continue;
    if (wavelength > trained / low) {
      frequency /= factor;
    } else {
      const float smooth = (trained / wavelength - low) / (high - low);
      frequency = (1.0F - smooth) * frequency / factor + smooth * frequency;
    }
  }
  return inverse;
}

// YaRN (Peng et al. 2023): a ramp over the dimensions from kept to stretched frequencies.
std::vector<float> yarn(const std::vector<float>& powers, double theta, double factor, double fast, double slow,
                        double trained, bool truncate) {
  const double dims = 2.0 * static_cast<double>(powers.size());
  const auto dimension_of = [&](double rotations) {
    return dims * std::log(trained / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(theta));
  };
  double low = dimension_of(fast);
  double high = dimension_of(slow);
  if (truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1.0);
  if (low == high) high += 0.001;
  std::vector<float> result(powers.size());
  for (std::size_t j = 0; j < powers.size(); ++j) {
    const float ramp =
        std::clamp((static_cast<float>(j) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0F, 1.0F);
    const float keep = 1.0F - ramp;
    const float stretched = 1.0F / (static_cast<float>(factor) * powers[j]);
    result[j] = stretched * (1.0F - keep) + 1.0F / powers[j] * keep;
  }
  return result;
}

double magnitude_for(double scale, double multiplier) {
  return scale <= 1.0 ? 1.0 : 0.1 * multiplier * std::log(scale) + 1.0;
}

}  // namespace

Rope Config::rope(std::int64_t head, const RopeDefaults& defaults) {
  Rope rope{.interleaved = defaults.interleaved};
  read_.insert({"rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor"});
  const auto settings = [&](std::string_view key) -> const Json* {
    const Json* value = look(key);
    const bool nested = key == "rope_parameters" && !defaults.layer_type.empty();
    if (value == nullptr || (key == "rope_scaling" && !defaults.scaled)) return nullptr;
    if (nested && value->object() != nullptr) {
      for (const auto& [name, entry] : *value->object())
        require(entry.object() != nullptr || entry.is_null(),
                "\"rope_parameters\" has \"" + name + "\" beside the layer types, expected settings of each");
      value = value->find(defaults.layer_type);
      if (value == nullptr || value->is_null()) return nullptr;
    }
    return value->object() != nullptr && value->object()->empty() ? nullptr : value;
  };
  const bool current = settings("rope_parameters") != nullptr;  // the spelling of transformers 5
  const char* where = current ? "rope_parameters" : "rope_scaling";
  const Json* object = settings(where);
  if (object != nullptr && object->object() == nullptr)
    return wrong(std::string_view(where), object, "an object", rope);
  const Json* scaling = settings("rope_scaling");
  require(scaling == nullptr || *scaling == *object,
          "\"rope_parameters\" and \"rope_scaling\" are both set and differ, expected one of them");
  for (const auto& [key, value] : object == nullptr ? Json::Object() : *object->object()) {
    if (value.object() != nullptr) return wrong(std::string_view(where), object, "one setting for all layers", rope);
  }

  const std::string what = "\"" + std::string(where) + "\" ";
  const auto setting = [&](std::string_view key) -> std::optional<double> {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value == nullptr || value->is_null()) return std::nullopt;
    const std::optional<double> number = finite(*value);
    if (!number) refuse(what + "has \"" + std::string(key) + "\": " + value->dump() + ", expected a finite number");
    return number;
  };
  const double partial = setting("partial_rotary_factor").value_or(real(defaults.partial_key, defaults.partial));
  const auto dims = static_cast<std::int64_t>(
      std::clamp(static_cast<double>(head) * partial, 0.0, static_cast<double>(kMaxTurning) + 1));
  rope.pairs = (dims + 1) / 2;
  if (dims < 1 || 2 * rope.pairs > head || dims > kMaxTurning) {
    refuse("rotary embeddings turn " + std::to_string(dims) + " elements of a head of " + std::to_string(head) +
           " (\"head_dim\" or \"hidden_size\" / heads, times \"" + std::string(defaults.partial_key) +
           "\"), expected whole pairs, at most " + std::to_string(kMaxTurning) + " elements");
    return rope;
  }
  const std::optional<double> inner = setting("rope_theta");
  require(!inner || !defaults.layer_type.empty() || !has(defaults.theta_key) || *inner == real(defaults.theta_key),
          "\"" + std::string(defaults.theta_key) + "\" is not the one of \"" + std::string(where) + "\"");
  const double theta = inner.value_or(real(defaults.theta_key, defaults.theta));
  if (!(theta > 1 && theta < static_cast<double>(std::numeric_limits<float>::max()))) {
    refuse("\"rope_theta\" is " + std::to_string(theta) + ", expected a number above 1");
    return rope;
  }
  std::string type;
  for (const char* key : {"type", "rope_type"}) {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value == nullptr || value->is_null()) continue;
    if (value->string() == nullptr || value->string()->empty())
      return wrong(std::string_view(where), object, "a text as its type", rope);
    const bool old_name = *value->string() == "su" || (*value->string() == "yarn" && defaults.yarn_is_long);
    const std::string name = old_name ? "longrope" : *value->string();
    require(type.empty() || type == name, what + "has the types \"" + type + "\" and \"" + name + "\"");
    type = name;
  }
  if (type.empty()) type = "default";
  rope.type = type;

  const auto positive = [&](std::string_view key, std::optional<double> fallback) {
    const std::optional<double> value = setting(key) ? setting(key) : fallback;
    if (value && *value > 0 && *value <= static_cast<double>(kMaxConfigSize)) return *value;
    refuse(what + "of type \"" + type + "\" has no positive number \"" + std::string(key) + "\" up to 2^28");
    return 1.0;
  };
  const auto need = [&](std::string_view key) { return positive(key, std::nullopt); };
  // Which of the two places of the trained length counts, and whether its ratio to the longest or "factor" does, is
  // where the generations part.
  const std::optional<std::int64_t> top = optional_size("original_max_position_embeddings");
  const std::optional<std::int64_t> outer = top ? top : defaults.trained;
  const auto longest = [&] { return static_cast<double>(size("max_position_embeddings")); };
  const auto inner_trained = [&] {
    return setting("original_max_position_embeddings") ? need("original_max_position_embeddings") : longest();
  };
  const auto trained_positions = [&] {
    return std::max(outer && current && defaults.layer_type.empty() ? static_cast<double>(*outer) : inner_trained(),
                    1.0);
  };
  const auto stretch = [&](double trained) { return setting("factor") ? need("factor") : longest() / trained; };
  const auto magnitude = [&](double inferred) {
    return static_cast<float>(positive("attention_factor", std::isfinite(inferred) ? inferred : 0.0));
  };
  const std::vector<float> plain = plain_frequencies(theta, dims);

  if (type == "default") {
    rope.frequencies = FixedFrequencies{.inverse = plain};
  } else if (type == "linear") {
    std::vector<float> inverse = plain;
    for (float& frequency : inverse) frequency /= static_cast<float>(need("factor"));
    rope.frequencies = FixedFrequencies{.inverse = std::move(inverse)};
  } else if (type == "dynamic" && defaults.fixed_alpha && setting("alpha").value_or(0) != 0) {
    require(dims > 2, what + "of type \"dynamic\" needs more than 2 turning elements");
    const double power = static_cast<double>(dims) / static_cast<double>(dims - 2);
    rope.frequencies = FixedFrequencies{.inverse = plain_frequencies(theta * std::pow(need("alpha"), power), dims)};
  } else if (type == "dynamic") {
    require(dims > 2 && dims % 2 == 0, what + "of type \"dynamic\" needs an even number of elements above 2");
    rope.frequencies =
        DynamicFrequencies{.theta = theta, .factor = need("factor"), .trained = size("max_position_embeddings")};
  } else if (type == "llama3") {
    const double low = need("low_freq_factor"), high = need("high_freq_factor");
    require(high > low, what + "has \"high_freq_factor\" not above \"low_freq_factor\"");
    rope.frequencies =
        FixedFrequencies{.inverse = banded(plain, static_cast<float>(need("factor")), static_cast<float>(low),
                                           static_cast<float>(high), static_cast<float>(trained_positions()))};
  } else if (type == "yarn") {
    require(dims % 2 == 0, what + "of type \"yarn\" needs an even number of turning elements");
    const double trained = trained_positions();
    const double factor = stretch(trained);
    const double mscale = setting("mscale").value_or(0), mscale_all = setting("mscale_all_dim").value_or(0);
    const double inferred = mscale != 0 && mscale_all != 0
                                ? magnitude_for(factor, mscale) / magnitude_for(factor, mscale_all)
                                : magnitude_for(factor, 1);
    const Json* truncate = object->find("truncate");
    require(truncate == nullptr || truncate->boolean() != nullptr, what + "has \"truncate\" neither true nor false");
    const bool cut = truncate == nullptr || truncate->boolean() == nullptr || *truncate->boolean();
    require(cut || !current || defaults.layer_type.empty(),
            what + "has \"truncate\" for one layer type, which has no effect");
    rope.frequencies =
        FixedFrequencies{.inverse = yarn(rotation_powers(theta, dims), theta, factor, positive("beta_fast", 32),
                                         positive("beta_slow", 1), trained, cut),
                         .magnitude = magnitude(inferred)};
  } else if (type == "longrope") {
    const bool given = setting("factor").has_value();
    const double trained = current ? trained_positions()
                           : outer ? static_cast<double>(*outer)
                           : given ? longest()
                                   : inner_trained();
    const double factor = current || !outer ? stretch(trained) : longest() / trained;
    const double inferred = factor <= 1 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(trained));
    const std::vector<float> powers = rotation_powers(theta, dims);
    LongFrequencies both{.magnitude = magnitude(inferred), .trained = static_cast<std::int64_t>(trained)};
    for (auto [key, target] :
         {std::pair{"short_factor", &both.short_inverse}, std::pair{"long_factor", &both.long_inverse}}) {
      const std::optional<std::vector<double>> divisors = finite_list(object->find(key));
      const bool fits = divisors && divisors->size() == plain.size() &&
                        std::all_of(divisors->begin(), divisors->end(), [](double divisor) { return divisor > 0; });
      if (!fits) {
        refuse(what + "has no list \"" + key + "\" of " + std::to_string(plain.size()) + " positive numbers");
        return rope;
      }
      for (std::size_t j = 0; j < plain.size(); ++j)
        target->push_back(1.0F / (static_cast<float>((*divisors)[j]) * powers[j]));
    }
    rope.frequencies = std::move(both);
  } else {
    std::string known;
    for (const char* name : {"default", "linear", "dynamic", "yarn", "llama3", "longrope"})
      known += std::string(known.empty() ? "" : ", ") + name;
    refuse(what + "has the type \"" + type + "\", expected one of: " + known);
  }
  require(usable(rope), what + "of type \"" + type + "\" gives frequencies that are not finite");
  return rope;
}

}  // namespace layerscope
