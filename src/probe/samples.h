// What a probe is trained on and judged by: one label a sample, in the order of the input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/probe.h"
#include "layerscope/error.h"
#include "probe/align.h"
#include "probe/label_file.h"

namespace layerscope {

/// The tokens of a row that make up a sample's vector.
struct SampleTokens {
  std::int64_t first = 0, count = 0;
};

enum class ProbeKind : std::uint8_t { kClassify, kRegress };

/// Finished samples. Classes are in the order of their names, numbers in that of their value.
struct ProbeSamples {
  ProbeKind kind = ProbeKind::kClassify;
  std::vector<std::string> class_names;
  std::vector<std::int32_t> classes;  ///< one a sample; empty for kRegress
  std::vector<double> targets;        ///< one a sample; empty for kClassify
  std::vector<std::int64_t> groups, types;
  std::int64_t rows = 0;           ///< that have a sample
  std::int64_t without_token = 0;  ///< labels left out since their words have no token of their own
  std::int64_t unmatched = 0;      ///< labelled rows that the input does not have
  [[nodiscard]] std::size_t size() const noexcept { return groups.size(); }
  /// For ProbeTask::make; borrows.
  [[nodiscard]] ProbeLabels labels() const noexcept;
};

/// Takes the input's rows one by one. `labels` outlives it.
class SampleCollector {
 public:
  explicit SampleCollector(const LabelFile& labels) : labels_(labels) {}

  /// The labels that a row has, or null if there is nothing to learn from it. Errors: those of LabelFile::find.
  [[nodiscard]] Result<const RowLabels*> wanted(std::int64_t number, const std::optional<std::string>& id);
  /// Adds the samples of a row that wanted() gave labels for, and says which tokens each is. Errors: kInput with the
  /// label file's FILE:LINE.
  [[nodiscard]] Result<std::vector<SampleTokens>> add(std::int64_t number, const RowLabels& row,
                                                      const LabelledTokens& tokens);
  /// All of them. `kind` nothing: texts are classes; so are numbers that are all whole, if there are at most 20 of
  /// them; others are targets. Errors (kUsage): none, too many classes, texts as targets.
  [[nodiscard]] Result<ProbeSamples> finish(std::optional<ProbeKind> kind) &&;

 private:
  [[nodiscard]] std::int64_t group_of(std::int64_t number, const RowLabels& row);
  [[nodiscard]] Status name_classes(ProbeSamples& into) const;

  const LabelFile& labels_;
  ProbeSamples samples_;
  std::vector<LabelValue> values_;
  std::size_t matched_ = 0;
  std::unordered_map<std::string, std::int64_t> groups_, types_;
};

}  // namespace layerscope
