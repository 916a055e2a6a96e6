// No part of any family's tiny model has a cause: its states are those of another engine, rounded otherwise.
#include <gtest/gtest.h>

#include "diff/block_lab.h"
#include "diff/cause_search.h"
#include "evidence.h"

namespace layerscope::testing {
namespace {

class Honest : public ::testing::TestWithParam<std::string> {};

TEST_P(Honest, NoPartDiffers) {
  const std::string folder = golden_folder() + "/" + GetParam();
  const auto model = Model::open(folder, {});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Reference reference(folder + "/reference.safetensors");
  for (const StackId stack : {StackId::kEncoder, StackId::kDecoder}) {
    const int blocks = (*model)->sites().layers[static_cast<std::size_t>(stack)];
    for (int block = -1; blocks > 0 && block <= blocks; ++block) {
      const BlockEvidence evidence = evidence_of(**model, reference, stack, block);
      if (evidence.rows.empty()) continue;
      const auto lab = BlockLab::make(**model, evidence);
      ASSERT_TRUE(lab.ok()) << lab.error().message << " at block " << block;
      const auto ours = (*lab)->run((*lab)->base());
      ASSERT_TRUE(ours.ok()) << ours.error().message;
      EXPECT_LE((*lab)->distance(*ours), kHonest * (*lab)->noise()) << "block " << block;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Honest, ::testing::ValuesIn(golden_models()), [](const auto& model) {
  std::string name = model.param;
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return name;
});

}  // namespace
}  // namespace layerscope::testing
