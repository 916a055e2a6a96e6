#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "store/shard_check.h"
#include "store/shard_reader.h"
#include "store/shard_writer.h"
#include "store/spool.h"
#include "store/spooled_shard.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::read_bytes;
using test::TempFolder;
using ::testing::HasSubstr;

ShardSchema one_site() {
  ShardSchema schema;
  schema.sites.push_back({.name = "final", .width = 2, .hf_index = 1});
  return schema;
}

const std::vector<std::int32_t> kIds = {1, 7, 2};
const std::vector<std::uint8_t> kSpecial = {1, 0, 1};

PlannedRow planned(std::int64_t number, std::size_t tokens, std::string_view id = {}) {
  PlannedRow row;
  row.number = number;
  row.id = id;
  row.stacks[0].ids = std::span(kIds).first(tokens);
  row.stacks[0].special = std::span(kSpecial).first(tokens);
  row.elements = {static_cast<std::int64_t>(tokens) * 2};
  return row;
}

TEST(ShardLayout, OrdersByAlignmentThenName) {
  ShardCounts counts{.rows = 2,
                     .tokens = {5, 0},
                     .picks = {},
                     .has_types = {true, false},
                     .has_ids = true,
                     .id_bytes = 3,
                     .elements = {10}};
  const ShardLayout layout(shard_tensors(one_site(), counts));
  std::vector<std::string> names;
  for (const ShardTensor& tensor : layout.tensors()) names.push_back(tensor.name);
  EXPECT_THAT(
      names, ::testing::ElementsAre("id_offsets", "offsets", "row", "final", "input_ids", "id", "special", "type_ids"));
  EXPECT_EQ(layout.header().size() % 8, 0U);
  EXPECT_EQ(layout.file_bytes() - layout.header().size(), shard_tensor_bytes(one_site(), counts));
  EXPECT_EQ(layout.position("offsets"), layout.header().size() + 24);
}

TEST(ShardLayout, TheFileIsExactlyThis) {
  const TempFolder temp;
  const ShardSchema schema = one_site();
  ShardDraft draft(schema, temp.path());
  ASSERT_TRUE(draft.add(planned(4, 1)).ok());
  EXPECT_EQ(draft.tensor_bytes(), 8U + 16 + 5 + 8);
  auto writer = draft.write_to(temp.file("shard"));
  ASSERT_TRUE(writer.ok());
  const std::array<float, 2> values = {1.0F, -2.0F};
  ASSERT_TRUE(writer->write_values(0, 0, std::as_bytes(std::span(values))).ok());
  ASSERT_TRUE(writer->finish().ok());
  std::string json =
      "{\"offsets\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},\"row\":{\"dtype\":\"I64\",\"shape\":[1],"
      "\"data_offsets\":[16,24]},"
      "\"final\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[24,32]},\"input_ids\":{\"dtype\":\"I32\","
      "\"shape\":[1],\"data_offsets\":[32,36]},"
      "\"special\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[36,37]}}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string expected = {static_cast<char>(json.size() & 0xFF), static_cast<char>(json.size() >> 8), 0, 0, 0, 0, 0, 0};
  expected += json;
  expected += std::string("\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16) + std::string("\4\0\0\0\0\0\0\0", 8) +
              std::string("\0\0\x80\x3F\0\0\0\xC0", 8) + std::string("\1\0\0\0\1", 5);
  EXPECT_EQ(read_bytes(temp.file("shard")), expected);
}

/// Rows with known values, written as a planned shard.
std::string write_planned(const TempFolder& temp, const ShardSchema& schema, std::size_t buffer) {
  ShardDraft draft(schema, temp.path(), buffer);
  for (std::int64_t row = 0; row < 200; ++row)
    EXPECT_TRUE(draft.add(planned(row * 2, 1 + static_cast<std::size_t>(row) % 3, row % 5 == 0 ? "\"x\"" : "")).ok());
  auto writer = draft.write_to(temp.file("planned"));
  EXPECT_TRUE(writer.ok());
  std::vector<float> values(static_cast<std::size_t>(writer->counts().elements[0]));
  for (std::size_t index = 0; index < values.size(); ++index) values[index] = static_cast<float>(index);
  EXPECT_TRUE(writer->write_values(0, 0, std::as_bytes(std::span(values))).ok());
  EXPECT_TRUE(writer->finish().ok());
  return read_bytes(temp.file("planned"));
}

TEST(ShardDraft, SpoolsOfAnySizeGiveTheSameFile) {
  const TempFolder temp;
  const ShardSchema schema = one_site();
  const std::string large = write_planned(temp, schema, 1 << 20);
  for (const std::size_t buffer : {0U, 1U, 7U, 64U, 1000U})
    EXPECT_EQ(write_planned(temp, schema, buffer), large) << buffer;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp.path()), {}), 1) << "a spool was left";
}

