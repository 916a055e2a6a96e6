// The block program of one model of every model_type, pinned: whoever changes it sees what changes.
// LAYERSCOPE_WRITE_PAGES=1 writes the texts anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "family/registry.h"
#include "spec/labels.h"
#include "spec/print.h"

namespace layerscope::testing {
namespace {

const std::string kSource = LAYERSCOPE_SOURCE_DIR;

ModelSpec spec_of(const std::string& model) {
  auto config = Config::open(kSource + "/tests/golden/" + model + "/config.json");
  EXPECT_TRUE(config.ok()) << config.error().message;
  const Family* family = family_of(config->model_type());
  EXPECT_NE(family, nullptr);
  ModelSpec spec = describe_model(*family, *config);
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
  if (spec.head) text += head_text(*spec.head) + "\n";
  if (spec.labels) text += labels_text(*spec.labels) + "\n";
  text += "slots\n";
  for (const Slot& slot : slots_of(spec)) text += slot.name + " " + slot.shape.text() + "\n";
  return text;
}

// The first tiny model of every model_type.
std::map<std::string, std::string> first_models() {
  std::map<std::string, std::string> first;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/tests/golden")) {
    auto config = Config::open((entry.path() / "config.json").string());
    if (!config.ok()) continue;
    const std::string name = entry.path().filename().string();
    std::string& kept = first[config->model_type()];
    if (kept.empty() || name < kept) kept = name;
  }
  return first;
}

std::vector<std::string> pinned_models() {
  std::vector<std::string> names;
  for (const auto& [type, name] : first_models()) names.push_back(name);
  return names;
}

class Program : public ::testing::TestWithParam<std::string> {};

TEST_P(Program, IsThePinnedOne) {
  const std::string path = kSource + "/tests/golden_text/" + GetParam() + ".txt";
  if (std::getenv("LAYERSCOPE_WRITE_PAGES") != nullptr) std::ofstream(path) << description(spec_of(GetParam()));
  std::ifstream file(path);
  std::stringstream pinned;
  pinned << file.rdbuf();
  EXPECT_EQ(description(spec_of(GetParam())), pinned.str());
}

TEST(Programs, EveryModelTypeHasATinyModel) {
  const auto first = first_models();
  for (const Family* family : families()) {
    for (const std::string_view type : family->model_types) EXPECT_TRUE(first.contains(std::string(type))) << type;
  }
}

TEST(Programs, SlotNamesAreUnique) {
  for (const std::string& model : pinned_models()) {
    std::set<std::string> names;
    for (const Slot& slot : slots_of(spec_of(model))) EXPECT_TRUE(names.insert(slot.name).second) << slot.name;
    EXPECT_GT(names.size(), 10U);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Program, ::testing::ValuesIn(pinned_models()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace layerscope::testing
