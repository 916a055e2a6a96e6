// Which rows of a stored tensor a slot takes: every layout of fused queries, keys and values, and of merged experts.
#include <gtest/gtest.h>

#include "engine/binder.h"
#include "engine/loader.h"
#include "memory_source.h"

namespace layerscope::testing {
namespace {

using Groups = Cut::Groups;

// Two key heads with two query heads each; heads of 2 and values of 1 number; a stream of 3.
ModelSpec attention_spec(std::int64_t d_v) {
  const Attention attention{.heads = 4, .kv_heads = 2, .d_qk = 2, .d_v = d_v};
  Stack stack{.embedding = {.vocabulary_size = 5}};
  stack.blocks = repeat(1, Block{.steps = {Step{.slot = "attn", .mixer = attention}}});
  return {.width = 3, .encoder = stack};
}

ModelSpec experts_spec() {
  const Experts experts{.router = {.experts = 2, .chosen = 1}, .hidden = 2};
  Stack stack{.embedding = {.vocabulary_size = 5}};
  stack.blocks = repeat(1, Block{.steps = {Step{.slot = "mlp", .mixer = experts}}});
  return {.width = 3, .encoder = stack};
}

std::vector<Bind> qkv_rows(Cut cut) {
  std::vector<Bind> rows = {{"embed.token", "embed"}, {"block.{i}.attn.out", "out"}};
  for (int part = 0; part < 3; ++part) {
    cut.part = part;
    rows.push_back({part == 0   ? "block.{i}.attn.q"
                    : part == 1 ? "block.{i}.attn.k"
                                : "block.{i}.attn.v",
                    "fused", cut});
  }
  return rows;
}

/// The first number of every row that a slot gets, by the stored row it came from.
std::vector<int> rows_of(const ModelSpec& spec, const std::vector<Bind>& rows, const Memory& memory,
                         const std::string& slot, std::int64_t stored_width) {
  const Family family{.binds = rows};
  const auto bindings = bind(spec, family, memory, "folder");
  EXPECT_TRUE(bindings.ok()) << (bindings.ok() ? "" : bindings.error().message);
  if (!bindings.ok()) return {};
  const auto backend = make_reference_backend(DType::kF32);
  const Loader loader(*bindings, *backend, "");
  const std::vector<float> values = loader.elements(slot);
  const auto width = static_cast<std::size_t>(bindings->find(slot)->slot.shape[1]);
  std::vector<int> found;
  for (std::size_t i = 0; i < values.size(); i += width)
    found.push_back(static_cast<int>(values[i] / static_cast<float>(stored_width)));
  return found;
}

Memory fused(std::int64_t rows, std::int64_t z_width) {
  Memory memory;
  memory.put("embed.weight", {5, 3});
  memory.put("out.weight", {3, z_width});
  memory.put_counted("fused.weight", {rows, 3});
  return memory;
}

TEST(Cut, QueriesKeysAndValuesEndToEndAreAsWideAsTheirHeads) {
  const std::vector<Bind> rows = qkv_rows({.qkv = true});
  const Memory memory = fused(8 + 4 + 2, 4);
  const ModelSpec spec = attention_spec(1);
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.q.weight", 3), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.k.weight", 3), (std::vector<int>{8, 9, 10, 11}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.v.weight", 3), (std::vector<int>{12, 13}));
}

TEST(Cut, EveryKeyHeadHasItsQueriesKeyAndValue) {
  const std::vector<Bind> rows = qkv_rows({.groups = Groups::kKeyHeads, .qkv = true});
  const Memory memory = fused(8 + 4 + 4, 8);
  const ModelSpec spec = attention_spec(2);
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.q.weight", 3), (std::vector<int>{0, 1, 2, 3, 8, 9, 10, 11}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.k.weight", 3), (std::vector<int>{4, 5, 12, 13}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.attn.v.weight", 3), (std::vector<int>{6, 7, 14, 15}));
}

TEST(Cut, ExpertsMergedIntoOneTensorWithEvenAndOddRows) {
  std::vector<Bind> rows = {
      {"embed.token", "embed"},
      {"block.{i}.mlp.router", "router"},
      {"block.{i}.mlp.experts.{e}.gate", "both!", {.part = 0, .parts = 2, .groups = Groups::kRows, .expert = true}},
      {"block.{i}.mlp.experts.{e}.up", "both!", {.part = 1, .parts = 2, .groups = Groups::kRows, .expert = true}},
      {"block.{i}.mlp.experts.{e}.down", "down!", {.transposed = true, .expert = true}}};
  Memory memory;
  memory.put("embed.weight", {5, 3});
  memory.put("router.weight", {2, 3});
  memory.put_counted("both", {2, 4, 3});
  memory.put_counted("down", {2, 2, 3});
  const ModelSpec spec = experts_spec();
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.mlp.experts.0.gate.weight", 3), (std::vector<int>{0, 2}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.mlp.experts.1.gate.weight", 3), (std::vector<int>{4, 6}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.mlp.experts.1.up.weight", 3), (std::vector<int>{5, 7}));
  EXPECT_EQ(rows_of(spec, rows, memory, "block.0.mlp.experts.1.down.weight", 1), (std::vector<int>{6, 7, 8}));
  memory.put("both", {3, 4, 3});
  const Family family{.binds = rows};
  const auto more = bind(spec, family, memory, "folder");
  ASSERT_FALSE(more.ok()) << "a tensor with one expert too many";
  EXPECT_NE(more.error().message.find("[3, 4, 3], expected [2, 4, 3]"), std::string::npos) << more.error().message;
}

TEST(Cut, ATensorOfAnotherSizeIsRefused) {
  const std::vector<Bind> rows = qkv_rows({.groups = Groups::kKeyHeads, .qkv = true});
  const Family family{.binds = rows};
  const auto bindings = bind(attention_spec(2), family, fused(17, 8), "folder");
  ASSERT_FALSE(bindings.ok());
  EXPECT_NE(bindings.error().message.find("has shape [17, 3], expected [16, 3]"), std::string::npos)
      << bindings.error().message;
}

}  // namespace
}  // namespace layerscope::testing
