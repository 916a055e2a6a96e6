// What a classifier's or a regressor's head says of rows and tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace layerscope {

/// How the scores of labels are to be read.
enum class LabelProblem : std::uint8_t {
  kOneLabel,    ///< one label holds: softmax over all
  kManyLabels,  ///< each holds or not by itself: a sigmoid each
  kRegression,  ///< values, no probabilities
};

/// The labels of a folder whose head scores them.
struct Labels {
  std::vector<std::string> names;  ///< `id2label`; "LABEL_3" where it names none
  LabelProblem problem = LabelProblem::kOneLabel;
  bool each_token = false;  ///< every token is scored by itself, rather than the row
};

/// The scores of one row.
struct LabelScores {
  std::int64_t rows = 0;             ///< tokens where each is scored, else 1
  std::vector<float> logits;         ///< [rows, labels]
  std::vector<float> probabilities;  ///< likewise; empty for kRegression
};

}  // namespace layerscope
