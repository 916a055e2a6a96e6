// Samples and their vectors, out of a model that reads texts, out of a run folder, or from memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "job/input.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "probe/given_layers.h"
#include "probe/label_file.h"
#include "probe/layers.h"
#include "probe/samples.h"

namespace layerscope {

/// What is looked at.
struct GatherOptions {
  std::string layers;             ///< as --layers; empty with `sites` empty: all layers
  std::string sites;              ///< as --sites
  std::optional<Pooling> pool;    ///< of labelled rows; nothing: the mean, or as the run was pooled
  Pooling word = Pooling::kCls;   ///< of a word's tokens: kCls (the first), kLast or kMean
  std::optional<ProbeKind> kind;  ///< as SampleCollector::finish
  std::string folder;             ///< for unnamed files
  std::size_t memory = GatheredLayers::kMemory;
  int threads = 1;  ///< no bit depends on it
};

/// Errors: kUsage for a pooling where labels belong to tokens, not to rows.
[[nodiscard]] Status check_pool(const GatherOptions& options, const LabelFile& labels);

struct Gathered {
  ProbeSamples samples;
  std::unique_ptr<ProbeLayers> layers;
};

struct GatherInput {
  TokenizeOptions tokenize;
  bool skip_bad = false;
  std::function<void(const Error&)> skipped;
};

/// Runs every labelled row through the model, all layers in one pass. Errors: kUsage for layers, sites and options that
/// do not go together; kInput with FILE:LINE for rows and labels; those of Model::run; kResource.
[[nodiscard]] Result<Gathered> gather_from_model(const Model& model, RowReader& rows, const GatherInput& input,
                                                 const LabelFile& labels, const GatherOptions& options);

/// The texts of a run and what tokenised them, where labels of words or spans need them.
struct RunTexts {
  const Model* model = nullptr;  ///< its weights are not needed
  RowReader* rows = nullptr;
};

/// Takes stored states as they lie, without copying where a sample is one stored vector. Errors: as above, those of
/// open_run, and kUsage for labels of words without texts and for a run that does not hold what the labels belong to.
[[nodiscard]] Result<Gathered> gather_from_run(const std::string& folder, bool allow_incomplete, const RunTexts& texts,
                                               const LabelFile& labels, const GatherOptions& options);

/// Copies those of vectors in memory that have a label: row k is labelled as a file labels row k. Errors: kUsage for
/// labels of tokens, and as check_given; kResource.
[[nodiscard]] Result<Gathered> gather_from_vectors(const std::string& name, const std::vector<GivenLayer>& given,
                                                   const LabelFile& labels, const GatherOptions& options);

}  // namespace layerscope
