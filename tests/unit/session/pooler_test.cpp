// Model::pool: no row depends on the others, and what cannot be pooled is refused. Its values are held against numpy in
// python/tests/test_forward.py.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "layerscope/model.h"

namespace layerscope {
namespace {

std::unique_ptr<Model> open(const std::string& name, bool weights = true) {
  auto model =
      Model::open(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/golden/" + name, {.isa = "", .weights = weights});
  return model.ok() ? std::move(model).value() : nullptr;
}

RowsView in(const std::vector<float>& values, std::int64_t width) {
  return {DType::kF32, reinterpret_cast<const std::byte*>(values.data()),
          static_cast<std::int64_t>(values.size()) / width, width, width};
}

MutableRows out(std::vector<float>& values, std::int64_t width) {
  return {DType::kF32, reinterpret_cast<std::byte*>(values.data()), static_cast<std::int64_t>(values.size()) / width,
          width, width};
}

TEST(Pooler, RowsDoNotDependOnEachOther) {
  const auto model = open("bert-base-v5");
  ASSERT_TRUE(model && model->info().has_pooler);
  model->enter_worker();
  constexpr std::int64_t kRows = 150;  // more than are multiplied at once
  const std::int64_t width = model->sites().sites.front().width;
  std::vector<float> firsts(static_cast<std::size_t>(kRows * width)), pooled(firsts.size());
  for (std::size_t i = 0; i < firsts.size(); ++i) firsts[i] = std::sin(static_cast<float>(i));
  ASSERT_TRUE(model->pool(in(firsts, width), out(pooled, width)).ok());
  for (std::int64_t row = 0; row < kRows; ++row) {
    const auto begin = firsts.begin() + row * width;
    const std::vector<float> one(begin, begin + width);
    std::vector<float> alone(one.size());
    ASSERT_TRUE(model->pool(in(one, width), out(alone, width)).ok());
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), pooled.begin() + row * width)) << "row " << row;
  }
}

TEST(Pooler, WhatCannotBePooledIsRefused) {
  const auto refused = [](const Model& model, std::int64_t from, std::int64_t to) {
    std::vector<float> firsts(static_cast<std::size_t>(from)), pooled(static_cast<std::size_t>(to));
    const Status status = model.pool(in(firsts, from), out(pooled, to));
    return status ? ErrorCode::kRuntime : status.error().code;
  };
  const auto model = open("bert-base-v5"), gpt = open("gpt2-lm-v5"), described = open("bert-base-v5", false);
  ASSERT_TRUE(model && gpt && described);
  const std::int64_t width = model->sites().sites.front().width;
  EXPECT_EQ(refused(*model, width + 1, width), ErrorCode::kUsage);
  EXPECT_EQ(refused(*model, width, width - 1), ErrorCode::kUsage);
  EXPECT_EQ(refused(*described, width, width), ErrorCode::kUsage);
  EXPECT_FALSE(gpt->info().has_pooler);
  EXPECT_EQ(refused(*gpt, width, width), ErrorCode::kModel);
  std::vector<float> one(static_cast<std::size_t>(width)), two(one.size() * 2);
  EXPECT_FALSE(model->pool(in(one, width), out(two, width)).ok());
}

}  // namespace
}  // namespace layerscope
