// Embedder::tokenize and Embedder::embed of many rows.
#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "session/embedder.h"
#include "session/workers.h"

namespace layerscope {
namespace {

class Rows final : public Sink {
 public:
  Rows(std::vector<float>& values, std::int64_t width) : values_(values), width_(static_cast<std::size_t>(width)) {}
  Status accept(const StateFrame& frame) override {
    std::memcpy(values_.data() + static_cast<std::size_t>(frame.tag) * width_, frame.rows.data, width_ * sizeof(float));
    return {};
  }

 private:
  std::vector<float>& values_;
  std::size_t width_;
};

}  // namespace

std::vector<Result<ModelRow>> Embedder::tokenize(std::span<const TextRow> rows, int threads) const {
  std::vector<Result<ModelRow>> ready(rows.size(), ModelRow());
  const Status status = for_each_index(model(), rows.size(), all_cores(threads), [&](std::size_t i) -> Status {
    ready[i] = tokenize(rows[i]);
    return {};
  });
  if (!status) std::fill(ready.begin(), ready.end(), Result<ModelRow>(status.error()));
  return ready;
}

Result<std::vector<float>> Embedder::embed(std::span<const ModelRow> rows, int threads) const {
  std::vector<float> values(rows.size() * static_cast<std::size_t>(width()));
  std::vector<std::size_t> starts;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto added = static_cast<std::int64_t>(rows[i].main.ids.size());
    if (starts.empty() || tokens + added > kBatchTokens) {
      starts.push_back(i);
      tokens = 0;
    }
    tokens += added;
  }
  Rows sink(values, width());
  LAYERSCOPE_TRY(for_each_index(model(), starts.size(), all_cores(threads), [&](std::size_t k) {
    Batch batch;
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : rows.size();
    for (std::size_t i = starts[k]; i < end; ++i) model().append(batch, rows[i], static_cast<std::int64_t>(i), i);
    return run(batch, sink);
  }));
  return values;
}

Result<std::vector<float>> Embedder::embed(std::span<const TextRow> rows, int threads) const {
  std::vector<ModelRow> ready;
  for (Result<ModelRow>& row : tokenize(rows, threads)) {
    if (!row) return Error{row.error().code, "row " + std::to_string(ready.size()) + ": " + row.error().message};
    ready.push_back(std::move(row).value());
  }
  return embed(std::span<const ModelRow>(ready), threads);
}

}  // namespace layerscope
