// Reference files made by tests/oracle, and the comparison with them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/source.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope::testing {

inline std::string golden_folder() { return std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/golden"; }

/// Names of all tiny models.
inline std::vector<std::string> golden_models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (std::filesystem::exists(entry.path() / "config.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The tensors of one reference.safetensors.
class Reference {
 public:
  explicit Reference(const std::string& path);
  [[nodiscard]] int rows() const;
  [[nodiscard]] std::vector<std::int32_t> ids(const std::string& name) const;
  [[nodiscard]] std::vector<std::uint8_t> bytes(const std::string& name) const;
  [[nodiscard]] std::vector<float> floats(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const;
  /// Names "r{row}.<site>" of float tensors, without the "r{row}.".
  [[nodiscard]] std::vector<std::string> sites(int row) const;

 private:
  MappedFile file_;
  std::vector<SourceTensor> tensors_;
};

/// Everything that a run delivers, by row tag and site name.
class Collected : public Sink {
 public:
  explicit Collected(const TapPlan& plan) : plan_(plan) {}
  Status accept(const StateFrame& frame) override;
  [[nodiscard]] const std::vector<float>& at(std::uint64_t tag, const std::string& site) const;
  [[nodiscard]] const std::map<std::pair<std::uint64_t, std::string>, std::vector<float>>& all() const {
    return values_;
  }

 private:
  const TapPlan& plan_;
  std::map<std::pair<std::uint64_t, std::string>, std::vector<float>> values_;
};

/// |a - b| / |b|.
double relative_l2(const std::vector<float>& a, const std::vector<float>& b);

/// The row as the reference has it.
TextRow text_row(const Reference& reference, int row, bool two_stacks);

}  // namespace layerscope::testing
