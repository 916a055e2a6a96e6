// What the operations of experts mean, as plain loops like those of reference.h: the router's decision, rows that go to
// an expert and come back, the gate with limits.
#pragma once

#include "kernels/reference.h"

namespace layerscope::reference {

/// out = (up + 1) * gate * sigmoid(alpha * gate) with gate <= limit and -limit <= up <= limit.
/// (Agarwal et al. 2025, arXiv:2508.10925)
template <class T>
void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up, const MutableRows& out) noexcept {
  const T bound = static_cast<T>(limit);
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t j = 0; j < out.width; ++j) {
      const T g = std::min(load<T>(gate, row, j), bound);
      const T u = std::clamp(load<T>(up, row, j), -bound, bound);
      store(out, row, j, (u + T(1)) * (g / (T(1) + std::exp(-static_cast<T>(alpha) * g))));
    }
  }
}

/// rows[i] *= factors[i]
template <class T>
void scale_rows(std::span<const float> factors, const MutableRows& rows) noexcept {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const T factor = static_cast<T>(factors[static_cast<std::size_t>(row)]);
    for (std::int64_t j = 0; j < rows.width; ++j) store(rows, row, j, factor * load<T>(rows.view(), row, j));
  }
}

/// out[i] = in[indices[i]]
template <class T>
void take(const RowsView& in, std::span<const std::int32_t> indices, const MutableRows& out) noexcept {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::int64_t from = indices[static_cast<std::size_t>(row)];
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, load<T>(in, from, j));
  }
}

/// x[indices[i]] += factors[i] * t[i]
template <class T>
void add_at(std::span<const std::int32_t> indices, std::span<const float> factors, const RowsView& t,
            const MutableRows& x) noexcept {
  for (std::int64_t row = 0; row < t.rows; ++row) {
    const std::int64_t to = indices[static_cast<std::size_t>(row)];
    const T factor = static_cast<T>(factors[static_cast<std::size_t>(row)]);
    for (std::int64_t j = 0; j < t.width; ++j) {
      store(x, to, j, load<T>(x.view(), to, j) + factor * load<T>(t, row, j));
    }
  }
}

/// One router's choice for one row: experts by falling value, equal values by rising id. NaN counts as the least, so
/// that ids stay in range whatever the scores.
template <class T>
class Choice {
 public:
  /// `values` is a row of what the rule chooses by, to which `r.correction` is added.
  Choice(const RoutingArguments& r, const RowsView& values, std::int64_t row)
      : r_(r), values_(values), row_(row), group_size_(values.width / r.groups) {
    if (!limited()) return;
    for (std::int64_t i = 0; i < r_.chosen_groups; ++i) {
      last_group_ = next_below(last_group_, r_.groups, [this](std::int64_t g) { return group_value(g); });
    }
  }

  /// The expert that follows the one found before.
  std::int64_t next() noexcept {
    std::int64_t group = -1;
    bool allowed = true;
    last_ = next_below(last_, values_.width, [&, this](std::int64_t expert) {
      if (limited() && expert / group_size_ != group) {
        group = expert / group_size_;
        allowed = !last_group_.precedes({group_value(group), group});
      }
      return allowed ? value(expert) : kLeast;
    });
    return last_.id;
  }

 private:
  static constexpr T kLeast = -std::numeric_limits<T>::infinity();
  struct Candidate {
    T value = std::numeric_limits<T>::infinity();
    std::int64_t id = -1;
    [[nodiscard]] bool precedes(const Candidate& other) const noexcept {
      return value > other.value || (value == other.value && id < other.id);
    }
  };

