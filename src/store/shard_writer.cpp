#include "store/shard_writer.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {

void add_row(ShardCounts& counts, const ShardSchema& schema, const PlannedRow& row) {
  ++counts.rows;
  counts.has_ids = counts.has_ids || !row.id.empty();
  counts.id_bytes += static_cast<std::int64_t>(row.id.size());
  counts.output_tokens += static_cast<std::int64_t>(row.output_ids.size());
  for (const StackId stack : schema.stacks()) {
    const auto index = static_cast<std::size_t>(stack);
    const RowTokens& tokens = row.stacks[index];
    counts.tokens[index] += static_cast<std::int64_t>(tokens.ids.size());
    counts.picks[index] += static_cast<std::int64_t>(tokens.picks.size());
    const bool types =
        std::any_of(tokens.type_ids.begin(), tokens.type_ids.end(), [](std::uint8_t type) { return type != 0; });
    counts.has_types[index] = counts.has_types[index] || types;
  }
  counts.elements.resize(schema.sites.size());
  for (std::size_t site = 0; site < schema.sites.size(); ++site) counts.elements[site] += row.elements[site];
}

ShardWriter::ShardWriter(File file, ShardLayout layout, ShardCounts counts, const ShardSchema& schema)
    : file_(std::move(file)), layout_(std::move(layout)), counts_(std::move(counts)) {
  for (const StoredSite& site : schema.sites) {
    site_positions_.push_back(layout_.position(site.name));
    site_sizes_.push_back(dtype_size(site.dtype));
  }
}

Result<ShardWriter> ShardWriter::create(const std::string& path, const ShardSchema& schema, const ShardCounts& counts) {
  LAYERSCOPE_ASSIGN(File file, File::create(path));
  ShardLayout layout(shard_tensors(schema, counts));
  LAYERSCOPE_TRY(file.truncate(layout.file_bytes()));
  LAYERSCOPE_TRY(file.write_at(0, std::as_bytes(std::span(layout.header()))));
  return ShardWriter(std::move(file), std::move(layout), counts, schema);
}

Status ShardWriter::write_values(std::size_t site, std::int64_t first, std::span<const std::byte> values) const {
  return file_.write_at(site_positions_[site] + static_cast<std::uint64_t>(first) * site_sizes_[site], values);
}

Result<std::string> ShardWriter::finish() const {
  LAYERSCOPE_ASSIGN(std::string hash, hash_open_file(file_, layout_.file_bytes()));
  LAYERSCOPE_TRY(file_.sync());
  return hash;
}

ShardDraft::ShardDraft(const ShardSchema& schema, const std::string& folder, std::size_t buffer_bytes)
    : schema_(&schema),
      rows_(folder, buffer_bytes),
      id_(folder, buffer_bytes),
      id_offsets_(folder, buffer_bytes),
      prompt_tokens_(folder, buffer_bytes),
      output_ids_(folder, buffer_bytes),
      output_offsets_(folder, buffer_bytes) {
  const auto stream = [&] { return SpoolStream(folder, buffer_bytes); };
  for (std::size_t count = schema.stacks().size(); count > 0; --count) {
    stacks_.push_back({stream(), stream(), stream(), stream(), stream(), stream()});
  }
  for (std::size_t count = schema.sites.size(); count > 0; --count) site_offsets_.push_back(stream());
  counts_.elements.resize(schema.sites.size());
}

Status ShardDraft::add_stack(Stack& stack, std::size_t index, const RowTokens& tokens) {
  LAYERSCOPE_TRY(stack.offsets.append_value(counts_.tokens[index]));
  LAYERSCOPE_TRY(stack.ids.append(std::as_bytes(tokens.ids)));
  LAYERSCOPE_TRY(stack.special.append(std::as_bytes(tokens.special)));
  if (tokens.type_ids.empty()) {
    const std::vector<std::uint8_t> zeros(tokens.ids.size());
    LAYERSCOPE_TRY(stack.type_ids.append(std::as_bytes(std::span(zeros))));
  } else {
    LAYERSCOPE_TRY(stack.type_ids.append(std::as_bytes(tokens.type_ids)));
  }
  LAYERSCOPE_TRY(stack.pick_offsets.append_value(counts_.picks[index]));
  return stack.picks.append(std::as_bytes(std::span(tokens.picks)));
}

