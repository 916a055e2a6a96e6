#include <algorithm>
#include <new>

#include "base/try.h"
#include "probe/gather.h"
#include "session/model_state.h"
#include "session/token_places.h"
#include "session/whole_states.h"
#include "store/layout.h"
#include "tap/pool.h"

namespace layerscope {
namespace {

constexpr std::int64_t kHeldElements = std::int64_t{32} << 20;  // 128 MiB of float32 at a time

/// All layers of the stack whose tokens the rows are, unless something else is asked for.
TapRequest request_of(const Model& model, LabelLevel level, const GatherOptions& options) {
  TapRequest request{.layers = options.layers, .sites = options.sites};
  if (request.layers.empty() && request.sites.empty()) request.layers = model.info().two_stacks ? "enc:all" : "all";
  if (level == LabelLevel::kRow) request.pool = options.pool.value_or(Pooling::kMean);
  return request;
}

class ModelGatherer {
 public:
  ModelGatherer(const Model& model, const GatherInput& input, const LabelFile& labels, const GatherOptions& options)
      : model_(model), input_(input), labels_(labels), options_(options), collector_(labels) {}

  Result<Gathered> run(RowReader& rows) {
    LAYERSCOPE_TRY(open());
    while (true) {
      LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows.next());
      if (!row) break;
      if (Status added = add(*row); !added) LAYERSCOPE_TRY(skip(added.error()));
      if (held_ >= kHeldElements) LAYERSCOPE_TRY(flush());
    }
    LAYERSCOPE_TRY(flush());
    LAYERSCOPE_TRY(layers_->finish());
    LAYERSCOPE_ASSIGN(ProbeSamples samples, std::move(collector_).finish(options_.kind));
    return Gathered{std::move(samples), std::move(layers_)};
  }

 private:
  struct Waiting {
    NumberedRow row;
    std::vector<SampleTokens> samples;
  };

  Status open() {
    const TapRequest request = request_of(model_, labels_.level(), options_);
    LAYERSCOPE_ASSIGN(plan_, TapPlan::compile(model_.sites(), request));
    const StackId main = model_.state().spec.encoder ? StackId::kEncoder : StackId::kDecoder;
    std::vector<ProbeSite> sites;
    for (const StoredSite& site : plan_.stored()) {
      if (site.unit == StoredUnit::kProbs || site.dtype != DType::kF32)
        return Error{ErrorCode::kUsage, "site " + site.name + " holds no vectors to probe"};
      if (labels_.level() != LabelLevel::kRow && token_stack(site) != main)
        return Error{ErrorCode::kUsage, "site " + site.name + " has other tokens than the labelled text"};
      sites.push_back({site.name, site.hf_index, site.width});
      elements_ += site.width;
    }
    layers_ = std::make_unique<GatheredLayers>(std::move(sites), options_.folder, options_.memory);
    return {};
  }

  /// A row that cannot be processed is kInput and starts with its place.
  Status add(const InputRow& input) {
    if (input.bad) return *input.bad;
    LAYERSCOPE_ASSIGN(const RowLabels* const labels, collector_.wanted(input.number, input.id));
    if (labels == nullptr) return {};
    Result<ModelRow> row = model_.tokenize(input.row, input_.tokenize);
    if (!row) return Error{row.error().code, input.where + ": " + row.error().message};
    TokenPlaces places;
    if (labels_.level() == LabelLevel::kWords || labels_.level() == LabelLevel::kSpans) {
      LAYERSCOPE_ASSIGN(places, token_places(model_, input.row, row->main.ids, input_.tokenize.add_special_tokens));
    }
    const LabelledTokens tokens{.ids = row->main.ids,
                                .special = row->main.special,
                                .offsets = places.offsets,
                                .sequence = places.sequence,
                                .text = input.row.text};
    Result<std::vector<SampleTokens>> samples = collector_.add(input.number, *labels, tokens);
    if (!samples) {
      label_error_ = true;
      return samples.error();
    }
    if (samples->empty()) return {};
    const bool whole = labels_.level() == LabelLevel::kRow;
    held_ += elements_ * (whole ? 1 : static_cast<std::int64_t>(row->main.ids.size()));
    tokens_ += static_cast<std::int64_t>(row->main.ids.size());
    waiting_.push_back({{*std::move(row), input.number}, *std::move(samples)});
    if (tokens_ >= kHeldTokens) LAYERSCOPE_TRY(flush());
    return {};
  }

  /// --on-bad is about rows of the input; labels that are wrong are an error in any case.
  Status skip(const Error& error) const {
    if (error.code != ErrorCode::kInput || label_error_ || !input_.skip_bad) return error;
    if (input_.skipped) input_.skipped(error);
    return {};
  }

  Status flush() {
    std::vector<NumberedRow> rows;
    for (Waiting& waiting : waiting_) rows.push_back(std::move(waiting.row));
    LAYERSCOPE_ASSIGN(const std::vector<RowStates> states,
                      whole_states(model_, plan_, std::move(rows), options_.threads));
    std::vector<float> vectors;
    RowPool pool;
    for (std::size_t site = 0; site < layers_->sites().size(); ++site) {
      vectors.clear();
      for (std::size_t row = 0; row < states.size(); ++row) {
        const StateBlock& block = states[row].sites[site];
        if (labels_.level() == LabelLevel::kRow) {
          vectors.insert(vectors.end(), block.values.begin(), block.values.end());
          continue;
        }
        for (const SampleTokens& sample : waiting_[row].samples) {
          pool.begin(options_.word, block.width, sample.count);
          for (std::int64_t k = 0; k < sample.count; ++k)
            pool.add(block.values.data() + (sample.first + k) * block.width, k);
          const std::span<const float> vector = pool.finish();
          vectors.insert(vectors.end(), vector.begin(), vector.end());
        }
      }
      LAYERSCOPE_TRY(layers_->append(site, vectors));
    }
    waiting_.clear();
    held_ = tokens_ = 0;
    return {};
  }

  static constexpr std::int64_t kHeldTokens = std::int64_t{1} << 17;

  const Model& model_;
  const GatherInput& input_;
  const LabelFile& labels_;
  const GatherOptions& options_;
  SampleCollector collector_;
  TapPlan plan_;
  std::unique_ptr<GatheredLayers> layers_;
  std::int64_t elements_ = 0;  // of one token
  std::vector<Waiting> waiting_;
  std::int64_t held_ = 0, tokens_ = 0;
  bool label_error_ = false;
};

}  // namespace

Result<Gathered> gather_from_model(const Model& model, RowReader& rows, const GatherInput& input,
                                   const LabelFile& labels, const GatherOptions& options) try {
  return ModelGatherer(model, input, labels, options).run(rows);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while states were gathered (fewer --layers need less)"};
}

}  // namespace layerscope
