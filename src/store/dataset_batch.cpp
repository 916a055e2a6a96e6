// One record batch: offsets made anew, values copied from the shards.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/try.h"
#include "store/dataset_columns.h"
#include "store/tensor_copy.h"

namespace layerscope {
namespace {

using Kind = DatasetColumn::Kind;
using Put = std::function<Status(std::span<const std::byte>)>;

/// Elements of one unit of a column's tensor.
std::uint64_t unit_elements(const DatasetColumn& column) {
  return column.kind == Kind::kVector || column.kind == Kind::kVectors ? static_cast<std::uint64_t>(column.width) : 1;
}
DType out_dtype(const DatasetColumn& column) { return column.dtype == DType::kBF16 ? DType::kF32 : column.dtype; }

/// Units of rows `first` ... `first + count` in the column's tensor: where they begin and how many.
struct Units {
  std::int64_t first = 0, count = 0;
};
Units units_of(const DatasetColumn& column, const RowShard& shard, std::int64_t first, std::int64_t count) {
  if (!column.offsets) return {first, count};
  const std::vector<std::int64_t>& offsets = shard.offsets[*column.offsets];
  if (offsets.empty()) return {};  // only of ids: damage otherwise
  const std::int64_t begin = offsets[static_cast<std::size_t>(first)];
  return {begin, offsets[static_cast<std::size_t>(first + count)] - begin};
}

Error damage(const RowShard& shard, const std::string& tensor, const std::string& what) {
  return {ErrorCode::kDamage,
          shard.reader.file().path() + ": tensor \"" + tensor + "\" " + what + "; layerscope verify tells more"};
}

bool may_be_missing(const DatasetColumn& column) {
  return column.kind == Kind::kId || column.name.ends_with("type_ids");
}

/// A shard's tensor is as the manifest says, and has offsets where the column needs them.
Status check_tensor(const DatasetColumn& column, const RowShard& shard) {
  const ShardTensor* const tensor = shard.reader.find(column.name);
  if (tensor == nullptr && may_be_missing(column)) return {};
  const bool wide = column.kind == Kind::kVector || column.kind == Kind::kVectors;
  const auto has_offsets = [&](const std::optional<std::size_t>& offsets) {
    return !offsets || !shard.offsets[*offsets].empty();
  };
  const bool sound = tensor != nullptr && tensor->dtype == column.dtype && tensor->shape.rank() == (wide ? 2U : 1U) &&
                     (!wide || tensor->shape[1] == column.width) && has_offsets(column.offsets) &&
                     has_offsets(column.tokens) &&
                     (!column.offsets || shard.offsets[*column.offsets].back() <= tensor->shape[0]);
  return sound ? Status() : damage(shard, column.name, "is not as the manifest and the offsets say");
}

struct BodyBuffer {
  std::uint64_t bytes = 0;
  std::string own;                        ///< these bytes, or
  const DatasetColumn* copied = nullptr;  ///< the values of a column's tensor
};

class BatchBuilder {
 public:
  BatchBuilder(std::span<const RowSpan> spans) : spans_(spans) {
    for (const RowSpan& span : spans_) batch.rows += span.count;
  }

  Status add(const DatasetColumn& column, const TextOfRow& text_of) {
    if (column.kind == Kind::kText) {
      LAYERSCOPE_ASSIGN(Texts texts, row_texts(text_of));
      return add_texts(column, std::move(texts));
    }
    for (const RowSpan& span : spans_) LAYERSCOPE_TRY(check_tensor(column, *span.shard));
    switch (column.kind) {
      case Kind::kNumber: break;
      case Kind::kText: break;
      case Kind::kId: {
        LAYERSCOPE_ASSIGN(Texts texts, row_ids(column));
        return add_texts(column, std::move(texts));
      }
      case Kind::kNumbers: LAYERSCOPE_TRY(add_list(column, row_units(column))); break;
      case Kind::kVector: add_fixed_list(batch.rows); break;
      case Kind::kVectors:
        LAYERSCOPE_TRY(add_list(column, row_units(column)));
        add_fixed_list(total_units(column));
        break;
      case Kind::kProbs: LAYERSCOPE_TRY(add_probabilities(column)); break;
    }
    const std::uint64_t elements = static_cast<std::uint64_t>(total_units(column)) * unit_elements(column);
    batch.nodes.push_back({static_cast<std::int64_t>(elements), 0});
    add_buffer({});
    add_buffer({.bytes = elements * dtype_size(out_dtype(column)), .own = {}, .copied = &column});
    return {};
  }

