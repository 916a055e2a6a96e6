#include <algorithm>

#include "base/try.h"
#include "job/streams.h"
#include "session/whole_states.h"
#include "session/workers.h"

namespace layerscope {
namespace {

constexpr std::int64_t kStreamElements = std::int64_t{32} << 20;  // 128 MiB of float32 at a time

class TextStreams final : public StreamSource {
 public:
  TextStreams(const Model& model, OpenRows open, TextStreamOptions options)
      : model_(model), open_(std::move(open)), options_(std::move(options)) {}

  Result<std::vector<std::string>> available(const std::vector<std::string>& sites) const override { return sites; }

  Status walk(const std::vector<std::string>& sites, const std::function<Status(const StreamBatch&)>& take) override {
    std::string list;
    std::int64_t elements = 0;  // of one token
    for (const std::string& site : sites) {
      list += (list.empty() ? "" : ",") + site;
      elements += model_.sites().find(site)->width;
    }
    LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(model_.sites(), {.sites = list}));
    LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_());
    const std::int64_t most = std::max<std::int64_t>(1, kStreamElements / elements);
    std::vector<NumberedRow> rows;
    std::int64_t tokens = 0;
    while (true) {
      LAYERSCOPE_ASSIGN(const std::optional<InputRow> input, reader->next());
      if (input) {
        LAYERSCOPE_ASSIGN(std::optional<ModelRow> row, ready(*input));
        if (!row) continue;
        tokens += static_cast<std::int64_t>((row->decoder ? *row->decoder : row->main).ids.size());
        rows.push_back({*std::move(row), input->number});
      }
      if (rows.empty() || (input && tokens < most)) {
        if (!input) break;
        continue;
      }
      LAYERSCOPE_TRY(deliver(plan, sites, std::move(rows), take));
      rows.clear();
      tokens = 0;
    }
    return {};
  }

 private:
  /// Nothing for a bad row that is skipped.
  Result<std::optional<ModelRow>> ready(const InputRow& input) const {
    Result<ModelRow> row = input.bad ? Result<ModelRow>(*input.bad) : model_.tokenize(input.row, options_.tokenize);
    if (row) return std::optional(std::move(row).value());
    Error error = row.error();
    if (!input.bad) error.message = input.where + ": " + error.message;
    if (error.code != ErrorCode::kInput || !options_.skip_bad) return error;
    if (options_.skipped) options_.skipped(error);
    return std::optional<ModelRow>();
  }

  Status deliver(const TapPlan& plan, const std::vector<std::string>& sites, std::vector<NumberedRow> rows,
                 const std::function<Status(const StreamBatch&)>& take) const {
    std::vector<std::int64_t> numbers;
    for (const NumberedRow& row : rows) numbers.push_back(row.number);
    LAYERSCOPE_ASSIGN(const std::vector<RowStates> states,
                      whole_states(model_, plan, std::move(rows), options_.threads));
    StreamBatch batch;
    batch.streams.resize(sites.size());
    for (std::size_t k = 0; k < states.size(); ++k) {
      for (std::size_t site = 0; site < sites.size(); ++site) {
        const std::vector<float>& values = states[k].find(sites[site])->values;
        batch.streams[site].insert(batch.streams[site].end(), values.begin(), values.end());
      }
      batch.rows.insert(batch.rows.end(), static_cast<std::size_t>(states[k].sites.front().rows), numbers[k]);
    }
    return take(batch);
  }

  const Model& model_;
  OpenRows open_;
  TextStreamOptions options_;
};

}  // namespace

std::unique_ptr<StreamSource> text_streams(const Model& model, OpenRows open, TextStreamOptions options) {
  return std::make_unique<TextStreams>(model, std::move(open), std::move(options));
}

}  // namespace layerscope
