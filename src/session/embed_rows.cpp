// Embedder::tokenize and Embedder::embed of many rows.
#include <algorithm>

#include "base/try.h"
#include "session/embedder.h"
#include "session/workers.h"

namespace layerscope {
namespace {

/// Site 0 of sparse vectors are their places; of every other kind the values.
class Rows final : public Sink {
 public:
  Rows(std::vector<TextVectors>& vectors, VectorKind kind) : vectors_(vectors), kind_(kind) {}
  Status accept(const StateFrame& frame) override {
    TextVectors& into = vectors_[static_cast<std::size_t>(frame.tag)];
    const auto count = static_cast<std::size_t>(frame.rows.rows * frame.rows.width);
    if (kind_ == VectorKind::kSparse && frame.site == 0)
      into.places.assign(frame.rows.row<std::int32_t>(0), frame.rows.row<std::int32_t>(0) + count);
    else
      into.values.assign(frame.rows.row<float>(0), frame.rows.row<float>(0) + count);
    return {};
  }

 private:
  std::vector<TextVectors>& vectors_;
  VectorKind kind_;
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

Result<std::vector<TextVectors>> Embedder::vectors(std::span<const ModelRow> rows, int threads) const {
  std::vector<TextVectors> vectors(rows.size());
  std::vector<std::size_t> starts;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto added = static_cast<std::int64_t>(rows[i].main.ids.size());
    if (starts.empty() || tokens + added > kBatchTokens) {
      starts.push_back(i);
      tokens = 0;
    }
    tokens += added;
    if (kind() == VectorKind::kTokens) vectors[i].places = vector_places(rows[i]);
  }
  Rows sink(vectors, kind());
  LAYERSCOPE_TRY(for_each_index(model(), starts.size(), all_cores(threads), [&](std::size_t k) {
    Batch batch;
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : rows.size();
    for (std::size_t i = starts[k]; i < end; ++i) append(batch, rows[i], static_cast<std::int64_t>(i), i);
    return run(batch, sink);
  }));
  return vectors;
}

Result<std::vector<float>> Embedder::embed(std::span<const ModelRow> rows, int threads) const {
  if (kind() != VectorKind::kDense)
    return Error{ErrorCode::kUsage, folder() + ": makes " + std::string(vector_kind_name(kind())) +
                                        " vectors, expected one vector a text"};
  LAYERSCOPE_ASSIGN(const std::vector<TextVectors> each, vectors(rows, threads));
  std::vector<float> values;
  values.reserve(each.size() * static_cast<std::size_t>(width()));
  for (const TextVectors& row : each) values.insert(values.end(), row.values.begin(), row.values.end());
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
