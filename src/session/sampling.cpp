#include "session/sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/hash.h"

namespace layerscope {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

void ban(std::span<float> scores, std::int32_t id) {
  if (static_cast<std::size_t>(id) < scores.size()) scores[static_cast<std::size_t>(id)] = kBanned;
}

void ban_all(std::span<float> scores, std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) ban(scores, id);
}

/// Scores of these tokens move away from being chosen (penalty above 1), each once.
void penalise(std::span<float> scores, std::span<const std::int32_t> ids, double penalty) {
  if (penalty == 1) return;
  const auto factor = static_cast<float>(penalty);
  std::vector<std::int32_t> unique(ids.begin(), ids.end());
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  for (const std::int32_t id : unique) {
    if (static_cast<std::size_t>(id) >= scores.size()) continue;
    float& score = scores[static_cast<std::size_t>(id)];
    score = score < 0 ? score * factor : score / factor;
  }
}

/// Bans what would end an n-gram that `seen` holds already.
void ban_ngrams(std::span<float> scores, std::int64_t size, std::span<const std::int32_t> seen,
                std::span<const std::int32_t> ids) {
  if (size <= 0 || static_cast<std::uint64_t>(size) > seen.size() || static_cast<std::uint64_t>(size) > ids.size() + 1)
    return;
  const auto before = static_cast<std::size_t>(size) - 1;
  const auto last = ids.last(before);
  for (std::size_t begin = 0; begin + before < seen.size(); ++begin) {
    if (std::equal(last.begin(), last.end(), seen.begin() + static_cast<std::ptrdiff_t>(begin)))
      ban(scores, seen[begin + before]);
  }
}

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

void ban_words(std::span<float> scores, const GenerationConfig& config, std::span<const std::int32_t> ids) {
  for (const std::vector<std::int32_t>& word : config.bad_words_ids) {
    const std::size_t before = word.size() - 1;
    if (before > ids.size() || (before == 0 && contains(config.eos_token_id, word.front()))) continue;
    const auto last = ids.last(before);
    if (std::equal(last.begin(), last.end(), word.begin())) ban(scores, word.back());
  }
}

/// Probabilities in float64; banned tokens have 0.
std::vector<double> probabilities(std::span<const float> scores) {
  const float highest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> p(scores.size());
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    p[i] = scores[i] == kBanned ? 0 : std::exp(static_cast<double>(scores[i]) - static_cast<double>(highest));
    sum += p[i];
  }
  for (double& value : p) value /= sum;
  return p;
}

/// -sum p log p.
double entropy(const std::vector<double>& p) {
  double sum = 0;
  for (const double value : p) sum -= value > 0 ? value * std::log(value) : 0;
  return sum;
}

void keep_top_k(std::span<float> scores, std::int64_t k) {
  if (k <= 0 || static_cast<std::uint64_t>(k) >= scores.size()) return;
  std::vector<float> sorted(scores.begin(), scores.end());
  const auto least = sorted.begin() + (k - 1);
  std::nth_element(sorted.begin(), least, sorted.end(), std::greater<>());
  for (float& score : scores) {
    if (score < *least) score = kBanned;
  }
}

/// Keeps tokens from the likeliest on until those above one hold `mass`; the likeliest stays in any case.
void keep_top_p(std::span<float> scores, double mass) {
  if (mass >= 1) return;
  const std::vector<double> p = probabilities(scores);
  std::vector<std::uint32_t> heap(scores.size());
  std::iota(heap.begin(), heap.end(), 0U);
  const auto later = [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a > b;
  };
  std::make_heap(heap.begin(), heap.end(), later);
  std::vector<float> kept(scores.size(), kBanned);
  double above = 0;
  auto end = heap.end();
  do {
    const std::uint32_t likeliest = heap.front();
    kept[likeliest] = scores[likeliest];
    above += p[likeliest];
    std::pop_heap(heap.begin(), end, later);
    --end;
  } while (end != heap.begin() && above < mass);
  std::copy(kept.begin(), kept.end(), scores.begin());
}

/// Bans tokens below a probability, but for those with the highest score.
void keep_above(std::span<float> scores, const std::vector<double>& p, double least) {
  const float highest = *std::max_element(scores.begin(), scores.end());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (p[i] < least && scores[i] < highest) scores[i] = kBanned;
  }
}

