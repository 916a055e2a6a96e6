// The block program of one model of every family, pinned: whoever changes it sees what changes.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "family/registry.h"
#include "spec/print.h"

namespace layerscope::testing {
namespace {

const std::string kSource = LAYERSCOPE_SOURCE_DIR;

ModelSpec spec_of(const std::string& model) {
  auto config = Config::open(kSource + "/tests/golden/" + model + "/config.json");
  EXPECT_TRUE(config.ok()) << config.error().message;
  const Family* family = family_of(config->model_type());
  EXPECT_NE(family, nullptr);
  ModelSpec spec = family->describe(*config);
  const Status status = config->finish();
  EXPECT_TRUE(status.ok()) << status.error().message;
  return spec;
}

// The programs of a model's stacks and the slots of its first and last block.
std::string description(const ModelSpec& spec) {
  std::string text;
  for (const auto& [stack, name] : {std::pair{&spec.encoder, "encoder"}, std::pair{&spec.decoder, "decoder"}}) {
    if (!*stack) continue;
    text += std::string(name) + ", " + std::to_string(spec.width) + " wide\n";
    for (const std::string& line : block_program(**stack)) text += line + "\n";
  }
  text += "slots\n";
  for (const Slot& slot : slots_of(spec)) text += slot.name + " " + slot.shape.text() + "\n";
  return text;
}

class Program : public ::testing::TestWithParam<const char*> {};

TEST_P(Program, IsThePinnedOne) {
  std::ifstream file(kSource + "/tests/golden_text/" + GetParam() + ".txt");
  std::stringstream pinned;
  pinned << file.rdbuf();
  EXPECT_EQ(description(spec_of(GetParam())), pinned.str());
}

TEST(Programs, SlotNamesAreUnique) {
  for (const char* model : {"bert-odd-v5", "t5-gated-gelu-v4"}) {
    std::set<std::string> names;
    for (const Slot& slot : slots_of(spec_of(model))) EXPECT_TRUE(names.insert(slot.name).second) << slot.name;
    EXPECT_GT(names.size(), 10U);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Program,
                         ::testing::Values("bert-odd-v5", "gpt2-odd-v4", "llama-llama3-v5", "llama-bias-v5",
                                           "mistral-window-v5", "qwen2-yarn-v5", "qwen3-layer-types-v5", "t5-base-v5",
                                           "t5-gated-gelu-v4", "t5-encoder-v5"));

}  // namespace
}  // namespace layerscope::testing
