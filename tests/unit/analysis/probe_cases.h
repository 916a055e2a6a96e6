// The data sets of tests/data/probes.json (tests/oracle/make_probes.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/probe_rows.h"
#include "base/json.h"

namespace layerscope {

inline double json_number(const Json& json) {
  return json.real() != nullptr ? *json.real() : static_cast<double>(*json.integer());
}

inline std::vector<double> json_numbers(const Json& json) {
  std::vector<double> values;
  for (const Json& value : *json.array()) values.push_back(json_number(value));
  return values;
}

struct ProbeCase {
  struct Fit {
    double strength = 1;
    std::vector<double> weights;  ///< [width + 1, outputs]
    std::vector<double> predicted;
  };
  std::string name;
  std::int64_t width = 0;
  std::vector<float> points;
  std::vector<double> targets;
  std::vector<std::int32_t> labels;
  std::int32_t classes = 0;
  std::vector<Fit> fits;

  [[nodiscard]] std::size_t rows() const { return targets.size(); }
  [[nodiscard]] VectorBlock block() const {
    return {.values = {DType::kF32, reinterpret_cast<const std::byte*>(points.data()),
                       static_cast<std::int64_t>(rows()), width, width},
            .numbers = {}};
  }
};

inline std::vector<ProbeCase> probe_cases() {
  const Json file =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/probes.json", ErrorCode::kRuntime).value();
  std::vector<ProbeCase> cases;
  for (const Json& one : *file.find("cases")->array()) {
    ProbeCase& made = cases.emplace_back();
    made.name = *one.find("name")->string();
    for (const Json& row : *one.find("points")->array()) {
      for (const double value : json_numbers(row)) made.points.push_back(static_cast<float>(value));
    }
    made.targets = json_numbers(*one.find("labels"));
    made.width = static_cast<std::int64_t>(made.points.size() / made.rows());
    for (const double target : made.targets) {
      made.labels.push_back(static_cast<std::int32_t>(target));
      made.classes = std::max(made.classes, made.labels.back() + 1);
    }
    for (const Json& fit : *one.find("fits")->array()) {
      ProbeCase::Fit& to = made.fits.emplace_back();
      to.strength = json_number(*fit.find("strength"));
      for (const Json& row : *fit.find("weights")->array()) {
        for (const double value : json_numbers(row)) to.weights.push_back(value);
      }
      to.predicted = json_numbers(*fit.find("predicted"));
    }
  }
  return cases;
}

}  // namespace layerscope
