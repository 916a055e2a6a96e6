#include "store/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "store/lock.h"
#include "store/manifest.h"
#include "store/run_writer.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

ShardRecord record(std::int64_t shard) {
  return {.shard = shard,
          .rows = 10,
          .next_row = shard * 12 + 11,
          .tokens = 99,
          .skipped = 1,
          .bytes = 1000,
          .input_bytes = static_cast<std::uint64_t>(100 * (shard + 1)),
          .xxh128 = std::string(32, 'a'),
          .input_prefix_xxh128 = std::string(32, '0')};
}

TEST(Journal, ALineIsExactlyThis) {
  EXPECT_EQ(journal_line(record(0)),
            "{\"shard\":0,\"rows\":10,\"next_row\":11,\"tokens\":99,\"bytes\":1000,\"xxh128\":"
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
            "\"input_bytes\":100,\"input_prefix_xxh128\":\"00000000000000000000000000000000\",\"skipped\":1}\n");
}

TEST(Journal, EveryCutGivesTheWholeLinesBeforeIt) {
  const std::string text = journal_line(record(0)) + journal_line(record(1));
  const std::size_t first = journal_line(record(0)).size();
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const auto journal = parse_journal(text.substr(0, size), "journal");
    ASSERT_TRUE(journal.ok()) << size;
    EXPECT_EQ(journal->records.size(), (size >= first ? 1U : 0U) + (size == text.size() ? 1U : 0U));
    EXPECT_EQ(journal->torn, size != 0 && size != first && size != text.size());
    EXPECT_EQ(journal->good_bytes, size == text.size() ? size : size >= first ? first : 0);
  }
}

TEST(Journal, RefusesWhatIsNoJournal) {
  const std::string line = journal_line(record(0));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = line;
    return changed.replace(changed.find(from), from.size(), to);
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\n", "journal:1"},
      {"{}\n", "expected an object of 9 fields"},
      {with("\"rows\":10", "\"rows\":-1"), "\"rows\" is -1"},
      {with("\"rows\":10", "\"rows\":0"), "do not follow"},
      {with("\"rows\":10", "\"rows\":12"), "do not follow"},
      {with("\"rows\":10", "\"rows\":1.5"), "\"rows\""},
      {with("\"rows\"", "\"crow\""), "\"rows\" is missing"},
      {with("\"aaaa", "\"AAAA"), "\"xxh128\""},
      {with("\"shard\":0", "\"shard\":1"), "\"shard\" is 1, expected 0"},
      {line + line, "journal:2"},
      {line.substr(0, 40) + "\n" + line, "journal:1"},
  };
  for (const auto& [text, expected] : cases) {
    const auto journal = parse_journal(text, "journal");
    ASSERT_FALSE(journal.ok()) << text;
    EXPECT_EQ(journal.error().code, ErrorCode::kDamage);
    EXPECT_THAT(journal.error().message, HasSubstr(expected)) << text;
  }
}

Manifest manifest() {
  Manifest manifest;
  manifest.config = {{"pool", Json(std::string("mean"))}, {"seed", Json(std::int64_t{0})}};
  manifest.model_path = "models/one";
  manifest.model_type = "one";
  manifest.parameters = 12;
  manifest.files = {{"config.json", 3, std::string(32, 'b')}};
  manifest.tokenizer = std::string(32, 'c');
  manifest.schema.sites = {{.name = "embed", .width = 4, .hf_index = 0},
                           {.name = "block.0.attn.probs", .unit = StoredUnit::kProbs, .heads = 2}};
  manifest.isa = "any";
  manifest.build = "1";
  manifest.determinism = "exact";
  manifest.part = {1, 3};
  manifest.rows = 5;
  return manifest;
}

TEST(Manifest, ReadsBackWhatItWrote) {
  const std::string text = manifest_text(manifest());
  const auto read = parse_manifest(text, "manifest.json");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(manifest_text(*read), text);
  EXPECT_FALSE(manifest_difference(manifest(), *read));
}

