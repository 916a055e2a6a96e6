#include <algorithm>
#include <cmath>

#include "diff/hypotheses.h"

namespace layerscope {
namespace {

void add(Hypotheses& out, const char* kind, const std::string& says, std::function<void(BlockSetup&)> apply) {
  out.variants.push_back({.site = "embed", .kind = kind, .says = says, .apply = std::move(apply)});
}

void suspect_positions(const BlockLab& lab, const PositionTable& positions, Hypotheses& out) {
  std::vector<RowExtent> extents(lab.rows().size());
  bool any = false;
  for (std::size_t r = 0; r < extents.size(); ++r) {
    extents[r].left = lab.rows()[r].left_padding;
    any = any || extents[r].left > 0;
  }
  if (any) {
    add(out, "positions", "positions are counted from the padding on the left", [extents](BlockSetup& setup) {
      setup.extents = extents;
      if (auto& table = setup.stack.embedding.positions; table && table->skipped_id) table->skipped_id = -1;
    });
  }
  for (const std::int64_t shift : {1, -1, 2, -2}) {
    add(out, "positions", "positions are off by " + std::to_string(shift), [shift](BlockSetup& setup) {
      if (auto& table = setup.stack.embedding.positions) table->offset += shift;
    });
  }
  if (positions.offset != 0)
    add(out, "positions", "positions begin at row 0 of their table rather than " + std::to_string(positions.offset),
        [](BlockSetup& setup) {
          auto& table = setup.stack.embedding.positions;
          if (!table) return;
          table->offset = 0;
          table->skipped_id.reset();
        });
  add(out, "positions", "position embeddings are left out",
      [](BlockSetup& setup) { setup.stack.embedding.positions.reset(); });
  add(out, "positions", "every token stands at the first position", [](BlockSetup& setup) {
    SlotValues* table = setup.change("embed.position.weight");
    if (table == nullptr || !setup.stack.embedding.positions) return;
    const auto width = table->inputs;
    const std::vector<float> first(table->values.begin() + setup.stack.embedding.positions->offset * width,
                                   table->values.begin() + (setup.stack.embedding.positions->offset + 1) * width);
    for (std::int64_t row = 0; row < table->outputs; ++row)
      std::ranges::copy(first, table->values.begin() + row * width);
  });
  if (positions.computed)
    add(out, "positions", "the sines and cosines of positions follow the other rule", [](BlockSetup& setup) {
      auto& table = setup.stack.embedding.positions;
      if (!table || !table->computed) return;
      table->computed =
          *table->computed == Sinusoid::kEndpointRates ? Sinusoid::kInterleavedRates : Sinusoid::kEndpointRates;
    });
  if (lab.base().stack.embedding.norm)
    add(out, "norm", "positions join on the other side of the embedding's norm", [](BlockSetup& setup) {
      if (auto& table = setup.stack.embedding.positions) table->behind_norm = !table->behind_norm;
    });
  if (positions.skipped_id)
    add(out, "positions", "padding ids within a row count as positions", [](BlockSetup& setup) {
      if (auto& table = setup.stack.embedding.positions) table->skipped_id = -1;
    });
}

void suspect_types(const BlockLab& lab, const Embedding& embedding, Hypotheses& out) {
  const auto all = [&](const std::string& says, std::uint8_t type) {
    std::vector<std::vector<std::uint8_t>> types;
    for (const BlockEvidence::Row& row : lab.rows()) types.emplace_back(row.ids.size(), type);
    add(out, "tokens", says, [types](BlockSetup& setup) { setup.type_ids = types; });
  };
  add(out, "tokens", "token type embeddings are left out", [](BlockSetup& setup) { setup.stack.embedding.types = 0; });
  all("all token types are 0", 0);
  if (embedding.types < 2) return;
  all("all token types are 1", 1);
  std::vector<std::vector<std::uint8_t>> types;
  for (const BlockEvidence::Row& row : lab.rows()) {
    std::vector<std::uint8_t> exchanged = row.type_ids;
    exchanged.resize(row.ids.size(), 0);
    for (std::uint8_t& type : exchanged) type = type == 0 ? 1 : 0;
    types.push_back(std::move(exchanged));
  }
  add(out, "tokens", "token types 0 and 1 are exchanged", [types](BlockSetup& setup) { setup.type_ids = types; });
}

}  // namespace

void suspect_embedding(const BlockLab& lab, Hypotheses& out) {
  if (!lab.is_embedding()) return;
  const Embedding& embedding = lab.base().stack.embedding;
  const auto width = static_cast<double>(lab.width());
  out.scalars.push_back(
      {.site = "embed",
       .kind = "scale",
       .name = "the scale of the token embeddings",
       .ours = embedding.scale,
       .tried = {1, std::sqrt(width), 1 / std::sqrt(width), 2, 0.5, 12, width, 1 / width,
                 static_cast<double>(rounded(Rounding::kBF16, static_cast<float>(std::sqrt(width))))},
       .apply = [](BlockSetup& setup, double value) { setup.stack.embedding.scale = static_cast<float>(value); }});
  if (embedding.positions) suspect_positions(lab, *embedding.positions, out);
  if (embedding.types > 0) suspect_types(lab, embedding, out);
  if (embedding.rescale)
    add(out, "scale", "token embeddings are not rescaled by the share of mask tokens",
        [](BlockSetup& setup) { setup.stack.embedding.rescale.reset(); });
  if (embedding.tasks > 0)
    add(out, "tokens", "the task's embedding is left out", [](BlockSetup& setup) { setup.stack.embedding.tasks = 0; });
  if (embedding.projection && embedding.projection->bias)
    add(out, "bias", "the embedding's projection has no bias", [](BlockSetup& setup) {
      if (auto& projection = setup.stack.embedding.projection) projection->bias = false;
    });
}

}  // namespace layerscope
