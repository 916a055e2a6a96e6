// What a checkpoint must hold, tensor by tensor.
#include "engine/binder.h"

#include <gtest/gtest.h>

#include "memory_source.h"

namespace layerscope::testing {
namespace {

constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr std::string_view kIgnored[] = {"head.**"};
constexpr std::string_view kCopies[] = {"copy.weight=embed.weight"};
constexpr Bind kBinds[] = {
    {.slot = "embed.token", .source = "embed"},
    {.slot = "block.{i}.mlp.after", .source = "layer.{i}.norm"},
    {.slot = "block.{i}.mlp.gate", .source = "layer.{i}.both", .cut = {.part = 0, .parts = 2, .transposed = true}},
    {.slot = "block.{i}.mlp.up", .source = "layer.{i}.both", .cut = {.part = 1, .parts = 2, .transposed = true}},
    {.slot = "block.{i}.mlp.down", .source = "layer.{i}.down"},
};
constexpr Family kFamily{.binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored, .copies = kCopies};

ModelSpec spec() {
  Stack stack{.embedding = {.vocabulary_size = 7}};
  const Step step{.slot = "mlp", .mixer = Mlp{.hidden = 6, .gated = true}, .after = Norm{.bias = true}};
  stack.blocks = repeat(12, Block{.steps = {step}});
  return {.width = 4, .encoder = stack};
}

Memory complete(const std::string& prefix = "") {
  Memory memory;
  memory.put(prefix + "embed.weight", {7, 4});
  for (int i = 0; i < 12; ++i) {
    const std::string at = prefix + "layer." + std::to_string(i) + ".";
    memory.put(at + "norm.weight", {4});
    memory.put(at + "norm.bias", {4});
    memory.put(at + "both.weight", {4, 12});
    memory.put(at + "down.weight", {4, 6});
  }
  return memory;
}

std::string refused(const Memory& memory, const Family& family = kFamily) {
  const ModelSpec model = spec();
  const auto bindings = bind(model, family, memory, "folder");
  EXPECT_FALSE(bindings.ok());
  if (bindings) return {};
  EXPECT_EQ(bindings.error().code, ErrorCode::kModel);
  EXPECT_EQ(bindings.error().message.rfind("folder", 0), 0U);
  return bindings.error().message;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Binder, EverySlotIsFilledAndCutsPointWhereTheyShould) {
  for (const char* prefix : {"", "model."}) {
    Memory memory = complete(prefix);
    memory.put("head.weight", {9, 4});
    const ModelSpec model = spec();
    const auto bindings = bind(model, kFamily, memory, "folder");
    ASSERT_TRUE(bindings.ok()) << bindings.error().message;
    EXPECT_EQ(bindings->bound.size(), slots_of(model).size());
    EXPECT_EQ(bindings->ignored, std::vector<std::string>{"head.weight"});
    EXPECT_EQ(bindings->parameters, 28U + 12 * (4 + 4 + 48 + 24) + 36);
    const Binding* up = bindings->find("block.11.mlp.up.weight");
    ASSERT_NE(up, nullptr);
    EXPECT_EQ(up->tensor->name, std::string(prefix) + "layer.11.both.weight");
    EXPECT_EQ(up->views.front().data, up->tensor->view.data + 6 * sizeof(float)) << "the second half of the columns";
    EXPECT_EQ(up->views.front().output_stride, 1);
    EXPECT_EQ(up->views.front().input_stride, 12);
    EXPECT_EQ(bindings->find("block.12.mlp.up.weight"), nullptr);
  }
}

TEST(Binder, OldNamesOfNormParametersAreTaken) {
  Memory memory = complete();
  memory.drop("layer.3.norm.weight");
  memory.drop("layer.3.norm.bias");
  memory.put("layer.3.norm.gamma", {4});
  memory.put("layer.3.norm.beta", {4});
  const ModelSpec model = spec();
  const auto bindings = bind(model, kFamily, memory, "folder");
  ASSERT_TRUE(bindings.ok()) << bindings.error().message;
  EXPECT_EQ(bindings->find("block.3.mlp.after.bias")->tensor->name, "layer.3.norm.beta");
}

TEST(Binder, MissingExtraShapeAndType) {
  Memory memory = complete();
  memory.drop("layer.10.down.weight");
  std::string message = refused(memory);
  EXPECT_TRUE(has(message, "\"layer.10.down.weight\" is missing") && has(message, "block.10.mlp.down.weight") &&
              has(message, "[4, 6]"))
      << message;

  memory = complete();
  memory.put("layer.12.down.weight", {4, 6});
  message = refused(memory);
  EXPECT_TRUE(has(message, "m.st") && has(message, "\"layer.12.down.weight\"") && has(message, "no place")) << message;
  memory = complete();
  memory.put("layer.0.down.bias", {4});
  EXPECT_TRUE(has(refused(memory), "\"layer.0.down.bias\""));

  for (const Shape& shape : {Shape{6, 4}, Shape{24}, Shape{4, 6, 1}, Shape{4, 7}, Shape{0, 6}}) {
    memory = complete();
    memory.put("layer.0.down.weight", shape);
    message = refused(memory);
    EXPECT_TRUE(has(message, shape.text()) && has(message, "expected [4, 6]")) << message;
  }
  memory = complete();
  memory.put("layer.0.both.weight", {12, 4});
  EXPECT_TRUE(has(refused(memory), "expected [4, 12]"));

  for (const DType dtype : {DType::kI8, DType::kF64, DType::kI32, DType::kBool}) {
    memory = complete();
    memory.put("layer.0.down.weight", {4, 6}, dtype);
    message = refused(memory);
    EXPECT_TRUE(has(message, dtype_name(dtype)) && has(message, "expected F32, F16 or BF16")) << message;
  }
}

TEST(Binder, ATensorFillsOneSlotUnlessItsRowShares) {
  constexpr Bind twice[] = {{.slot = "embed.token", .source = "embed"},
                            {.slot = "block.{i}.mlp.after", .source = "layer.{i}.norm"},
                            {.slot = "block.{i}.mlp.gate", .source = "layer.{i}.gate"},
                            {.slot = "block.{i}.mlp.up", .source = "layer.{i}.gate"},
                            {.slot = "block.{i}.mlp.down", .source = "layer.{i}.down"}};
  Memory memory = complete();
  for (int i = 0; i < 12; ++i) {
    memory.drop("layer." + std::to_string(i) + ".both.weight");
    memory.put("layer." + std::to_string(i) + ".gate.weight", {6, 4});
  }
  Family family = kFamily;
  family.binds = twice;
  EXPECT_TRUE(has(refused(memory, family), "claimed by two slots"));
  Bind shared[5];
  std::copy(std::begin(twice), std::end(twice), shared);
  shared[2].shared = shared[3].shared = true;
  family.binds = shared;
  const ModelSpec model = spec();
  EXPECT_TRUE(bind(model, family, memory, "folder").ok());
}

TEST(Binder, CopiesMustBeCopies) {
  Memory memory = complete();
  memory.put("copy.weight", {7, 4});
  const ModelSpec model = spec();
  EXPECT_TRUE(bind(model, kFamily, memory, "folder").ok());
  memory.put("copy.weight", {7, 4}, DType::kF32, 1);
  EXPECT_TRUE(has(refused(memory), "differs from \"embed.weight\""));
  memory.put("copy.weight", {4, 7});
  EXPECT_TRUE(has(refused(memory), "differs"));
  memory.put("copy.weight", {7, 4}, DType::kF16);
  EXPECT_TRUE(has(refused(memory), "differs"));
}

}  // namespace
}  // namespace layerscope::testing
