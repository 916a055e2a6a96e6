#include "store/journal.h"

#include <utility>

#include "base/json.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kHashDigits = 32;
constexpr std::size_t kFields = 9;

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Reads the fields of one record, each a number that is not negative or a hash.
class RecordReader {
 public:
  RecordReader(const Json& line, std::string where) : line_(line), where_(std::move(where)) {}

  template <class T>
  Status number(std::string_view key, T& into) const {
    const Json* value = line_.find(key);
    if (value == nullptr || value->integer() == nullptr || *value->integer() < 0) {
      return damage(key, value, "an integer that is not negative");
    }
    into = static_cast<T>(*value->integer());
    return {};
  }
  Status hash(std::string_view key, std::string& into) const {
    const Json* value = line_.find(key);
    if (value == nullptr || value->string() == nullptr || !is_hash(*value->string())) {
      return damage(key, value, "32 hexadecimal digits");
    }
    into = *value->string();
    return {};
  }

 private:
  Error damage(std::string_view key, const Json* value, std::string_view expected) const {
    return {ErrorCode::kDamage, where_ + ": field \"" + std::string(key) + "\" is " +
                                    (value == nullptr ? "missing" : value->dump().substr(0, 80)) + ", expected " +
                                    std::string(expected)};
  }
  const Json& line_;
  std::string where_;
};

Result<ShardRecord> parse_record(std::string_view text, const std::string& where) {
  LAYERSCOPE_ASSIGN(const Json line, parse_json(text, where, ErrorCode::kDamage));
  if (line.object() == nullptr || line.object()->size() != kFields) {
    return Error{ErrorCode::kDamage,
                 where + ": is no journal line (expected an object of " + std::to_string(kFields) + " fields)"};
  }
  ShardRecord record;
  const RecordReader reader(line, where);
  LAYERSCOPE_TRY(reader.number("shard", record.shard));
  LAYERSCOPE_TRY(reader.number("rows", record.rows));
  LAYERSCOPE_TRY(reader.number("next_row", record.next_row));
  LAYERSCOPE_TRY(reader.number("tokens", record.tokens));
  LAYERSCOPE_TRY(reader.number("bytes", record.bytes));
  LAYERSCOPE_TRY(reader.hash("xxh128", record.xxh128));
  LAYERSCOPE_TRY(reader.number("input_bytes", record.input_bytes));
  LAYERSCOPE_TRY(reader.hash("input_prefix_xxh128", record.input_prefix_xxh128));
  LAYERSCOPE_TRY(reader.number("skipped", record.skipped));
  return record;
}

/// What must hold between a record and the one before it.
Status check_order(const ShardRecord& record, const Journal& journal, const std::string& where) {
  const std::int64_t expected = static_cast<std::int64_t>(journal.records.size());
  if (record.shard != expected) {
    return Error{ErrorCode::kDamage, where + ": field \"shard\" is " + std::to_string(record.shard) + ", expected " +
                                         std::to_string(expected)};
  }
  const ShardRecord before = journal.records.empty() ? ShardRecord{} : journal.records.back();
  if (record.rows < 1 || record.next_row - before.next_row < record.rows || record.input_bytes < before.input_bytes) {
    return Error{ErrorCode::kDamage, where + ": its rows do not follow those of the line before it (rows " +
                                         std::to_string(record.rows) + ", next_row " + std::to_string(record.next_row) +
                                         " after " + std::to_string(before.next_row) + ")"};
  }
  return {};
}

}  // namespace

std::string journal_line(const ShardRecord& record) {
  return "{\"shard\":" + std::to_string(record.shard) + ",\"rows\":" + std::to_string(record.rows) +
         ",\"next_row\":" + std::to_string(record.next_row) + ",\"tokens\":" + std::to_string(record.tokens) +
         ",\"bytes\":" + std::to_string(record.bytes) + ",\"xxh128\":\"" + record.xxh128 +
         "\",\"input_bytes\":" + std::to_string(record.input_bytes) + ",\"input_prefix_xxh128\":\"" +
         record.input_prefix_xxh128 + "\",\"skipped\":" + std::to_string(record.skipped) + "}\n";
}

Result<Journal> parse_journal(std::string_view text, std::string_view name) {
  Journal journal;
  while (journal.good_bytes < text.size()) {
    const std::size_t begin = static_cast<std::size_t>(journal.good_bytes);
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) {
      journal.torn = true;
      break;
    }
    const std::string where = std::string(name) + ":" + std::to_string(journal.records.size() + 1);
    LAYERSCOPE_ASSIGN(ShardRecord record, parse_record(text.substr(begin, end - begin), where));
    LAYERSCOPE_TRY(check_order(record, journal, where));
    journal.records.push_back(std::move(record));
    journal.good_bytes = end + 1;
  }
  return journal;
}

}  // namespace layerscope
