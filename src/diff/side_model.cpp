// A model as a side: it shows whatever it is asked for of the rows it is given.
#include "base/try.h"
#include "diff/live_run.h"
#include "diff/side.h"

namespace layerscope {
namespace {

class ModelSide final : public Side {
 public:
  ModelSide(std::shared_ptr<const Model> model, EditPlan edits, int threads)
      : model_(std::move(model)), edits_(std::move(edits)), threads_(threads) {
    for (const Site& site : model_->sites().sites) {
      const StoredUnit unit = site.kind == SiteKind::kProbs ? StoredUnit::kProbs : StoredUnit::kTokens;
      sites_.push_back({site.name, site.stack, site.hf_index, site.width, unit, site.cross, site.dtype});
    }
  }
  SideKind kind() const noexcept override { return SideKind::kModel; }
  const std::string& path() const noexcept override { return model_->info().path; }
  SidePrecision precision() const override {
    const ModelInfo& info = model_->info();
    return {.dtype = info.dtype, .isa = info.isa, .stored = info.dtype == "f64" ? DType::kF64 : DType::kF32};
  }
  const std::vector<SideSite>& sites() const noexcept override { return sites_; }
  const std::vector<SideRow>& rows() const noexcept override { return rows_; }
  std::shared_ptr<const Model> model() const override { return model_; }
  const EditPlan* edits() const noexcept override { return &edits_; }
  std::array<int, 2> layers() const noexcept override { return model_->sites().layers; }
  Result<std::vector<std::vector<SideBlock>>> read(std::span<const SideRow> rows,
                                                   std::span<const std::string> sites) const override {
    return run_live(*model_, rows, sites, {.edits = &edits_, .threads = threads_});
  }

 private:
  std::shared_ptr<const Model> model_;
  EditPlan edits_;
  int threads_;
  std::vector<SideSite> sites_;
  std::vector<SideRow> rows_;  // none of its own
};

}  // namespace

Result<std::unique_ptr<Side>> make_model_side(std::shared_ptr<const Model> model, const std::vector<Edit>& edits,
                                              int threads) {
  LAYERSCOPE_ASSIGN(EditPlan plan, EditPlan::compile(model->sites(), edits));
  return std::unique_ptr<Side>(std::make_unique<ModelSide>(std::move(model), std::move(plan), threads));
}

}  // namespace layerscope