/// Keeps the tokens whose surprise is nearest to the expected one, up to `mass`. (Meister et al. 2023)
void keep_typical(std::span<float> scores, double mass) {
  if (mass >= 1) return;
  const std::vector<double> p = probabilities(scores);
  const double expected = entropy(p);
  std::vector<double> distance(p.size());
  for (std::size_t i = 0; i < p.size(); ++i)
    distance[i] = p[i] > 0 ? std::abs(-std::log(p[i]) - expected) : std::numeric_limits<double>::infinity();
  std::vector<std::uint32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return distance[a] < distance[b]; });
  double sum = 0;
  std::size_t last = 0;
  for (; last + 1 < order.size(); ++last) {
    sum += p[order[last]];
    if (sum >= mass) break;
  }
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (distance[i] > distance[order[last]]) scores[i] = kBanned;
  }
}

}  // namespace

void TokenSampler::force(std::span<float> scores, std::span<const std::int32_t> ids) const {
  std::fill(scores.begin(), scores.end(), kBanned);
  for (const std::int32_t id : ids) scores[static_cast<std::size_t>(id)] = 0;
}

void TokenSampler::process(std::span<float> scores, const SampledRow& row) const {
  const auto length = static_cast<std::int64_t>(row.ids.size());
  penalise(scores, row.source, 1 / config_.encoder_repetition_penalty);
  penalise(scores, row.ids, config_.repetition_penalty);
  ban_ngrams(scores, config_.no_repeat_ngram_size, row.ids, row.ids);
  ban_ngrams(scores, config_.encoder_no_repeat_ngram_size, row.source, row.ids);
  ban_words(scores, config_, row.ids);
  if (length < config_.min_length || length - row.prompt_tokens < config_.min_new_tokens)
    ban_all(scores, config_.eos_token_id);
  if (config_.forced_bos_token_id && length == 1) force(scores, std::span(&*config_.forced_bos_token_id, 1));
  if (!config_.forced_eos_token_id.empty() && length == row.prompt_tokens + max_new_tokens_ - 1)
    force(scores, config_.forced_eos_token_id);
  if (config_.remove_invalid_values) {
    constexpr float kMost = std::numeric_limits<float>::max();
    for (float& score : scores) score = std::isnan(score) ? 0 : std::clamp(score, -kMost, kMost);
  }
  ban_all(scores, config_.suppress_tokens);
  const bool later = row.prompt_tokens == 1 && config_.forced_bos_token_id;
  if (length == row.prompt_tokens + (later ? 1 : 0)) ban_all(scores, config_.begin_suppress_tokens);
}

void TokenSampler::warp(std::span<float> scores) const {
  if (config_.temperature != 1) {
    for (float& score : scores) score /= static_cast<float>(config_.temperature);
  }
  keep_top_k(scores, config_.top_k);
  keep_top_p(scores, config_.top_p);
  if (config_.min_p > 0) {
    const std::vector<double> p = probabilities(scores);
    keep_above(scores, p, config_.min_p * *std::max_element(p.begin(), p.end()));
  }
  keep_typical(scores, config_.typical_p);
  if (config_.epsilon_cutoff > 0 && config_.epsilon_cutoff < 1)
    keep_above(scores, probabilities(scores), config_.epsilon_cutoff);
  if (config_.eta_cutoff > 0 && config_.eta_cutoff < 1) {
    const std::vector<double> p = probabilities(scores);
    keep_above(scores, p, std::min(config_.eta_cutoff, std::sqrt(config_.eta_cutoff) * std::exp(-entropy(p))));
  }
}

std::int32_t TokenSampler::choose(std::span<float> scores, const SampledRow& row) const {
  process(scores, row);
  const auto best = std::max_element(scores.begin(), scores.end());
  const auto greedy = static_cast<std::int32_t>(best - scores.begin());
  if (config_.temperature == 0 || *best == kBanned) return greedy;
  warp(scores);
  const std::vector<double> p = probabilities(scores);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  double left = uniform_draw(seed_, row.number, static_cast<std::int64_t>(row.ids.size()) - row.prompt_tokens) * sum;
  std::int32_t chosen = greedy;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] <= 0) continue;
    chosen = static_cast<std::int32_t>(i);
    left -= p[i];
    if (left < 0) break;
  }
  return chosen;
}

double uniform_draw(std::uint64_t seed, std::int64_t row, std::int64_t step) noexcept {
  const std::array<std::int64_t, 2> key = {row, step};
  return static_cast<double>(hash64(std::as_bytes(std::span(key)), seed) >> 11) * 0x1p-53;
}

}  // namespace layerscope