  Status write(const Put& put) const {
    const std::string message = arrow_batch_message(batch);
    LAYERSCOPE_TRY(put(std::as_bytes(std::span(message))));
    for (const BodyBuffer& buffer : buffers_) {
      if (buffer.copied == nullptr) {
        LAYERSCOPE_TRY(put(std::as_bytes(std::span(buffer.own))));
      } else {
        LAYERSCOPE_TRY(copy(*buffer.copied, put));
      }
      const std::vector<std::byte> padding(static_cast<std::size_t>(arrow_padded(buffer.bytes) - buffer.bytes));
      LAYERSCOPE_TRY(put(padding));
    }
    return {};
  }

  ArrowBatch batch;

 private:
  void add_buffer(BodyBuffer buffer) {
    batch.buffers.push_back(buffer.bytes);
    buffers_.push_back(std::move(buffer));
  }
  void add_own(std::string bytes) { add_buffer({.bytes = bytes.size(), .own = std::move(bytes)}); }

  /// Units of every row.
  [[nodiscard]] std::vector<std::int64_t> row_units(const DatasetColumn& column) const {
    std::vector<std::int64_t> units;
    for (const RowSpan& span : spans_) {
      for (std::int64_t row = span.first; row < span.first + span.count; ++row)
        units.push_back(units_of(column, *span.shard, row, 1).count);
    }
    return units;
  }
  [[nodiscard]] std::int64_t total_units(const DatasetColumn& column) const {
    std::int64_t total = 0;
    for (const RowSpan& span : spans_) total += units_of(column, *span.shard, span.first, span.count).count;
    return total;
  }

  void add_fixed_list(std::int64_t length) {
    batch.nodes.push_back({length, 0});
    add_buffer({});
  }

  Status add_list(const DatasetColumn& column, const std::vector<std::int64_t>& lengths) {
    batch.nodes.push_back({static_cast<std::int64_t>(lengths.size()), 0});
    add_buffer({});
    return add_offsets(column, lengths);
  }

  Status add_offsets(const DatasetColumn& column, const std::vector<std::int64_t>& lengths) {
    std::vector<std::int32_t> offsets{0};
    for (const std::int64_t length : lengths) {
      if (length > std::numeric_limits<std::int32_t>::max() - offsets.back()) {
        return Error{
            ErrorCode::kResource,
            "column " + column.name + ": row " + std::to_string(spans_.front().number(spans_.front().first)) +
                " and those after it have more items than an Arrow list can count, 2147483647; leave this site "
                "out of the run"};
      }
      offsets.push_back(offsets.back() + static_cast<std::int32_t>(length));
    }
    std::string bytes(offsets.size() * sizeof(std::int32_t), '\0');
    std::memcpy(bytes.data(), offsets.data(), bytes.size());
    add_own(std::move(bytes));
    return {};
  }

  /// Heads of a row, the queries of a head, the keys of a query.
  Status add_probabilities(const DatasetColumn& column) {
    add_fixed_list(batch.rows);
    std::vector<std::int64_t> queries, keys;
    for (const RowSpan& span : spans_) {
      const std::vector<std::int64_t>& tokens = span.shard->offsets[*column.tokens];
      for (std::int64_t row = span.first; row < span.first + span.count; ++row) {
        const auto at = static_cast<std::size_t>(row);
        const std::int64_t attending = tokens[at + 1] - tokens[at];
        const std::int64_t values = units_of(column, *span.shard, row, 1).count;
        if (attending < 1 || attending > values / column.heads || values % (column.heads * attending) != 0) {
          return damage(*span.shard, column.name,
                        "is not [head, query, key] in row " + std::to_string(span.number(row)));
        }
        const std::int64_t rows = column.heads * attending;
        queries.insert(queries.end(), static_cast<std::size_t>(column.heads), attending);
        keys.insert(keys.end(), static_cast<std::size_t>(rows), values / rows);
      }
    }
    LAYERSCOPE_TRY(add_list(column, queries));
    return add_list(column, keys);
  }

