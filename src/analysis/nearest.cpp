#include "analysis/nearest.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "analysis/candidate_filter.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kTileRows = 256;     // rows of one product, in the second-level cache with what it gives
constexpr std::size_t kChunk = 256;         // queries of one product
constexpr std::size_t kFew = 4;             // up to here a product is slower than reading rows once
constexpr std::size_t kMostQueries = 4096;  // of a pass
constexpr std::size_t kMostHeld = std::size_t{1} << 24;  // neighbours that all workers hold during a pass
constexpr std::int64_t kNoRow = std::numeric_limits<std::int64_t>::max();

/// Consecutive rows of one block.
struct Tile {
  const VectorBlock* block = nullptr;
  std::int64_t first = 0, rows = 0;
  [[nodiscard]] RowsView view() const {
    RowsView rows_of_tile = block->values;
    rows_of_tile.data += first * rows_of_tile.stride * static_cast<std::int64_t>(dtype_size(rows_of_tile.dtype));
    rows_of_tile.rows = rows;
    return rows_of_tile;
  }
};

/// Queries of one pass, packed as the weights of products.
struct Pass {
  std::span<const float> queries;  ///< [count, width]
  std::size_t count = 0;
  std::vector<double> norms;
  std::vector<float> directions;                      ///< the queries at length 1, [multiple of a group, width]
  std::vector<std::unique_ptr<PackedLinear>> chunks;  ///< the same packed; empty for few queries
  std::optional<CandidateFilter> filter;              ///< copied by every worker
  /// The best worst score of any worker's full heap: no score below it can be among the nearest.
  std::unique_ptr<std::atomic<double>[]> least;
};

/// What one worker has found: for every query a heap whose front is the worst of the best.
struct Found {
  std::vector<std::vector<Neighbour>> heaps;
  std::int64_t bad_row = kNoRow;  ///< the lowest that holds a value that is not finite
};

}  // namespace

struct NearestRows::State {
  VectorSet vectors;
  NearestOptions options;
  std::unique_ptr<Backend> backend;
  std::vector<Tile> tiles;
  std::size_t top_k = 0;
  std::size_t workers = 1;

  [[nodiscard]] Result<Pass> prepare(std::span<const float> queries) const;
  [[nodiscard]] Status scan(const Pass& pass, std::atomic<std::size_t>& next, Found& found) const;
};

namespace {

/// Scores the candidates of one tile.
class TileScorer {
 public:
  TileScorer(Metric metric, std::size_t top_k, const Pass& pass, Found& found)
      : metric_(metric), top_k_(top_k), pass_(pass), filter_(*pass.filter), found_(found) {
    found_.heaps.resize(pass.count);
  }
  [[nodiscard]] const CandidateFilter& filter() const noexcept { return filter_; }
  /// Takes over what other workers know.
  void learn() {
    for (std::size_t query = 0; query < pass_.count; ++query)
      filter_.raise(query, pass_.least[query].load(std::memory_order_relaxed));
  }

  /// `products` of queries first ... with one row.
  void take(const float* products, std::size_t first, std::size_t queries, const RowTerms& terms,
            std::span<const float> row, std::int64_t number) {
    for (std::size_t group = 0; group < queries; group += CandidateFilter::kGroup) {
      std::uint32_t bits = filter_.candidates(products + group, first + group, terms);
      for (; bits != 0; bits &= bits - 1) {
        const std::size_t query = first + group + static_cast<std::size_t>(std::countr_zero(bits));
        if (query < pass_.count) score(query, row, number);
      }
    }
  }

 private:
  void score(std::size_t query, std::span<const float> row, std::int64_t number) {
    const std::span<const float> vector = pass_.queries.subspan(query * row.size(), row.size());
    const Neighbour candidate{similarity_score(metric_, vector, pass_.norms[query], row), number};
    std::vector<Neighbour>& heap = found_.heaps[query];
    if (heap.size() == top_k_) {
      if (!nearer(candidate, heap.front())) return;
      std::pop_heap(heap.begin(), heap.end(), nearer);
      heap.back() = candidate;
    } else {
      heap.push_back(candidate);
    }
    std::push_heap(heap.begin(), heap.end(), nearer);
    if (heap.size() < top_k_) return;
    const double worst = heap.front().score;
    filter_.raise(query, worst);
    std::atomic<double>& least = pass_.least[query];
    double known = least.load(std::memory_order_relaxed);
    while (known < worst && !least.compare_exchange_weak(known, worst, std::memory_order_relaxed)) {}
  }