  [[nodiscard]] bool limited() const noexcept { return r_.chosen_groups < r_.groups; }
  [[nodiscard]] T value(std::int64_t expert) const noexcept {
    const T correction = r_.correction != nullptr ? static_cast<T>(r_.correction[expert]) : T(0);
    const T sum = load<T>(values_, row_, expert) + correction;
    return std::isnan(sum) ? kLeast : sum;
  }
  /// The sum of a group's two greatest values.
  [[nodiscard]] T group_value(std::int64_t group) const noexcept {
    T first = kLeast, second = group_size_ > 1 ? kLeast : T(0);
    for (std::int64_t expert = group * group_size_; expert < (group + 1) * group_size_; ++expert) {
      const T x = value(expert);
      if (x > first) {
        second = group_size_ > 1 ? first : second;
        first = x;
      } else if (x > second && group_size_ > 1) {
        second = x;
      }
    }
    return first + second;
  }
  /// The first of all that `last` precedes.
  template <class Value>
  [[nodiscard]] static Candidate next_below(const Candidate& last, std::int64_t count, const Value& value_of) noexcept {
    Candidate best{kLeast, count};
    for (std::int64_t id = 0; id < count; ++id) {
      const Candidate candidate{value_of(id), id};
      if (last.precedes(candidate) && candidate.precedes(best)) best = candidate;
    }
    return best;
  }

  const RoutingArguments& r_;
  RowsView values_;
  std::int64_t row_, group_size_;
  Candidate last_, last_group_;
};

/// Softmax of one row in place: of all elements, or with `ids` of those, and 0 elsewhere.
template <class T>
void softmax_row(const MutableRows& rows, std::int64_t row, std::span<const std::int32_t> ids = {}) noexcept {
  const auto is_in = [ids](std::int64_t j) { return ids.empty() || std::find(ids.begin(), ids.end(), j) != ids.end(); };
  T highest = -std::numeric_limits<T>::infinity(), sum = 0;
  for (std::int64_t j = 0; j < rows.width; ++j) {
    if (is_in(j)) highest = std::max(highest, load<T>(rows.view(), row, j));
  }
  for (std::int64_t j = 0; j < rows.width; ++j) {
    const T exponential = is_in(j) ? std::exp(load<T>(rows.view(), row, j) - highest) : T(0);
    store(rows, row, j, exponential);
    sum += exponential;
  }
  for (std::int64_t j = 0; j < rows.width; ++j) store(rows, row, j, load<T>(rows.view(), row, j) / sum);
}

/// The decision of Router's rule for every row: probabilities replace the scores. kSoftmaxThenTop: Fedus et al. 2022;
/// kTopThenSoftmax: Shazeer et al. 2017; kSigmoidGroups: Liu et al. 2024 (arXiv:2412.19437), where experts outside the
/// chosen groups go last, as transformers 5 has it (4.57 lets them win over negative values).
template <class T>
void route(const RoutingArguments& r, const MutableRows& scores, std::span<std::int32_t> ids,
           std::span<float> weights) noexcept {
  using Rule = RoutingArguments::Rule;
  const auto chosen = static_cast<std::size_t>(r.chosen);
  for (std::int64_t row = 0; row < scores.rows; ++row) {
    const auto row_ids = ids.subspan(static_cast<std::size_t>(row) * chosen, chosen);
    const auto row_weights = weights.subspan(static_cast<std::size_t>(row) * chosen, chosen);
    if (r.rule == Rule::kSoftmaxThenTop) softmax_row<T>(scores, row);
    if (r.rule == Rule::kSigmoidGroups) {
      for (std::int64_t j = 0; j < scores.width; ++j) {
        store(scores, row, j, activate(Activation::kSigmoid, load<T>(scores.view(), row, j)));
      }
    }
    Choice<T> choice(r, scores.view(), row);
    for (std::int32_t& id : row_ids) id = static_cast<std::int32_t>(choice.next());

    if (r.rule == Rule::kTopThenSoftmax) softmax_row<T>(scores, row, row_ids);
    T sum = r.rule == Rule::kSigmoidGroups ? T(1e-20) : T(0);
    for (const std::int32_t id : row_ids) sum += load<T>(scores.view(), row, id);
    for (std::size_t i = 0; i < chosen; ++i) {
      const T weight = load<T>(scores.view(), row, row_ids[i]);
      row_weights[i] = static_cast<float>(static_cast<T>(r.scale) * (r.renormalise ? weight / sum : weight));
    }
  }
}

}  // namespace layerscope::reference