TEST(Manifest, EveryFlippedBitIsSeen) {
  const std::string text = manifest_text(manifest());
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      ASSERT_FALSE(parse_manifest(damaged, "manifest.json").ok()) << "byte " << at << " bit " << bit;
    }
  }
}

TEST(Manifest, NamesTheFirstDifference) {
  const auto difference = [](auto change) {
    Manifest other = manifest();
    change(other);
    return manifest_difference(manifest(), other).value_or("none");
  };
  EXPECT_EQ(difference([](Manifest& m) { m.config[0].second = Json(std::string("max")); }),
            "config.pool: the run has \"mean\", this command has \"max\"");
  EXPECT_EQ(difference([](Manifest& m) { m.config.pop_back(); }),
            "config.seed: the run has 0, this command has nothing");
  EXPECT_EQ(difference([](Manifest& m) { m.config.emplace_back("new", Json(true)); }),
            "config.new: the run has nothing, this command has true");
  EXPECT_THAT(difference([](Manifest& m) { m.schema.sites.pop_back(); }),
              HasSubstr("sites[1]: the run has \"block.0.attn.probs\""));
  EXPECT_THAT(difference([](Manifest& m) { m.model_type = "two"; }), HasSubstr("model.type"));
  EXPECT_THAT(difference([](Manifest& m) { m.parameters = 13; }), HasSubstr("model.parameters"));
  EXPECT_THAT(difference([](Manifest& m) { m.files[0].xxh128[0] = 'd'; }), HasSubstr("model file config.json"));
  EXPECT_THAT(difference([](Manifest& m) { m.tokenizer.reset(); }), HasSubstr("tokenizer"));
  EXPECT_THAT(difference([](Manifest& m) { m.isa = "other"; }), HasSubstr("isa"));
  EXPECT_THAT(difference([](Manifest& m) { m.build = "2"; }), HasSubstr("build"));
  EXPECT_THAT(difference([](Manifest& m) { m.determinism = "loose"; }), HasSubstr("determinism"));
  EXPECT_THAT(difference([](Manifest& m) {
                m.part = {1, 4};
              }),
              HasSubstr("part: the run has 1/3, this command has 1/4"));
  EXPECT_EQ(difference([](Manifest& m) { m.model_path = "elsewhere"; }), "none");
}

TEST(RunLock, AdmitsOneAndIsNotHeldByAStaleFile) {
  const test::TempFolder temp;
  temp.write(".lock", "");
  auto first = RunLock::take(temp.path());
  ASSERT_TRUE(first.ok());
  const auto second = RunLock::take(temp.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUsage);
  first = Error{};
  EXPECT_TRUE(RunLock::take(temp.path()).ok());
}

TEST(RunEntries, AreToldFromForeignNames) {
  EXPECT_EQ(classify_entry("manifest.json"), RunEntry::kManifest);
  EXPECT_EQ(classify_entry("journal.jsonl"), RunEntry::kJournal);
  EXPECT_EQ(classify_entry("shard-00000.safetensors"), RunEntry::kShard);
  EXPECT_EQ(classify_entry("shard-123456.safetensors"), RunEntry::kShard);
  EXPECT_EQ(classify_entry(".shard-00000.safetensors.tmp"), RunEntry::kTemporary);
  EXPECT_EQ(classify_entry(".spool-12-3.tmp"), RunEntry::kTemporary);
  EXPECT_EQ(classify_entry(".manifest.json.tmp"), RunEntry::kTemporary);
  EXPECT_EQ(classify_entry("part-12"), RunEntry::kPart);
  for (const char* name : {"shard-.safetensors", "shard-x.safetensors", "shard-00000.safetensors.bak", "part-",
                           "part-x", ".tmp", "notes.txt", ".git", "model.safetensors"}) {
    EXPECT_EQ(classify_entry(name), RunEntry::kForeign) << name;
  }
}

}  // namespace
}  // namespace layerscope