  Metric metric_;
  std::size_t top_k_;
  const Pass& pass_;
  CandidateFilter filter_;
  Found& found_;
};

std::vector<std::vector<Neighbour>> merged(std::vector<Found>& found, std::size_t queries, std::size_t top_k) {
  std::vector<std::vector<Neighbour>> results(queries);
  for (std::size_t query = 0; query < queries; ++query) {
    std::vector<Neighbour>& all = results[query];
    for (Found& part : found) {
      if (part.heaps.empty()) continue;
      all.insert(all.end(), part.heaps[query].begin(), part.heaps[query].end());
      part.heaps[query] = {};
    }
    std::sort(all.begin(), all.end(), nearer);
    if (all.size() > top_k) all.resize(top_k);
  }
  return results;
}

}  // namespace

Result<Pass> NearestRows::State::prepare(std::span<const float> queries) const {
  const auto width = static_cast<std::size_t>(vectors.width);
  Pass pass{.queries = queries,
            .count = queries.size() / width,
            .norms = {},
            .directions = {},
            .chunks = {},
            .filter = {},
            .least = {}};
  pass.filter.emplace(options.metric, width);
  std::vector<float>& directions = pass.directions;
  pass.least = std::make_unique<std::atomic<double>[]>(pass.count);
  for (std::size_t query = 0; query < pass.count; ++query) {
    const std::span<const float> vector = queries.subspan(query * width, width);
    pass.norms.push_back(norm_of(vector));
    pass.least[query] = -std::numeric_limits<double>::infinity();
    const double factor = pass.filter->add_query(pass.norms.back());
    for (const float value : vector) directions.push_back(static_cast<float>(static_cast<double>(value) * factor));
  }
  pass.filter->fill_group();
  const std::size_t filled =
      (pass.count + CandidateFilter::kGroup - 1) / CandidateFilter::kGroup * CandidateFilter::kGroup;
  directions.resize(filled * width);
  if (pass.count <= kFew) return pass;
  for (std::size_t first = 0; first < filled; first += kChunk) {
    const MatrixView part{DType::kF32,
                          reinterpret_cast<const std::byte*>(directions.data() + first * width),
                          static_cast<std::int64_t>(std::min(kChunk, filled - first)),
                          vectors.width,
                          vectors.width,
                          1};
    LAYERSCOPE_ASSIGN(std::unique_ptr<PackedLinear> packed, backend->pack(std::span(&part, 1), {}, Activation::kNone));
    pass.chunks.push_back(std::move(packed));
  }
  return pass;
}

Status NearestRows::State::scan(const Pass& pass, std::atomic<std::size_t>& next, Found& found) const {
  backend->enter_worker();
  const auto width = static_cast<std::size_t>(vectors.width);
  const bool in_place =
      vectors.code == VectorCode::kNumbers && !tiles.empty() && tiles.front().block->values.dtype == DType::kF32;
  const std::unique_ptr<Scratch> scratch = backend->make_scratch();
  std::vector<float> decoded(in_place ? 0 : static_cast<std::size_t>(kTileRows) * width);
  std::vector<float> products(static_cast<std::size_t>(kTileRows) * kChunk);
  std::vector<RowTerms> terms(static_cast<std::size_t>(kTileRows));
  TileScorer scorer(options.metric, top_k, pass, found);
  for (std::size_t at = next++; at < tiles.size(); at = next++) {
    const Tile& tile = tiles[at];
    RowsView rows = tile.view();
    if (!in_place) {
      decode_rows(*backend, rows, vectors.code, vectors.width, decoded.data());
      rows = {DType::kF32, reinterpret_cast<const std::byte*>(decoded.data()), tile.rows, vectors.width, vectors.width};
    }
    scorer.learn();
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const std::span<const float> vector(rows.row<float>(row), width);
      RowTerms& of_row = terms[static_cast<std::size_t>(row)];
      of_row = scorer.filter().row_terms(vector, sum_of_products(vector, vector));
      const std::int64_t number = tile.block->number(tile.first + row);
      if (!of_row.finite) found.bad_row = std::min(found.bad_row, number);
      if (!pass.chunks.empty() || !of_row.finite) continue;
      for (std::size_t query = 0; query < pass.count; ++query)
        products[query] = sum_of_products(std::span(pass.directions).subspan(query * width, width), vector);
      scorer.take(products.data(), 0, CandidateFilter::kGroup, of_row, vector, number);
    }
    if (found.bad_row != kNoRow) continue;  // there is no result any more, only a lowest row to be named
    for (std::size_t chunk = 0; chunk < pass.chunks.size(); ++chunk) {
      const std::int64_t outputs = pass.chunks[chunk]->outputs;
      LAYERSCOPE_TRY(backend->linear(
          *pass.chunks[chunk], rows,
          {DType::kF32, reinterpret_cast<std::byte*>(products.data()), tile.rows, outputs, outputs}, *scratch));
      for (std::int64_t row = 0; row < tile.rows; ++row) {
        scorer.take(products.data() + row * outputs, chunk * kChunk, static_cast<std::size_t>(outputs),
                    terms[static_cast<std::size_t>(row)], {rows.row<float>(row), width},
                    tile.block->number(tile.first + row));
      }
    }
  }
  return {};
}

