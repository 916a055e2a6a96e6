// Golden models run by any backend.
#pragma once

#include "backend/forwarding_backend.h"
#include "engine/engine.h"
#include "session/model_state.h"
#include "support/golden.h"
#include "tap/reducer.h"

namespace layerscope::testing {

/// A golden model's weights behind another backend. `model` must outlive it.
inline std::unique_ptr<Engine> engine_on(const Model& model, std::unique_ptr<Backend> backend) {
  auto weights = load_weights(model.state().spec, model.state().bindings, *backend);
  EXPECT_TRUE(weights.ok()) << weights.error().message;
  return std::make_unique<Engine>(model.state().spec, std::move(weights).value(), std::move(backend));
}

inline std::unique_ptr<Model> open_golden(const std::string& name, const OpenOptions& options = {}) {
  auto model = Model::open(golden_folder() + "/" + name, options);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return model.ok() ? std::move(model).value() : nullptr;
}

inline TapPlan plan_of(const Model& model, const TapRequest& request) {
  auto plan = TapPlan::compile(model.sites(), request);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return plan.ok() ? std::move(plan).value() : TapPlan();
}

/// Rows of the model's reference file as one batch, tagged with their numbers.
inline Batch batch_of(const Model& model, const Reference& reference, const std::vector<int>& rows) {
  Batch batch;
  for (const int row : rows) {
    auto ready = model.tokenize(text_row(reference, row, model.info().two_stacks));
    EXPECT_TRUE(ready.ok()) << ready.error().message;
    if (ready.ok()) model.append(batch, *ready, row, static_cast<std::uint64_t>(row));
  }
  return batch;
}

/// Passes everything on to another backend: tests override what they want to break.
class Decorator : public ForwardingBackend {
 public:
  explicit Decorator(std::unique_ptr<Backend> inner) : ForwardingBackend(*inner), owned_(std::move(inner)) {}

 private:
  std::unique_ptr<Backend> owned_;
};

}  // namespace layerscope::testing