  /// A column of text, row by row, some of them null.
  struct Texts {
    std::string validity, text;
    std::vector<std::int64_t> lengths;
    std::int64_t nulls = 0;
    void add(const std::optional<std::string>& value) {
      const std::size_t row = lengths.size();
      if (row % 8 == 0) validity += '\0';
      if (value) {
        validity.back() = static_cast<char>(validity.back() | 1 << row % 8);
        text += *value;
      }
      nulls += value ? 0 : 1;
      lengths.push_back(value ? static_cast<std::int64_t>(value->size()) : 0);
    }
  };
  Status add_texts(const DatasetColumn& column, Texts texts) {
    batch.nodes.push_back({batch.rows, texts.nulls});
    add_own(std::move(texts.validity));
    LAYERSCOPE_TRY(add_offsets(column, texts.lengths));
    add_own(std::move(texts.text));
    return {};
  }

  Result<Texts> row_texts(const TextOfRow& text_of) const {
    Texts texts;
    for (const RowSpan& span : spans_) {
      for (std::int64_t row = span.first; row < span.first + span.count; ++row) {
        LAYERSCOPE_ASSIGN(const std::optional<std::string> text, text_of(span.number(row)));
        texts.add(text);
      }
    }
    return texts;
  }

  /// Strings as they are, integers as their digits, null where a row has no id.
  Result<Texts> row_ids(const DatasetColumn& column) const {
    Texts texts;
    for (const RowSpan& span : spans_) {
      const Units units = units_of(column, *span.shard, span.first, span.count);
      std::string ids;
      if (const ShardTensor* const tensor = span.shard->reader.find(column.name); tensor != nullptr) {
        LAYERSCOPE_TRY(copy_units(span.shard->reader, *tensor, units.first, units.count, column.dtype,
                                  [&](std::span<const std::byte> piece) -> Status {
                                    ids.append(reinterpret_cast<const char*>(piece.data()), piece.size());
                                    return {};
                                  }));
      }
      for (std::int64_t row = span.first; row < span.first + span.count; ++row) {
        const Units own = units_of(column, *span.shard, row, 1);
        const std::string id =
            ids.substr(static_cast<std::size_t>(own.first - units.first), static_cast<std::size_t>(own.count));
        if (id.empty()) {
          texts.add(std::nullopt);
          continue;
        }
        LAYERSCOPE_ASSIGN(const Json value, parse_json(id, span.shard->reader.file().path(), ErrorCode::kDamage));
        texts.add(value.string() != nullptr ? *value.string() : id);
      }
    }
    return texts;
  }

  Status copy(const DatasetColumn& column, const Put& put) const {
    for (const RowSpan& span : spans_) {
      const Units units = units_of(column, *span.shard, span.first, span.count);
      const ShardTensor* const tensor = span.shard->reader.find(column.name);
      if (tensor == nullptr) {
        LAYERSCOPE_TRY(put(std::vector<std::byte>(static_cast<std::size_t>(units.count))));
      } else {
        LAYERSCOPE_TRY(copy_units(span.shard->reader, *tensor, units.first, units.count, out_dtype(column), put));
      }
    }
    return {};
  }

  std::span<const RowSpan> spans_;
  std::vector<BodyBuffer> buffers_;
};

}  // namespace

std::uint64_t row_bytes(const DatasetColumns& columns, const RowShard& shard, std::int64_t row) {
  std::uint64_t bytes = 0;
  for (const DatasetColumn& column : columns.columns) {
    bytes += static_cast<std::uint64_t>(units_of(column, shard, row, 1).count) * unit_elements(column) *
             dtype_size(out_dtype(column));
  }
  return bytes;
}

Status write_batch(const DatasetColumns& columns, std::span<const RowSpan> spans, const Put& put) {
  BatchBuilder builder(spans);
  for (const DatasetColumn& column : columns.columns) LAYERSCOPE_TRY(builder.add(column, columns.text_of));
  return builder.write(put);
}

}  // namespace layerscope
