#include "analysis/logistic_stack.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/try.h"

namespace layerscope {
namespace {

/// e^x for x <= 0, to about 1e-7 of itself; 0 below -87. (The polynomial of Cephes' expf, Moshier 1992.)
inline float exp_of_nonpositive(float x) noexcept {
  constexpr float kRounding = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = std::max(x, -87.0F);
  const float n = (clamped * 1.44269504F + kRounding) - kRounding;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float power = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  const float result = (p * r * r + r + 1.0F) * power;
  return x < -87.0F ? 0.0F : result;
}

constexpr float kNever = -1e30F;  // the score of a class that has no rows

}  // namespace

Result<LogisticStack> LogisticStack::pack(const ProbeRows& rows, std::span<const StackedModel> models) {
  LogisticStack stack;
  stack.models_.assign(models.begin(), models.end());
  stack.first_.push_back(0);
  for (const StackedModel& each : models) stack.first_.push_back(stack.first_.back() + each.model->columns());
  const std::size_t all = stack.columns(), size = static_cast<std::size_t>(rows.columns()), width = size - 1;
  // From the models' standardised elements to those of the rows: w (x - mean) / scale + b.
  std::vector<float> weights(size * all);
  std::vector<double> intercepts;
  for (std::size_t m = 0; m < models.size(); ++m) {
    const LogisticModel& model = *models[m].model;
    const double* const from = models[m].weights->data();
    const std::size_t columns = model.columns();
    intercepts.assign(from + width * columns, from + size * columns);
    for (std::size_t i = 0; i < width; ++i) {
      float* const to = weights.data() + i * all + stack.first_[m];
      const double scale = model.standard.scale[i], mean = model.standard.mean[i];
      for (std::size_t k = 0; k < columns; ++k) {
        const double weight = from[i * columns + k] / scale;
        intercepts[k] -= weight * mean;
        to[k] = static_cast<float>(weight);
      }
    }
    for (std::size_t k = 0; k < columns; ++k) {
      const bool never = columns > 1 && model.class_rows[k] == 0;
      weights[width * all + stack.first_[m] + k] = never ? kNever : static_cast<float>(intercepts[k]);
    }
  }
  const MatrixView view{DType::kF32,
                        reinterpret_cast<const std::byte*>(weights.data()),
                        static_cast<std::int64_t>(all),
                        rows.columns(),
                        1,
                        static_cast<std::int64_t>(all)};
  LAYERSCOPE_ASSIGN(stack.packed_, rows.backend().pack(std::span(&view, 1), {}, Activation::kNone));
  return stack;
}

Status LogisticStack::multiply(const ProbeRows& rows, const float* x, std::int64_t count, float* scores,
                               Scratch& scratch) const {
  const auto outputs = static_cast<std::int64_t>(columns());
  return rows.backend().linear(
      *packed_, {DType::kF32, reinterpret_cast<const std::byte*>(x), count, rows.columns(), rows.columns()},
      {DType::kF32, reinterpret_cast<std::byte*>(scores), count, outputs, outputs}, scratch);
}

void LogisticStack::residuals(std::span<const std::int64_t> tile, Parts parts, float* scores, double* losses) const {
  const std::size_t all = columns();
  std::vector<float> told(models_.size());  // the score of the row's class below the greatest
  for (std::size_t at = 0; at < tile.size(); ++at) {
    float* const row = scores + at * all;
    const auto number = static_cast<std::size_t>(tile[at]);
    const std::uint64_t part = std::uint64_t{1} << parts[number];
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const LogisticModel& model = *models_[m].model;
      if ((model.parts & part) == 0) continue;
      float* const z = row + first_[m];
      const std::size_t columns = first_[m + 1] - first_[m];
      const std::int32_t label = model.labels[number];
      if (columns == 1) {
        const float signed_score = label == 1 ? z[0] : -z[0];
        told[m] = signed_score;
        z[0] = -std::abs(signed_score);
        continue;
      }
      float most = z[0];
      for (std::size_t k = 1; k < columns; ++k) most = std::max(most, z[k]);
      for (std::size_t k = 0; k < columns; ++k) z[k] -= most;
      told[m] = z[label];
    }
    for (std::size_t k = 0; k < all; ++k) row[k] = exp_of_nonpositive(row[k]);
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const LogisticModel& model = *models_[m].model;
      float* const z = row + first_[m];
      const std::size_t columns = first_[m + 1] - first_[m];
      if ((model.parts & part) == 0) {
        std::fill_n(z, columns, 0.0F);
        continue;
      }
      const std::int32_t label = model.labels[number];
      if (columns == 1) {
        // e = e^-|s|: the probability of the other class is e / (1 + e) or 1 / (1 + e).
        const float e = z[0], other = (told[m] > 0 ? e : 1.0F) / (1 + e);
        losses[m] += static_cast<double>(std::log1p(e) + std::max(-told[m], 0.0F));
        z[0] = label == 1 ? -other : other;
        continue;
      }
      float sum = 0;
      for (std::size_t k = 0; k < columns; ++k) sum += z[k];
      const float factor = 1 / sum;
      for (std::size_t k = 0; k < columns; ++k) z[k] *= factor;
      z[label] -= 1;
      losses[m] += static_cast<double>(std::log(sum) - told[m]);
    }
  }
}

void LogisticStack::probabilities(std::span<const std::int64_t> tile, Parts parts,
                                  std::span<const std::uint64_t> chosen, float* scores) const {
  for (std::size_t at = 0; at < tile.size(); ++at) {
    const std::uint64_t part = std::uint64_t{1} << parts[static_cast<std::size_t>(tile[at])];
    for (std::size_t m = 0; m < models_.size(); ++m) {
      if ((chosen[m] & part) == 0) continue;
      float* const z = scores + at * columns() + first_[m];
      const std::size_t width = first_[m + 1] - first_[m];
      if (width == 1) {
        const float e = exp_of_nonpositive(-std::abs(z[0]));
        z[0] = (z[0] > 0 ? 1.0F : e) / (1 + e);
        continue;
      }
      const float most = *std::max_element(z, z + width);
      float sum = 0;
      for (std::size_t k = 0; k < width; ++k) sum += z[k] = exp_of_nonpositive(z[k] - most);
      for (std::size_t k = 0; k < width; ++k) z[k] /= sum;
    }
  }
}

}  // namespace layerscope