Status ShardDraft::add(const PlannedRow& row) {
  LAYERSCOPE_TRY(rows_.append_value(row.number));
  LAYERSCOPE_TRY(id_offsets_.append_value(counts_.id_bytes));
  LAYERSCOPE_TRY(id_.append(std::as_bytes(std::span(row.id))));
  if (schema_->generated) {
    LAYERSCOPE_TRY(prompt_tokens_.append_value(row.prompt_tokens));
    LAYERSCOPE_TRY(output_offsets_.append_value(counts_.output_tokens));
    LAYERSCOPE_TRY(output_ids_.append(std::as_bytes(row.output_ids)));
  }
  const std::vector<StackId> ids = schema_->stacks();
  for (std::size_t index = 0; index < ids.size(); ++index) {
    const auto stack = static_cast<std::size_t>(ids[index]);
    LAYERSCOPE_TRY(add_stack(stacks_[index], stack, row.stacks[stack]));
  }
  for (std::size_t site = 0; site < schema_->sites.size(); ++site) {
    if (schema_->sites[site].unit != StoredUnit::kProbs) continue;
    LAYERSCOPE_TRY(site_offsets_[site].append_value(counts_.elements[site]));
  }
  add_row(counts_, *schema_, row);
  return {};
}

Result<ShardWriter> ShardDraft::write_to(const std::string& path) const {
  LAYERSCOPE_ASSIGN(ShardWriter writer, ShardWriter::create(path, *schema_, counts_));
  const auto place = [&](const std::string& name, const SpoolStream& stream) -> Status {
    return stream.copy_all(writer.file(), writer.layout().position(name));
  };
  // Offsets have one value more than there are rows: the total.
  const auto place_offsets = [&](const std::string& name, const SpoolStream& stream, std::int64_t total) -> Status {
    LAYERSCOPE_TRY(place(name, stream));
    return writer.file().write_at(writer.layout().position(name) + stream.size(),
                                  std::as_bytes(std::span<const std::int64_t, 1>(&total, 1)));
  };
  LAYERSCOPE_TRY(place("row", rows_));
  const std::vector<StackId> ids = schema_->stacks();
  for (std::size_t index = 0; index < ids.size(); ++index) {
    const auto stack = static_cast<std::size_t>(ids[index]);
    const std::string prefix = schema_->prefix(ids[index]);
    LAYERSCOPE_TRY(place_offsets(prefix + "offsets", stacks_[index].offsets, counts_.tokens[stack]));
    LAYERSCOPE_TRY(place(prefix + "input_ids", stacks_[index].ids));
    LAYERSCOPE_TRY(place(prefix + "special", stacks_[index].special));
    if (counts_.has_types[stack]) LAYERSCOPE_TRY(place(prefix + "type_ids", stacks_[index].type_ids));
    if (schema_->picks(ids[index])) {
      LAYERSCOPE_TRY(place_offsets(prefix + "pos_offsets", stacks_[index].pick_offsets, counts_.picks[stack]));
      LAYERSCOPE_TRY(place(prefix + "pos", stacks_[index].picks));
    }
  }
  if (counts_.has_ids) {
    LAYERSCOPE_TRY(place("id", id_));
    LAYERSCOPE_TRY(place_offsets("id_offsets", id_offsets_, counts_.id_bytes));
  }
  if (schema_->generated) {
    LAYERSCOPE_TRY(place("prompt_len", prompt_tokens_));
    LAYERSCOPE_TRY(place("output_ids", output_ids_));
    LAYERSCOPE_TRY(place_offsets("output_offsets", output_offsets_, counts_.output_tokens));
  }
  for (std::size_t site = 0; site < schema_->sites.size(); ++site) {
    if (schema_->sites[site].unit != StoredUnit::kProbs) continue;
    LAYERSCOPE_TRY(place_offsets(schema_->sites[site].name + ".offsets", site_offsets_[site], counts_.elements[site]));
  }
  return writer;
}

}  // namespace layerscope
