#include "job/states_job.h"

#include "base/try.h"
#include "job/bulk_job.h"

namespace layerscope {
namespace {

class ModelRunner final : public RowRunner {
 public:
  ModelRunner(const Model& model, EditPlan edits) : model_(model), edits_(std::move(edits)) {}
  const ModelInfo& info() const noexcept override { return model_.info(); }
  const SiteTable& sites() const noexcept override { return model_.sites(); }
  Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options) const override {
    return model_.tokenize(row, options);
  }
  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const override {
    model_.append(batch, row, row_number, tag);
  }
  Status run(const Batch& batch, const TapPlan& plan, Sink& sink) const override {
    return model_.run(batch, plan, sink, &edits_);
  }
  void enter_worker() const override { model_.enter_worker(); }

 private:
  const Model& model_;
  const EditPlan edits_;
};

}  // namespace

Result<JobResult> run_states_job(const Model& model, RowReader& rows, const StatesJobOptions& options,
                                 const JobHooks& hooks) {
  LAYERSCOPE_ASSIGN(EditPlan edits, EditPlan::compile(model.sites(), options.edits));
  return run_bulk_job(ModelRunner(model, std::move(edits)), rows, options, hooks);
}

}  // namespace layerscope
