#include "base/try.h"
#include "probe/layer_source.h"
#include "session/whole_states.h"

namespace layerscope {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{16} << 20;  // of a block: 64 MiB of float32
constexpr std::int64_t kMostTokens = 16'384;                    // that run for one

class ModelLayers final : public LayerSource {
 public:
  ModelLayers(const Model& model, std::unique_ptr<RowReader> rows, ModelLayerOptions options, TapPlan plan)
      : model_(model), rows_(std::move(rows)), options_(std::move(options)), plan_(std::move(plan)) {
    for (const StoredSite& site : plan_.stored()) elements_ += site.width;
  }

  const std::string& path() const noexcept override { return model_.info().path; }
  const std::vector<StoredSite>& sites() const noexcept override { return plan_.stored(); }

  Result<bool> next(LayerBlock& block) override {
    block.clear();
    block.values.resize(plan_.stored().size());
    LAYERSCOPE_ASSIGN(std::vector<NumberedRow> rows, gather());
    if (rows.empty()) return false;
    std::vector<std::int64_t> numbers;
    for (const NumberedRow& row : rows) numbers.push_back(row.number);
    LAYERSCOPE_ASSIGN(const std::vector<RowStates> states,
                      whole_states(model_, plan_, std::move(rows), options_.threads));
    for (std::size_t k = 0; k < states.size(); ++k) append(states[k], numbers[k], block);
    return true;
  }

 private:
  /// Rows to run together.
  Result<std::vector<NumberedRow>> gather() {
    std::vector<NumberedRow> rows;
    std::int64_t tokens = 0;
    while (!ended_ && tokens < kMostTokens && tokens * elements_ < kMostElements) {
      LAYERSCOPE_ASSIGN(const std::optional<InputRow> input, rows_->next());
      ended_ = !input;
      if (ended_) break;
      Result<ModelRow> row =
          input->bad ? Result<ModelRow>(*input->bad) : model_.tokenize(input->row, options_.tokenize);
      if (!row) {
        Error error = row.error();
        if (!input->bad) error.message = input->where + ": " + error.message;
        if (error.code != ErrorCode::kInput || !options_.skip_bad) return error;
        if (options_.skipped) options_.skipped(error);
        continue;
      }
      tokens += static_cast<std::int64_t>(row->main.ids.size() + (row->decoder ? row->decoder->ids.size() : 0));
      rows.push_back({std::move(row).value(), input->number});
    }
    return rows;
  }

  void append(const RowStates& states, std::int64_t number, LayerBlock& block) const {
    const StoredSite& site = plan_.stored().front();
    const std::int64_t count = states.sites.front().rows;
    block.rows.push_back({number, block.vectors(), count});
    const bool second = states.row.decoder && site.stack == StackId::kDecoder;
    const std::size_t tokens = (second ? *states.row.decoder : states.row.main).ids.size();
    if (site.unit == StoredUnit::kPooled) {
      block.positions.push_back(-1);
    } else if (site.unit == StoredUnit::kPicks) {
      const std::vector<std::int32_t> picks = plan_.picks(number, static_cast<std::int64_t>(tokens));
      block.positions.insert(block.positions.end(), picks.begin(), picks.end());
    } else {
      for (std::int64_t k = 0; k < count; ++k) block.positions.push_back(static_cast<std::int32_t>(k));
    }
    for (std::size_t k = 0; k < states.sites.size(); ++k) {
      const std::vector<float>& values = states.sites[k].values;
      block.values[k].insert(block.values[k].end(), values.begin(), values.end());
    }
  }

  const Model& model_;
  std::unique_ptr<RowReader> rows_;
  ModelLayerOptions options_;
  TapPlan plan_;
  std::int64_t elements_ = 0;  // of one token at all sites
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<LayerSource>> model_layers(const Model& model, std::unique_ptr<RowReader> rows,
                                                  ModelLayerOptions options) {
  LAYERSCOPE_ASSIGN(TapPlan plan, TapPlan::compile(model.sites(), options.request));
  LAYERSCOPE_TRY(check_side_by_side(model.info().path, plan.stored()));
  return std::unique_ptr<LayerSource>(
      std::make_unique<ModelLayers>(model, std::move(rows), std::move(options), std::move(plan)));
}

}  // namespace layerscope