NearestRows::NearestRows(std::unique_ptr<State> state) : state_(std::move(state)) {}
NearestRows::~NearestRows() = default;

Result<std::unique_ptr<NearestRows>> NearestRows::open(const VectorSet& vectors, const NearestOptions& options) {
  auto state = std::make_unique<State>();
  state->vectors = vectors;
  state->options = options;
  LAYERSCOPE_ASSIGN(state->backend, make_cpu_backend({Precision::kF32, options.isa}));
  for (const VectorBlock& block : vectors.blocks) {
    for (std::int64_t first = 0; first < block.values.rows; first += kTileRows)
      state->tiles.push_back({&block, first, std::min(kTileRows, block.values.rows - first)});
  }
  state->top_k = static_cast<std::size_t>(std::min(options.top_k, vectors.rows()));
  state->workers =
      std::clamp<std::size_t>(state->tiles.size(), 1, static_cast<std::size_t>(all_cores(options.threads)));
  return std::unique_ptr<NearestRows>(new NearestRows(std::move(state)));
}

std::size_t NearestRows::queries_a_pass() const noexcept {
  const std::size_t of_query = std::max<std::size_t>(1, state_->top_k * state_->workers);
  return std::clamp<std::size_t>(kMostHeld / of_query, 1, kMostQueries);
}

void NearestRows::decode(const RowsView& rows, VectorCode code, float* out) const {
  decode_rows(*state_->backend, rows, code, state_->vectors.width, out);
}

Result<std::vector<std::vector<Neighbour>>> NearestRows::find(std::span<const float> queries) const try {
  const State& state = *state_;
  const auto width = static_cast<std::size_t>(state.vectors.width);
  for (std::size_t at = 0; at < queries.size(); ++at) {
    if (!std::isfinite(queries[at]))
      return Error{ErrorCode::kRuntime, "query " + std::to_string(at / width) + " holds a value that is not finite"};
  }
  std::vector<std::vector<Neighbour>> results;
  if (state.top_k == 0) {
    results.resize(queries.size() / width);
    return results;
  }
  for (std::size_t first = 0; first < queries.size(); first += queries_a_pass() * width) {
    LAYERSCOPE_ASSIGN(const Pass pass, state.prepare(queries.subspan(
                                           first, std::min(queries_a_pass() * width, queries.size() - first))));
    std::vector<Found> found(state.workers);
    std::atomic<std::size_t> next{0};
    LAYERSCOPE_TRY(for_each_parallel(state.workers, static_cast<int>(state.workers),
                                     [&](std::size_t worker) { return state.scan(pass, next, found[worker]); }));
    std::int64_t bad_row = kNoRow;
    for (const Found& part : found) bad_row = std::min(bad_row, part.bad_row);
    if (bad_row != kNoRow)
      return Error{ErrorCode::kRuntime, "row " + std::to_string(bad_row) + " holds a value that is not finite"};
    for (auto& nearest : merged(found, pass.count, state.top_k)) results.push_back(std::move(nearest));
  }
  return results;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while rows were searched (a smaller --top-k needs less)"};
}

}  // namespace layerscope
