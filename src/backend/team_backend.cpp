#include "backend/team_backend.h"

#include <algorithm>

namespace layerscope {
namespace {

constexpr std::int64_t kSmallRows = 16384;         // elements that are not worth a hand-over
constexpr std::int64_t kSmallProduct = 65536;      // weights, likewise
constexpr std::int64_t kSmallAttention = 1 << 13;  // queries * keys * heads, likewise
constexpr std::int64_t kProductRows = 16;          // the library fills a product up to a multiple of this
constexpr std::int64_t kQueries = 48;              // the kernels' tile: parts of a sequence are multiples of this

/// Rows first ... first + count.
template <class AnyRows>
AnyRows part(AnyRows rows, std::int64_t first, std::int64_t count) noexcept {
  rows.data += first * rows.stride * static_cast<std::int64_t>(dtype_size(rows.dtype));
  rows.rows = count;
  return rows;
}

template <class AnyRows>
AnyRows columns(AnyRows rows, std::int64_t first, std::int64_t width) noexcept {
  rows.data += first * static_cast<std::int64_t>(dtype_size(rows.dtype));
  rows.width = width;
  return rows;
}

/// One key head and some queries of a call, with what its arguments point to.
class Piece {
 public:
  Piece(const AttentionCall& whole, std::int64_t kv_head, std::int64_t first, std::int64_t count) : call_(whole) {
    AttentionArguments& a = call_.arguments;
    const std::int64_t group = a.heads / a.kv_heads, head = kv_head * group;
    a.q = part(columns(a.q, head * a.d_qk, group * a.d_qk), first, count);
    a.k = columns(a.k, kv_head * a.d_qk, a.d_qk);
    a.v = columns(a.v, kv_head * a.d_v, a.d_v);
    a.first_position += first;
    a.heads = group;
    a.kv_heads = 1;
    a.cache.first_head += kv_head;
    if (a.sinks != nullptr) a.sinks += head;
    if (a.bias != nullptr) {
      bias_ = *a.bias;
      bias_.table += head * bias_.stride;
      a.bias = &bias_;
    }
    if (a.positions != nullptr) {
      positions_ = *a.positions;
      positions_.keys = columns(positions_.keys, head * a.d_qk, group * a.d_qk);
      positions_.queries = columns(positions_.queries, head * a.d_qk, group * a.d_qk);
      a.positions = &positions_;
    }
    call_.z = part(columns(call_.z, head * a.d_v, group * a.d_v), first, count);
  }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;
  [[nodiscard]] AttentionCall& call() noexcept { return call_; }

 private:
  AttentionCall call_;
  DistanceBias bias_;
  PositionTerms positions_;
};

/// A piece by numbers.
struct Unit {
  std::size_t call = 0;
  std::int64_t kv_head = 0, first = 0, count = 0;
};

Status first_failure(std::vector<Status>& statuses) {
  for (Status& status : statuses) {
    if (!status.ok()) return std::move(status);
  }
  return {};
}

}  // namespace

template <class Work>
void TeamBackend::by_rows(std::int64_t rows, std::int64_t width, const Work& work) const noexcept {
  const std::int64_t members = this->members();
  if (members == 1 || rows < 2 || rows * width < kSmallRows) return work(0, rows);
  team_->on_all([&](int member) {
    const std::int64_t first = rows * member / members;
    work(first, rows * (member + 1) / members - first);
  });
}

Status TeamBackend::linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                           Scratch& scratch) const {
  if (steps_) return linear_steps(weights, {0, weights.outputs}, in, out, scratch);
  const std::int64_t members = this->members(), groups = (in.rows + kProductRows - 1) / kProductRows;
  if (members == 1 || groups < 2) return inner_.linear(weights, in, out, scratch);
  std::vector<Status> statuses(static_cast<std::size_t>(members));
  team_->on_all([&](int member) {
    const std::int64_t first = groups * member / members * kProductRows;
    const std::int64_t end = std::min(groups * (member + 1) / members * kProductRows, in.rows);
    if (first == end) return;
    statuses[static_cast<std::size_t>(member)] = inner_.linear(
        weights, part(in, first, end - first), part(out, first, end - first), team_->scratch(member, scratch));
  });
  return first_failure(statuses);
}

