// Running out of memory in the middle of a batch is an error, and the model stays usable.
#include <gtest/gtest.h>

#include <new>

#include "unit/engine/support.h"

namespace layerscope::testing {
namespace {

class NoMemory final : public Decorator {
 public:
  NoMemory(std::unique_ptr<Backend> inner, const bool& full) : Decorator(std::move(inner)), full_(full) {}
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch& scratch) const override {
    if (full_) throw std::bad_alloc();
    Decorator::attention(arguments, z, scratch);
  }

 private:
  const bool& full_;
};

TEST(Memory, BadAllocOfABackendIsAnErrorOfTheRun) {
  bool full = true;
  const auto model = open_golden("bert-odd-v5");
  const Reference reference(golden_folder() + "/bert-odd-v5/reference.safetensors");
  // Only a test puts another backend under an opened model.
  const_cast<ModelState&>(model->state()).engine =
      engine_on(*model, std::make_unique<NoMemory>(make_cpu_backend({}).value(), full));
  const TapPlan plan = plan_of(*model, {});
  const Batch batch = batch_of(*model, reference, {0, 1});
  Collected values(plan);
  const Status status = model->run(batch, plan, values);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kResource);
  EXPECT_NE(status.error().message.find("out of memory"), std::string::npos);
  full = false;
  Collected again(plan);
  EXPECT_TRUE(model->run(batch, plan, again).ok());
  EXPECT_EQ(again.all().size(), 2 * plan.stored().size());
}

}  // namespace
}  // namespace layerscope::testing