TEST(SpooledShard, RowsThatGrowInAnyOrderGiveThePlannedFile) {
  const TempFolder temp;
  const ShardSchema schema = one_site();
  const std::string expected = write_planned(temp, schema, 1 << 20);
  for (const std::size_t buffer : {0U, 100U, 1U << 20}) {
    SpooledShard shard(schema, temp.path(), buffer);
    // Every row gets its values token by token, rows interleaved.
    struct Growing {
      std::int64_t row;
      std::size_t tokens, done = 0;
      float next;
    };
    std::vector<Growing> growing;
    float first = 0;
    for (std::int64_t row = 0; row < 200; ++row) {
      growing.push_back({row, 1 + static_cast<std::size_t>(row) % 3, 0, first});
      first += static_cast<float>(2 * (1 + row % 3));
    }
    std::mt19937 random(3);
    while (!growing.empty()) {
      const std::size_t index = random() % growing.size();
      Growing& row = growing[index];
      const std::array<float, 2> values = {row.next, row.next + 1};
      row.next += 2;
      ASSERT_TRUE(shard.append(row.row * 2, 0, std::as_bytes(std::span(values))).ok());
      if (++row.done < row.tokens) continue;
      ASSERT_TRUE(shard.finish_row(planned(row.row * 2, row.tokens, row.row % 5 == 0 ? "\"x\"" : "")).ok());
      growing.erase(growing.begin() + static_cast<std::ptrdiff_t>(index));
    }
    ASSERT_TRUE(shard.append(1, 0, {}).ok());  // begun, never finished
    EXPECT_EQ(shard.finished_rows(), 200);
    EXPECT_FALSE(shard.finish_row(planned(4, 1)).ok());
    ASSERT_TRUE(shard.assemble(temp.file("spooled")).ok());
    EXPECT_EQ(read_bytes(temp.file("spooled")), expected) << buffer;
  }
}

class ShardCheck : public ::testing::Test {
 protected:
  /// The record of what lies at the path, as if it had been written so.
  ShardRecord record() const {
    ShardRecord record{.shard = 0,
                       .rows = 200,
                       .next_row = 399,
                       .tokens = 0,
                       .skipped = 0,
                       .bytes = 0,
                       .input_bytes = 0,
                       .xxh128 = {},
                       .input_prefix_xxh128 = {}};
    for (std::int64_t row = 0; row < 200; ++row) record.tokens += 1 + row % 3;
    auto file = File::open_read(path_);
    record.bytes = *file->size();
    record.xxh128 = *hash_open_file(*file, record.bytes);
    return record;
  }
  /// Overwrites the value of a tensor at an index.
  void change(const std::string& tensor, std::int64_t index, std::int64_t value) const {
    auto shard = ShardReader::open(path_);
    ASSERT_TRUE(shard.ok());
    const ShardTensor* found = shard->find(tensor);
    const std::uint64_t data = shard->bytes() - shard->tensors().back().end;
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(data + found->begin) + 8 * index);
    file.write(reinterpret_cast<const char*>(&value), 8);
  }
  void expect_damage(const ShardRecord& record, const char* why) const {
    const Status checked = check_shard(path_, schema_, record, 0);
    ASSERT_FALSE(checked.ok()) << why;
    EXPECT_EQ(checked.error().code, ErrorCode::kDamage);
    EXPECT_THAT(checked.error().message, HasSubstr(why));
  }

  TempFolder temp_;
  ShardSchema schema_ = one_site();
  std::string path_ = (write_planned(temp_, schema_, 1 << 20), temp_.file("planned"));
};

TEST_F(ShardCheck, SoundShardsPass) {
  const Status checked = check_shard(path_, schema_, record(), 0);
  EXPECT_TRUE(checked.ok()) << checked.error().message;
}

TEST_F(ShardCheck, EveryFlippedBitIsSeen) {
  const ShardRecord good = record();
  const std::string bytes = read_bytes(path_);
  std::mt19937 random(11);
  for (int flip = 0; flip < 300; ++flip) {
    const std::size_t at = random() % bytes.size();
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    temp_.write("planned", damaged);
    ASSERT_FALSE(check_shard(path_, schema_, good, 0).ok()) << "byte " << at;
  }
}

TEST_F(ShardCheck, WrongContentIsSeenEvenIfItsHashIsRight) {
  const auto fresh = [&] { write_planned(temp_, schema_, 1 << 20); };
  ShardRecord other = record();
  other.rows = 199;
  expect_damage(other, "holds 200 rows");
  other = record();
  other.tokens = 1;
  expect_damage(other, "tokens, the journal says 1");
  other = record();
  other.next_row = 400;
  expect_damage(other, "ends before row 399");
  EXPECT_FALSE(check_shard(path_, schema_, record(), 1).ok());
  change("row", 5, 8);
  expect_damage(record(), "row numbers do not ascend");
  fresh();
  change("offsets", 0, 1);
  expect_damage(record(), "\"offsets\"");
  fresh();
  change("offsets", 7, 0);
  expect_damage(record(), "descends");
  fresh();
  change("offsets", 200, std::int64_t{1} << 62);
  expect_damage(record(), "ends outside");
  fresh();
  change("id_offsets", 200, 121);
  expect_damage(record(), "its rows give");
  fresh();
  ShardSchema wider = schema_;
  wider.sites[0].width = 3;
  const Status checked = check_shard(path_, wider, record(), 0);
  ASSERT_FALSE(checked.ok());
}

TEST(ShardHeader, RefusesWhatDoesNotFit) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "no object"},
      {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", "data_offsets"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "data_offsets"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", "does not follow"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "end at byte 1 of 4"},
  };
  for (const auto& [json, expected] : cases) {
    const auto parsed = parse_shard_header(json, 4, "shard");
    ASSERT_FALSE(parsed.ok()) << json;
    EXPECT_EQ(parsed.error().code, ErrorCode::kDamage);
    EXPECT_THAT(parsed.error().message, HasSubstr(expected)) << json;
  }
  EXPECT_TRUE(parse_shard_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "shard").ok());
}

}  // namespace
}  // namespace layerscope
