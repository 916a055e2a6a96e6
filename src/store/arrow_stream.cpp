#include "store/arrow_stream.h"

#include <flatbuffers/flatbuffers.h>

namespace layerscope {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::voffset_t;
using Table = flatbuffers::Offset<flatbuffers::Table>;
using Tables = flatbuffers::Offset<flatbuffers::Vector<Table>>;

// Places of fields in their tables, members of unions and values of enumerations, as the two .fbs files have them.
enum MessageField : voffset_t { kVersion = 4, kHeaderType = 6, kHeader = 8, kBodyLength = 10 };
enum SchemaField : voffset_t { kFields = 6, kMetadata = 8 };
enum FieldField : voffset_t { kName = 4, kNullable = 6, kTypeType = 8, kType = 10, kChildren = 14 };
enum RecordBatchField : voffset_t { kLength = 4, kNodes = 6, kBuffers = 8 };
enum KeyValueField : voffset_t { kKey = 4, kValue = 6 };
enum IntField : voffset_t { kBitWidth = 4, kIsSigned = 6 };
constexpr voffset_t kPrecision = 4, kListSize = 4;  // the first fields of FloatingPoint and FixedSizeList
constexpr std::int16_t kVersion5 = 4;
enum MessageHeader : std::uint8_t { kSchemaHeader = 1, kRecordBatchHeader = 3 };
enum Type : std::uint8_t { kInt = 2, kFloatingPoint = 3, kUtf8 = 5, kList = 12, kFixedSizeList = 16 };
enum Precision : std::int16_t { kHalf = 0, kSingle = 1, kDouble = 2 };

// Structs of Message.fbs: two 64-bit integers each, little-endian as every machine that this runs on.
struct FieldNode {
  std::int64_t length, null_count;
};
struct Buffer {
  std::int64_t offset, length;
};

template <class Fill>
Table table(FlatBufferBuilder& builder, Fill fill) {
  const flatbuffers::uoffset_t start = builder.StartTable();
  fill();
  return {builder.EndTable(start)};
}

std::pair<Type, Table> number_type(FlatBufferBuilder& builder, DType dtype) {
  if (dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16) {
    const Precision precision = dtype == DType::kF64 ? kDouble : dtype == DType::kF32 ? kSingle : kHalf;
    return {kFloatingPoint, table(builder, [&] { builder.AddElement<std::int16_t>(kPrecision, precision, kHalf); })};
  }
  const bool is_signed = dtype == DType::kI64 || dtype == DType::kI32 || dtype == DType::kI16 || dtype == DType::kI8;
  return {kInt, table(builder, [&] {
            builder.AddElement<std::int32_t>(kBitWidth, static_cast<std::int32_t>(8 * dtype_size(dtype)), 0);
            builder.AddElement<std::uint8_t>(kIsSigned, is_signed ? 1 : 0, 0);
          })};
}

std::pair<Type, Table> type_of(FlatBufferBuilder& builder, const ArrowField& field) {
  const auto nothing = [] {};
  switch (field.kind) {
    case ArrowField::Kind::kNumber: break;
    case ArrowField::Kind::kText: return {kUtf8, table(builder, nothing)};
    case ArrowField::Kind::kList: return {kList, table(builder, nothing)};
    case ArrowField::Kind::kFixedList:
      return {kFixedSizeList, table(builder, [&] { builder.AddElement<std::int32_t>(kListSize, field.length, 0); })};
  }
  return number_type(builder, field.dtype);
}

Tables fields_of(FlatBufferBuilder& builder, std::span<const ArrowField> fields) {
  std::vector<Table> tables;
  for (const ArrowField& field : fields) {
    const Tables children = fields_of(builder, field.items);
    const auto [type, type_table] = type_of(builder, field);
    const auto name = builder.CreateString(field.name);
    tables.push_back(table(builder, [&, type = type, type_table = type_table] {
      builder.AddOffset(kName, name);
      builder.AddElement<std::uint8_t>(kNullable, 1, 0);
      builder.AddElement<std::uint8_t>(kTypeType, type, 0);
      builder.AddOffset(kType, type_table);
      builder.AddOffset(kChildren, children);
    }));
  }
  return builder.CreateVector(tables);
}

/// A message in its frame: a marker, the length of what follows, the table, padding.
std::string framed(FlatBufferBuilder& builder, MessageHeader kind, Table header, std::uint64_t body) {
  builder.Finish(table(builder, [&] {
    builder.AddElement<std::int64_t>(kBodyLength, static_cast<std::int64_t>(body), 0);
    builder.AddOffset(kHeader, header);
    builder.AddElement<std::int16_t>(kVersion, kVersion5, 0);
    builder.AddElement<std::uint8_t>(kHeaderType, kind, 0);
  }));
  constexpr std::size_t kFrame = 8;
  std::string message = "\xFF\xFF\xFF\xFF";
  const std::uint64_t whole = arrow_padded(kFrame + builder.GetSize());
  for (std::size_t byte = 0; byte < 4; ++byte) message += static_cast<char>((whole - kFrame) >> (8 * byte) & 0xFF);
  message.append(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  message.resize(static_cast<std::size_t>(whole), '\0');
  return message;
}

}  // namespace

std::string arrow_schema_message(std::span<const ArrowField> fields,
                                 std::span<const std::pair<std::string, std::string>> metadata) {
  FlatBufferBuilder builder;
  const Tables columns = fields_of(builder, fields);
  std::vector<Table> pairs;
  for (const auto& [key, value] : metadata) {
    const auto key_text = builder.CreateString(key);
    const auto value_text = builder.CreateString(value);
    pairs.push_back(table(builder, [&] {
      builder.AddOffset(kKey, key_text);
      builder.AddOffset(kValue, value_text);
    }));
  }
  const Tables keys = builder.CreateVector(pairs);
  const Table schema = table(builder, [&] {
    builder.AddOffset(kFields, columns);
    builder.AddOffset(kMetadata, keys);
  });
  return framed(builder, kSchemaHeader, schema, 0);
}

std::string arrow_batch_message(const ArrowBatch& batch) {
  FlatBufferBuilder builder;
  std::vector<FieldNode> nodes;
  for (const ArrowBatch::Node& node : batch.nodes) nodes.push_back({node.length, node.nulls});
  std::vector<Buffer> buffers;
  std::uint64_t end = 0;
  for (const std::uint64_t bytes : batch.buffers) {
    buffers.push_back({static_cast<std::int64_t>(end), static_cast<std::int64_t>(bytes)});
    end += arrow_padded(bytes);
  }
  const auto node_structs = builder.CreateVectorOfStructs(nodes);
  const auto buffer_structs = builder.CreateVectorOfStructs(buffers);
  const Table record = table(builder, [&] {
    builder.AddElement<std::int64_t>(kLength, batch.rows, 0);
    builder.AddOffset(kNodes, node_structs);
    builder.AddOffset(kBuffers, buffer_structs);
  });
  return framed(builder, kRecordBatchHeader, record, end);
}

}  // namespace layerscope