Status TeamBackend::linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in,
                                 const MutableRows& out, Scratch& scratch) const {
  const std::int64_t members = this->members();
  const std::int64_t panels = (outputs.end - outputs.begin + weights.grain - 1) / weights.grain;
  if (members == 1 || panels < 2 || weights.inputs * (outputs.end - outputs.begin) < kSmallProduct)
    return inner_.linear_steps(weights, outputs, in, out, scratch);
  std::vector<Status> statuses(static_cast<std::size_t>(members));
  team_->on_all([&](int member) {
    const OutputRange own{outputs.begin + panels * member / members * weights.grain,
                          std::min(outputs.begin + panels * (member + 1) / members * weights.grain, outputs.end)};
    if (own.begin >= own.end) return;
    statuses[static_cast<std::size_t>(member)] =
        inner_.linear_steps(weights, own, in, out, team_->scratch(member, scratch));
  });
  return first_failure(statuses);
}

void TeamBackend::attend(std::span<const AttentionCall> calls, Scratch& scratch) const {
  const std::int64_t members = this->members();
  std::int64_t work = 0, heads = 0;
  for (const AttentionCall& call : calls) {
    work += call.arguments.q.rows * call.arguments.keys() * call.arguments.heads;
    heads += call.arguments.kv_heads;
  }
  if (members == 1 || work < kSmallAttention) return inner_.attend(calls, scratch);

  // Few heads and many queries: sequences are cut too, and what joins a cache must be there before.
  const std::int64_t cuts = heads < 4 * members ? (4 * members + heads - 1) / heads : 1;
  std::vector<Unit> units;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const AttentionArguments& a = calls[i].arguments;
    const std::int64_t tiles = (a.q.rows + kQueries - 1) / kQueries;
    const std::int64_t step = a.positions != nullptr ? a.q.rows : (tiles + cuts - 1) / cuts * kQueries;
    for (std::int64_t head = 0; head < a.kv_heads; ++head) {
      for (std::int64_t first = 0; first < a.q.rows; first += step)
        units.push_back({i, head, first, std::min(step, a.q.rows - first)});
    }
  }
  const bool cut =
      std::ranges::any_of(units, [&](const Unit& unit) { return unit.count < calls[unit.call].arguments.q.rows; });
  const auto each = [&](bool remembers, bool attends) {
    team_->for_each(units.size(), [&](std::size_t index, int member) {
      const Unit& unit = units[index];
      Scratch& memory = team_->scratch(member, scratch);
      Piece piece(calls[unit.call], unit.kv_head, unit.first, unit.count);
      const AttentionCall& call = piece.call();
      if (remembers && call.remember && unit.first == 0) inner_.remember(call.arguments, memory);
      if (attends) inner_.attention(call.arguments, call.z, memory);
    });
  };
  if (cut && std::ranges::any_of(calls, &AttentionCall::remember)) {
    each(true, false);
    each(false, true);
  } else {
    each(true, true);
  }
}

void TeamBackend::norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept {
  by_rows(in.rows, in.width, [&](std::int64_t first, std::int64_t count) {
    inner_.norm(norm, part(in, first, count), part(out, first, count));
  });
}

void TeamBackend::norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept {
  by_rows(rows.rows, rows.width,
          [&](std::int64_t first, std::int64_t count) { inner_.norm_heads(norm, heads, part(rows, first, count)); });
}

void TeamBackend::add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept {
  by_rows(x.rows, x.width, [&](std::int64_t first, std::int64_t count) {
    inner_.add(part(x, first, count), part(t, first, count), scale, after);
  });
}

void TeamBackend::rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept {
  by_rows(rows.rows, rows.width, [&](std::int64_t first, std::int64_t count) {
    RotationArguments own = arguments;
    own.positions = own.positions.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    inner_.rotate(own, part(rows, first, count));
  });
}

void TeamBackend::gate(Activation activation, const RowsView& gate, const RowsView& up,
                       const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.gate(activation, part(gate, first, count), part(up, first, count), part(out, first, count));
  });
}

void TeamBackend::clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                               const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.clamped_gate(limit, alpha, part(gate, first, count), part(up, first, count), part(out, first, count));
  });
}

void TeamBackend::xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
                        const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.xielu(alpha_p, alpha_n, beta, epsilon, part(in, first, count), part(out, first, count));
  });
}

void TeamBackend::activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.activate(activation, part(in, first, count), part(out, first, count));
  });
}

void TeamBackend::hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.hadamard(part(a, first, count), part(b, first, count), part(out, first, count));
  });
}

void TeamBackend::convert(const RowsView& in, const MutableRows& out) const noexcept {
  by_rows(out.rows, out.width, [&](std::int64_t first, std::int64_t count) {
    inner_.convert(part(in, first, count), part(out, first, count));
  });
}

bool TeamBackend::all_finite(const RowsView& rows) const noexcept {
  std::atomic<bool> finite{true};
  by_rows(rows.rows, rows.width, [&](std::int64_t first, std::int64_t count) {
    if (!inner_.all_finite(part(rows, first, count))) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

}  // namespace layerscope
