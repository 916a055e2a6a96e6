// A model without weights for tests of the bulk job: a text's bytes are its tokens, and every value is a known function
// of site, position and token.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "job/runner.h"

namespace layerscope::test {

class FakeRunner final : public RowRunner {
 public:
  struct Options {
    bool two_stacks = false;
    std::uint64_t parameters = 1000;
    std::int32_t poison = -1;            ///< a token id that makes `run` fail
    std::chrono::microseconds delay{0};  ///< every batch takes this long
  };
  static constexpr std::int64_t kWidth = 4;
  static constexpr std::int64_t kHeads = 2;
  static constexpr std::int32_t kVocabulary = 300;

  FakeRunner() : FakeRunner(Options{}) {}
  explicit FakeRunner(Options options) : options_(options) {
    info_.path = "fake";
    info_.model_type = "fake";
    info_.parameters = options.parameters;
    info_.isa = "none";
    info_.library = "none 1";
    info_.determinism = "exact";
    info_.dtype = "f32";
    info_.device = "cpu";
    info_.two_stacks = options.two_stacks;
    add_stack(StackId::kEncoder, options.two_stacks ? "enc." : "");
    if (options.two_stacks) add_stack(StackId::kDecoder, "dec.");
  }

  ModelInfo& mutable_info() { return info_; }
  [[nodiscard]] const ModelInfo& info() const noexcept override { return info_; }
  [[nodiscard]] const SiteTable& sites() const noexcept override { return sites_; }

  [[nodiscard]] Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options) const override {
    ModelRow out;
    if (row.ids) {
      out.main.ids = *row.ids;
      if (row.type_ids) out.main.type_ids = *row.type_ids;
    } else {
      if (options.add_special_tokens) out.main.ids.push_back(1);
      for (const char byte : *row.text) out.main.ids.push_back(static_cast<unsigned char>(byte));
      if (options.add_special_tokens) out.main.ids.push_back(2);
    }
    if (out.main.ids.empty()) return Error{ErrorCode::kInput, "has no tokens"};
    for (const std::int32_t id : out.main.ids) {
      if (id >= kVocabulary)
        return Error{ErrorCode::kInput, "token id " + std::to_string(id) + " is outside the vocabulary"};
      out.main.special.push_back(id == 1 || id == 2 ? 1 : 0);
    }
    if (options_.two_stacks) {
      Tokens& decoder = out.decoder.emplace();
      decoder.ids = row.decoder_ids.value_or(std::vector<std::int32_t>{0});
      decoder.special.assign(decoder.ids.size(), 0);
    }
    return out;
  }

  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const override {
    const auto add = [](Batch::Input& input, const Tokens& tokens) {
      input.ids.insert(input.ids.end(), tokens.ids.begin(), tokens.ids.end());
      input.offsets.push_back(static_cast<std::int64_t>(input.ids.size()));
    };
    add(batch.inputs[0], row.main);
    if (row.decoder) add(batch.inputs[1], *row.decoder);
    batch.rows.push_back(row_number);
    batch.tags.push_back(tag);
  }

  /// The value at a site for a token at a position.
  static float value(std::size_t site, std::int64_t position, std::int32_t token, std::int64_t column) {
    return static_cast<float>(site) * 1000.0F + static_cast<float>(token) + static_cast<float>(position % 97) / 128.0F +
           static_cast<float>(column) * 0.0078125F;
  }

  [[nodiscard]] Status run(const Batch& batch, const TapPlan& plan, Sink& sink) const override {
    ++batches_;
    if (options_.delay.count() > 0) std::this_thread::sleep_for(options_.delay);
    for (std::size_t site = 0; site < plan.stored().size(); ++site) {
      for (std::size_t sequence = 0; sequence < batch.sequences(); ++sequence) {
        if (Status status = deliver(batch, plan, sink, site, sequence); !status) return status;
      }
    }
    return {};
  }
  void enter_worker() const override {}
  [[nodiscard]] int batches() const { return batches_; }

 private:
  void add_stack(StackId stack, const std::string& prefix) {
    const auto add = [&](const std::string& name, SiteKind kind, int block, int step, std::optional<int> hf_index) {
      sites_.sites.push_back({.name = prefix + name,
                              .stack = stack,
                              .block = block,
                              .step = step,
                              .kind = kind,
                              .width = kind == SiteKind::kProbs ? 0 : kWidth,
                              .heads = kind == SiteKind::kProbs ? kHeads : 0,
                              .cross = false,
                              .hf_index = hf_index});
    };
    add("embed", SiteKind::kEmbed, -1, -1, 0);
    add("block.0.attn.probs", SiteKind::kProbs, 0, 0, std::nullopt);
    add("block.0.out", SiteKind::kBlockOut, 0, -1, 1);
    add("final", SiteKind::kFinal, -1, -1, 2);
    sites_.layers[static_cast<std::size_t>(stack)] = 2;
  }

  Status deliver(const Batch& batch, const TapPlan& plan, Sink& sink, std::size_t site, std::size_t sequence) const {
    const StoredSite& stored = plan.stored()[site];
    const Batch::Input& input = batch.inputs[static_cast<std::size_t>(stored.stack)];
    const std::int64_t begin = input.offsets[sequence];
    const std::int64_t tokens = input.offsets[sequence + 1] - begin;
    const auto token = [&](std::int64_t position) { return input.ids[static_cast<std::size_t>(begin + position)]; };
    for (std::int64_t position = 0; position < tokens; ++position) {
      if (token(position) == options_.poison) return Error{ErrorCode::kRuntime, "NaN at site " + stored.name};
    }
    std::vector<std::int32_t> positions;
    if (stored.unit == StoredUnit::kPicks) positions = plan.picks(batch.rows[sequence], tokens);
    if (stored.unit == StoredUnit::kPooled) positions = {0};
    if (stored.unit == StoredUnit::kTokens)
      for (std::int64_t position = 0; position < tokens; ++position)
        positions.push_back(static_cast<std::int32_t>(position));
    const bool probabilities = stored.unit == StoredUnit::kProbs;
    const std::int64_t rows = probabilities ? stored.heads * tokens : static_cast<std::int64_t>(positions.size());
    const std::int64_t width = probabilities ? tokens : stored.width;
    const std::int64_t stride = width + 3;
    std::vector<float> values(static_cast<std::size_t>(rows * stride));
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t position = probabilities ? row % tokens : positions[static_cast<std::size_t>(row)];
      for (std::int64_t column = 0; column < width; ++column)
        values[static_cast<std::size_t>(row * stride + column)] = value(site, position, token(position), column);
    }
    // In two pieces, the later one first: sinks must not rely on order.
    for (const auto& [from, to] : {std::pair{rows / 2, rows}, std::pair{std::int64_t{0}, rows / 2}}) {
      if (from == to) continue;
      const RowsView view{.dtype = DType::kF32,
                          .data = reinterpret_cast<const std::byte*>(values.data() + from * stride),
                          .rows = to - from,
                          .width = width,
                          .stride = stride};
      if (Status status = sink.accept(
              {.site = static_cast<int>(site), .tag = batch.tags[sequence], .first_row = from, .rows = view});
          !status)
        return status;
    }
    return {};
  }

  Options options_;
  ModelInfo info_;
  SiteTable sites_;
  mutable std::atomic<int> batches_ = 0;
};

}  // namespace layerscope::test
