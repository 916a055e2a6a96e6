// Rotary settings of config.json: both generations of spelling, every type of transformers' modeling_rope_utils.py.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "spec/config.h"

namespace layerscope {
namespace {

// What a config says, found in the settings object first and at the top level second (or the other way round).
struct Settings {
  const Json* object = nullptr;

  [[nodiscard]] std::optional<double> number(std::string_view key) const {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value == nullptr) return std::nullopt;
    if (value->integer() != nullptr) return static_cast<double>(*value->integer());
    if (value->real() != nullptr) return *value->real();
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::vector<float>> numbers(std::string_view key) const {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value == nullptr || value->array() == nullptr) return std::nullopt;
    std::vector<float> result;
    for (const Json& item : *value->array()) {
      if (item.integer() != nullptr)
        result.push_back(static_cast<float>(*item.integer()));
      else if (item.real() != nullptr)
        result.push_back(static_cast<float>(*item.real()));
      else
        return std::nullopt;
    }
    return result;
  }
};

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

Rope Config::rope(std::int64_t dims, double theta) {
  Rope rope{.pairs = dims / 2};
  require(dims >= 2 && dims % 2 == 0,
          "rotary embeddings turn " + std::to_string(dims) + " elements of a head, expected an even number");
  const char* where = has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  read_.insert({"rope_parameters", "rope_scaling", "rope_theta"});
  const Json* object = look(where);
  if (object != nullptr && object->object() == nullptr)
    return wrong(std::string_view(where), object, "an object", rope);
  const Settings inside{object};
  for (const auto& [key, value] : object == nullptr ? Json::Object() : *object->object()) {
    if (value.object() != nullptr) return wrong(std::string_view(where), object, "one setting for all layers", rope);
  }
  require(inside.number("partial_rotary_factor").value_or(1) == 1,
          "\"" + std::string(where) + "\" turns a part of each head, which this model type does not support here");

  theta = inside.number("rope_theta").value_or(real("rope_theta", theta));
  if (!(theta > 1 && std::isfinite(theta)))
    return wrong(std::string_view("rope_theta"), look("rope_theta"), "a number above 1", rope);
  std::string type = "default";
  for (const char* key : {"type", "rope_type"}) {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value != nullptr && value->string() != nullptr)
      type = *value->string();
    else if (value != nullptr && !value->is_null())
      return wrong(std::string_view(where), object, "a text as its type", rope);
  }
  rope.type = type;

  const auto need = [&](std::string_view key) {
    const std::optional<double> value = inside.number(key);
    if (!value || !(*value > 0 && std::isfinite(*value))) {
      refuse("\"" + std::string(where) + "\" of type \"" + type + "\" has no positive number \"" + std::string(key) +
             "\"");
      return 1.0;
    }
    return *value;
  };
  const auto positive = [&](std::string_view key, double fallback) {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    return value == nullptr || value->is_null() ? fallback : need(key);
  };
  const auto trained_positions = [&](bool required) {
    const std::optional<double> top = has("original_max_position_embeddings")
                                          ? std::optional<double>(real("original_max_position_embeddings"))
                                          : std::nullopt;
    const std::optional<double> value = top ? top : inside.number("original_max_position_embeddings");
    const double result = value      ? *value
                          : required ? need("original_max_position_embeddings")
                                     : static_cast<double>(size("max_position_embeddings"));
    require(result >= 1 && std::isfinite(result), "\"original_max_position_embeddings\" is not a positive number");
    return std::max(result, 1.0);
  };
  const std::vector<float> plain = plain_frequencies(theta, dims);

  if (type == "default") {
    rope.frequencies = FixedFrequencies{.inverse = plain};
  } else if (type == "linear") {
    std::vector<float> inverse = plain;
    for (float& frequency : inverse) frequency /= static_cast<float>(need("factor"));
    rope.frequencies = FixedFrequencies{.inverse = std::move(inverse)};
  } else if (type == "dynamic") {
    require(dims > 2, "\"" + std::string(where) + "\" of type \"dynamic\" needs more than 2 turning elements");
    rope.frequencies =
        DynamicFrequencies{.theta = theta, .factor = need("factor"), .trained = size("max_position_embeddings")};
  } else if (type == "llama3") {
    const double low = need("low_freq_factor"), high = need("high_freq_factor");
    require(high > low, "\"" + std::string(where) + "\" has \"high_freq_factor\" not above \"low_freq_factor\"");
    rope.frequencies =
        FixedFrequencies{.inverse = banded(plain, static_cast<float>(need("factor")), static_cast<float>(low),
                                           static_cast<float>(high), static_cast<float>(trained_positions(true)))};
  } else if (type == "yarn") {
    const double trained = trained_positions(false);
    const double factor =
        inside.number("factor") ? need("factor") : static_cast<double>(size("max_position_embeddings")) / trained;
    const double mscale = inside.number("mscale").value_or(0), mscale_all = inside.number("mscale_all_dim").value_or(0);
    const double inferred = mscale != 0 && mscale_all != 0
                                ? magnitude_for(factor, mscale) / magnitude_for(factor, mscale_all)
                                : magnitude_for(factor, 1);
    const Json* truncate = object->find("truncate");
    const bool cut = truncate == nullptr || truncate->boolean() == nullptr || *truncate->boolean();
    rope.frequencies =
        FixedFrequencies{.inverse = yarn(rotation_powers(theta, dims), theta, factor, positive("beta_fast", 32),
                                         positive("beta_slow", 1), trained, cut),
                         .magnitude = static_cast<float>(positive("attention_factor", inferred))};
  } else if (type == "longrope" || type == "su") {
    const double trained = trained_positions(false);
    const double factor = static_cast<double>(size("max_position_embeddings")) / trained;
    const double inferred = factor <= 1 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(trained));
    const std::vector<float> powers = rotation_powers(theta, dims);
    LongFrequencies both{.magnitude = static_cast<float>(positive("attention_factor", inferred)),
                         .trained = static_cast<std::int64_t>(trained)};
    for (auto [key, target] :
         {std::pair{"short_factor", &both.short_inverse}, std::pair{"long_factor", &both.long_inverse}}) {
      const std::optional<std::vector<float>> divisors = inside.numbers(key);
      const bool usable = divisors && divisors->size() == plain.size() &&
                          std::all_of(divisors->begin(), divisors->end(),
                                      [](float divisor) { return divisor > 0 && std::isfinite(divisor); });
      if (!usable) {
        refuse("\"" + std::string(where) + "\" has no list \"" + key + "\" of " + std::to_string(plain.size()) +
               " positive numbers");
        return rope;
      }
      for (std::size_t j = 0; j < plain.size(); ++j) target->push_back(1.0F / ((*divisors)[j] * powers[j]));
    }
    rope.frequencies = std::move(both);
  } else {
    std::string known;
    for (const char* name : {"default", "linear", "dynamic", "yarn", "llama3", "longrope"})
      known += std::string(known.empty() ? "" : ", ") + name;
    refuse("\"" + std::string(where) + "\" has the type \"" + type + "\", expected one of: " + known);
  }
  return rope;
}

}  // namespace layerscope
