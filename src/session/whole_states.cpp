#include "session/whole_states.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/try.h"
#include "session/model_state.h"
#include "session/run_rows.h"

namespace layerscope {
namespace {

// Every sequence writes into its own block, so that workers need no lock.
class Blocks : public Sink {
 public:
  explicit Blocks(std::vector<RowStates>& rows) : rows_(rows) {}
  Status accept(const StateFrame& frame) override {
    StateBlock& block = rows_[static_cast<std::size_t>(frame.tag)].sites[static_cast<std::size_t>(frame.site)];
    std::memcpy(block.values.data() + frame.first_row * block.width, frame.rows.data,
                static_cast<std::size_t>(frame.rows.rows * frame.rows.width) * sizeof(float));
    return {};
  }

 private:
  std::vector<RowStates>& rows_;
};

void shape_blocks(const TapPlan& plan, std::int64_t number, const ModelInfo& info, RowStates& row) {
  const auto main = static_cast<std::int64_t>(row.row.main.ids.size());
  const std::int64_t decoder = row.row.decoder ? static_cast<std::int64_t>(row.row.decoder->ids.size()) : main;
  const std::array<std::int64_t, 2> tokens = {main, info.two_stacks ? decoder : main};
  for (std::size_t i = 0; i < plan.stored().size(); ++i) {
    const std::int64_t rows = plan.stored_rows(i, number, tokens), elements = plan.stored_elements(i, number, tokens);
    row.sites.push_back(
        {.site = plan.stored()[i].name, .rows = rows, .width = rows == 0 ? plan.stored()[i].width : elements / rows});
    row.sites.back().values.resize(static_cast<std::size_t>(elements));
  }
}

}  // namespace

const StateBlock* RowStates::find(std::string_view site) const noexcept {
  const auto found =
      std::find_if(sites.begin(), sites.end(), [&](const StateBlock& block) { return block.site == site; });
  return found == sites.end() ? nullptr : &*found;
}

Result<std::vector<RowStates>> whole_states(const Model& model, const TapPlan& plan, std::vector<NumberedRow> rows,
                                            int threads, const EditPlan* edits) {
  std::vector<RowStates> results(rows.size());
  std::vector<RowToRun> running;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    results[i].row = std::move(rows[i].row);
    shape_blocks(plan, rows[i].number, model.info(), results[i]);
    running.push_back({&results[i].row, rows[i].number});
  }
  Blocks sink(results);
  LAYERSCOPE_TRY(run_rows(model, plan, running, sink, {.threads = threads, .edits = edits}));
  return results;
}

Result<std::vector<RowStates>> Model::states(const std::vector<TextRow>& rows, const StatesOptions& options) const try {
  if (options.request.save_dtype != DType::kF32)
    return Error{ErrorCode::kUsage, "whole results are float32, save_dtype is for stored runs"};
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(sites(), options.request));
  LAYERSCOPE_ASSIGN(const EditPlan edits, EditPlan::compile(sites(), options.edits));
  std::vector<NumberedRow> ready;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto row = tokenize(rows[i], options.tokenize);
    if (!row) return Error{row.error().code, "row " + std::to_string(i) + ": " + row.error().message};
    ready.push_back({std::move(row).value(), static_cast<std::int64_t>(i)});
  }
  return whole_states(*this, plan, std::move(ready), options.threads, &edits);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource,
               "out of memory while collecting whole results; store them with the bulk job instead"};
}

Result<std::vector<RowStates>> Model::states(const std::vector<std::string>& texts,
                                             const StatesOptions& options) const {
  std::vector<TextRow> rows(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) rows[i].text = texts[i];
  return states(rows, options);
}

}  // namespace layerscope
