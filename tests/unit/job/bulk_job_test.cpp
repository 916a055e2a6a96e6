#include "job/bulk_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <optional>

#include "store/lock.h"
#include "store/manifest.h"
#include "store/run.h"
#include "store/shard_reader.h"
#include "support/fake_runner.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::FakeRunner;
using test::read_bytes;
using test::run_files;
using test::same_files;
using test::TempFolder;
using ::testing::HasSubstr;

/// Lines of many lengths, some of them blank.
std::string corpus(int lines) {
  std::string text;
  for (int line = 0; line < lines; ++line) {
    if (line % 11 != 5)
      text += "line " + std::to_string(line) + " " +
              std::string(static_cast<std::size_t>(line * 37 % 120), static_cast<char>('a' + line % 26));
    text += line % 7 == 3 ? "\r\n" : "\n";
  }
  return text;
}

class BulkJob : public ::testing::Test {
 protected:
  Result<JobResult> run(const FakeRunner& model, const StatesJobOptions& options, const JobHooks& hooks = {}) {
    auto rows = open_rows(input_, false);
    EXPECT_TRUE(rows.ok());
    return run_bulk_job(model, **rows, options, hooks);
  }
  StatesJobOptions options(const std::string& name) {
    StatesJobOptions options;
    options.run_folder = temp_.file(name);
    options.shard_bytes = 20000;
    options.threads = 2;
    options.batch_tokens = 256;
    return options;
  }
  void input(const std::string& name, const std::string& text) { input_ = temp_.write(name, text); }

  TempFolder temp_;
  FakeRunner model_;
  std::string input_ = temp_.write("input.txt", corpus(300));
};

TEST_F(BulkJob, StoresEveryValueAtItsPlace) {
  const auto result = run(model_, options("run"));
  ASSERT_TRUE(result.ok()) << result.error().message;
  const auto report = verify_run(temp_.file("run"));
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->complete);
  EXPECT_TRUE(report->damaged.empty());
  EXPECT_EQ(report->rows, 300 - 27);
  EXPECT_GT(report->shards, 5);
  std::int64_t rows = 0;
  for (std::int64_t shard = 0; shard < report->shards; ++shard) {
    auto reader = ShardReader::open(temp_.file("run/" + shard_file_name(shard)));
    ASSERT_TRUE(reader.ok());
    const auto offsets = reader->read_i64("offsets");
    ASSERT_TRUE(offsets.ok());
    std::vector<std::int32_t> ids(static_cast<std::size_t>(offsets->back()));
    ASSERT_TRUE(reader->read(*reader->find("input_ids"), 0, std::as_writable_bytes(std::span(ids))).ok());
    for (std::size_t site = 0; site < 3; ++site) {
      const ShardTensor* tensor = reader->find(std::array{"embed", "block.0.out", "final"}[site]);
      ASSERT_NE(tensor, nullptr);
      std::vector<float> values(ids.size() * FakeRunner::kWidth);
      ASSERT_EQ(tensor->end - tensor->begin, values.size() * 4);
      ASSERT_TRUE(reader->read(*tensor, 0, std::as_writable_bytes(std::span(values))).ok());
      for (std::size_t row = 0; row + 1 < offsets->size(); ++row) {
        for (std::int64_t at = (*offsets)[row]; at < (*offsets)[row + 1]; ++at) {
          for (std::int64_t column = 0; column < FakeRunner::kWidth; ++column) {
            ASSERT_EQ(values[static_cast<std::size_t>(at * FakeRunner::kWidth + column)],
                      FakeRunner::value(site, at - (*offsets)[row], ids[static_cast<std::size_t>(at)], column));
          }
        }
      }
    }
    rows += static_cast<std::int64_t>(offsets->size()) - 1;
  }
  EXPECT_EQ(rows, 273);
}

TEST_F(BulkJob, BytesDoNotDependOnThreadsOrBatches) {
  ASSERT_TRUE(run(model_, options("a")).ok());
  auto other = options("b");
  other.threads = 5;
  other.batch_tokens = 33;
  ASSERT_TRUE(run(model_, other).ok());
  EXPECT_TRUE(same_files(run_files(temp_.file("a")), run_files(temp_.file("b"))));
}

TEST_F(BulkJob, PoolPicksAndProbabilities) {
  auto pooled = options("pooled");
  pooled.request.pool = Pooling::kMean;
  auto picked = options("picked");
  picked.request.positions = "0,2,-1";
  auto probabilities = options("probs");
  probabilities.request.sites = "block.0.attn.probs,final";
  for (const auto& each : {pooled, picked, probabilities}) {
    const auto result = run(model_, each);
    ASSERT_TRUE(result.ok()) << result.error().message;
    const auto report = verify_run(each.run_folder);
    ASSERT_TRUE(report.ok());
    EXPECT_TRUE(report->complete && report->damaged.empty()) << report->damaged[0].why;
    EXPECT_EQ(report->rows, 273);
  }
}

TEST_F(BulkJob, TwoStacksHaveTheirOwnTokens) {
  input("rows.jsonl", "{\"ids\":[5,6,7],\"decoder_ids\":[8,9],\"id\":\"x\"}\n{\"ids\":[5],\"type_ids\":[1]}\n");
  auto both = options("both");
  const FakeRunner model({.two_stacks = true});
  ASSERT_TRUE(run(model, both).ok());
  auto reader = ShardReader::open(temp_.file("both/shard-00000.safetensors"));
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(*reader->read_i64("enc.offsets"), (std::vector<std::int64_t>{0, 3, 4}));
  EXPECT_EQ(*reader->read_i64("dec.offsets"), (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(*reader->read_i64("id_offsets"), (std::vector<std::int64_t>{0, 3, 3}));
  EXPECT_NE(reader->find("enc.type_ids"), nullptr);
  EXPECT_EQ(reader->find("dec.type_ids"), nullptr);
  EXPECT_TRUE(verify_run(both.run_folder)->damaged.empty());
}

TEST_F(BulkJob, ACompleteRunIsCheckedAndLeftAlone) {
  ASSERT_TRUE(run(model_, options("run")).ok());
  const auto before = run_files(temp_.file("run"));
  const auto again = run(model_, options("run"));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->already_complete);
  EXPECT_TRUE(same_files(run_files(temp_.file("run")), before));
  input("input.txt", corpus(301));
  const auto longer = run(model_, options("run"));
  ASSERT_FALSE(longer.ok());
  EXPECT_EQ(longer.error().code, ErrorCode::kUsage);
  EXPECT_THAT(longer.error().message, HasSubstr("input"));
}

TEST_F(BulkJob, StopsAndGoesOn) {
  ASSERT_TRUE(run(model_, options("whole")).ok());
  for (int shards = 0; shards < 6; ++shards) {
    std::atomic<bool> stop = false;
    const FakeRunner slow({.delay = std::chrono::milliseconds(1 + shards)});
    JobHooks hooks;
    hooks.stop = &stop;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + 12 * shards));
      stop = true;
    });
    const auto stopped = run(slow, options("run"), hooks);
    stopper.join();
    if (!stopped.ok()) {
      EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled) << stopped.error().message;
      const auto report = verify_run(temp_.file("run"));
      EXPECT_TRUE(!report.ok() || (!report->complete && report->damaged.empty()));
    }
  }
  struct stat before {
  }, after{};
  const std::string first = temp_.file("run/shard-00000.safetensors");
  const bool journalled = ::stat(first.c_str(), &before) == 0;
  ASSERT_TRUE(run(model_, options("run")).ok());
  EXPECT_TRUE(same_files(run_files(temp_.file("run")), run_files(temp_.file("whole"))));
  ASSERT_EQ(::stat(first.c_str(), &after), 0);
  if (journalled) {
    EXPECT_EQ(before.st_ino, after.st_ino);
    EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  }
}

/// A run of which only the first shards are left, as after a kill.
void cut_run(const std::string& folder, std::size_t shards) {
  const std::string journal = read_bytes(folder + "/journal.jsonl");
  std::size_t end = 0;
  for (std::size_t line = 0; line < shards; ++line) end = journal.find('\n', end) + 1;
  std::filesystem::resize_file(folder + "/journal.jsonl", end);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("shard-") && std::stoul(name.substr(6, 5)) >= shards) std::filesystem::remove(entry.path());
  }
  std::string manifest = read_bytes(folder + "/manifest.json");
  auto parsed = parse_manifest(manifest, "manifest.json");
  ASSERT_TRUE(parsed.ok());
  parsed->complete = false;
  parsed->rows = parsed->tokens = parsed->skipped = 0;
  parsed->input_bytes = 0;
  parsed->input_xxh128 = parsed->journal_xxh128 = "";
  std::ofstream(folder + "/manifest.json", std::ios::binary) << manifest_text(*parsed);
}

TEST_F(BulkJob, RecoversFromEveryStateAKillLeaves) {
  ASSERT_TRUE(run(model_, options("whole")).ok());
  const auto whole = run_files(temp_.file("whole"));
  const std::string folder = temp_.file("run");
  const auto start_over = [&] {
    std::filesystem::remove_all(folder);
    std::filesystem::copy(temp_.file("whole"), folder);
    cut_run(folder, 2);
  };
  const auto check = [&](const char* state) {
    const auto resumed = run(model_, options("run"));
    ASSERT_TRUE(resumed.ok()) << state << ": " << resumed.error().message;
    EXPECT_FALSE(resumed->already_complete) << state;
    EXPECT_TRUE(same_files(run_files(folder), whole)) << state;
  };
  start_over();
  check("between two shards");
  start_over();
  std::filesystem::copy(temp_.file("whole/shard-00002.safetensors"), folder + "/.shard-00002.safetensors.tmp");
  check("temporary file complete, not renamed");
  start_over();
  std::filesystem::copy(temp_.file("whole/shard-00002.safetensors"), folder);
  check("renamed, not in the journal");
  start_over();
  std::ofstream(folder + "/journal.jsonl", std::ios::app | std::ios::binary) << "{\"shard\":2,\"ro";
  std::filesystem::copy(temp_.file("whole/shard-00002.safetensors"), folder);
  check("torn journal line");
  start_over();
  std::filesystem::remove(folder + "/manifest.json");
  std::filesystem::remove(folder + "/journal.jsonl");
  for (const auto& name : {"/shard-00000.safetensors", "/shard-00001.safetensors"})
    std::filesystem::remove(folder + name);
  std::ofstream(folder + "/.manifest.json.tmp") << "{";
  check("killed before the manifest");
}

TEST_F(BulkJob, RefusesDamage) {
  ASSERT_TRUE(run(model_, options("whole")).ok());
  const std::string folder = temp_.file("run");
  const auto refused = [&](const char* state, const char* expected) {
    const auto resumed = run(model_, options("run"));
    ASSERT_FALSE(resumed.ok()) << state;
    EXPECT_EQ(resumed.error().code, ErrorCode::kDamage) << resumed.error().message;
    EXPECT_THAT(resumed.error().message, HasSubstr(expected)) << state;
    EXPECT_THAT(resumed.error().message, HasSubstr("--overwrite")) << state;
  };
  const auto start_over = [&] {
    std::filesystem::remove_all(folder);
    std::filesystem::copy(temp_.file("whole"), folder);
    cut_run(folder, 3);
  };
  start_over();
  std::filesystem::remove(folder + "/shard-00001.safetensors");
  refused("journal line without its shard", "shard-00001.safetensors: is missing");
  start_over();
  std::fstream shard(folder + "/shard-00002.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  shard.seekp(5000);
  shard.put('\x55');
  shard.close();
  refused("a flipped byte", "hash");
  start_over();
  std::string journal = read_bytes(folder + "/journal.jsonl");
  const std::size_t second = journal.find('\n') + 1;
  std::ofstream(folder + "/journal.jsonl", std::ios::binary) << journal.substr(second) << journal.substr(0, second);
  refused("lines out of order", "journal.jsonl:1: field \"shard\"");
  auto anew = options("run");
  anew.overwrite = true;
  ASSERT_TRUE(run(model_, anew).ok());
  EXPECT_TRUE(same_files(run_files(folder), run_files(temp_.file("whole"))));
}

TEST_F(BulkJob, RefusesAResumeThatDiffersAndNamesWhat) {
  ASSERT_TRUE(run(model_, options("run")).ok());
  cut_run(temp_.file("run"), 2);
  const auto refused = [&](const FakeRunner& model, const StatesJobOptions& changed, const char* field) {
    const auto resumed = run(model, changed);
    ASSERT_FALSE(resumed.ok()) << field;
    EXPECT_EQ(resumed.error().code, ErrorCode::kUsage);
    EXPECT_THAT(resumed.error().message, HasSubstr(field));
  };
  auto changed = options("run");
  changed.shard_bytes = 30000;
  refused(model_, changed, "config.shard_size: the run has 20000, this command has 30000");
  changed = options("run");
  changed.skip_bad = true;
  refused(model_, changed, "config.on_bad");
  changed = options("run");
  changed.request.layers = "0";
  refused(model_, changed, "sites[1]");
  changed = options("run");
  changed.request.save_dtype = DType::kF16;
  refused(model_, changed, "config.save_dtype");
  changed = options("run");
  changed.tokenize.add_special_tokens = false;
  refused(model_, changed, "config.add_special_tokens");
  FakeRunner other;
  other.mutable_info().isa = "avx2";
  refused(other, options("run"), "isa");
  FakeRunner library;
  library.mutable_info().library = "none 2";
  refused(library, options("run"), "build");
  FakeRunner tokenizer;
  tokenizer.mutable_info().tokenizer_hash = "00";
  refused(tokenizer, options("run"), "tokenizer");
  FakeRunner files;
  files.mutable_info().files = {temp_.write("config.json", "{}")};
  refused(files, options("run"), "model.files");
  input("input.txt", "another line\n" + corpus(300));
  refused(model_, options("run"), "the input is another one");
}

TEST_F(BulkJob, BadRowsStopOrAreSkipped) {
  std::string text = corpus(200);
  text += "bad \xFF line\n" + corpus(5) + "\xC0\n";
  input("input.txt", text);
  const auto stopped = run(model_, options("stop"));
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kInput);
  EXPECT_THAT(stopped.error().message, HasSubstr("input.txt:201: is not valid UTF-8"));
  const auto kept = verify_run(temp_.file("stop"));
  ASSERT_TRUE(kept.ok());
  EXPECT_GT(kept->shards, 0);
  EXPECT_TRUE(kept->damaged.empty());

  auto skip = options("skip");
  skip.skip_bad = true;
  std::vector<std::string> messages;
  JobHooks hooks;
  hooks.skipped = [&](const Error& error) { messages.push_back(error.message); };
  const auto skipped = run(model_, skip, hooks);
  ASSERT_TRUE(skipped.ok()) << skipped.error().message;
  EXPECT_EQ(skipped->done.skipped, 2);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_THAT(messages[1], HasSubstr("input.txt:207"));
  const auto manifest = parse_manifest(read_bytes(temp_.file("skip/manifest.json")), "m");
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->skipped, 2);
  EXPECT_EQ(manifest->input_bytes, text.size());
}

TEST_F(BulkJob, PartsHoldTheirRows) {
  ASSERT_TRUE(run(model_, options("whole")).ok());
  std::int64_t rows = 0;
  for (int part = 0; part < 3; ++part) {
    auto each = options("parts");
    each.part = {part, 3};
    ASSERT_TRUE(run(model_, each).ok());
    const auto one = verify_run(temp_.file("parts/part-" + std::to_string(part)));
    ASSERT_TRUE(one.ok());
    rows += one->rows;
    const auto report = verify_run(temp_.file("parts"));
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->complete, part == 2);
  }
  EXPECT_EQ(rows, 273);
  auto reader = ShardReader::open(temp_.file("parts/part-1/shard-00000.safetensors"));
  ASSERT_TRUE(reader.ok());
  const auto row_numbers = reader->read_i64("row");
  ASSERT_TRUE(row_numbers.ok());
  for (const std::int64_t row : *row_numbers) EXPECT_EQ(row % 3, 1);
  const auto mixed = run(model_, options("parts"));
  ASSERT_FALSE(mixed.ok());
  EXPECT_EQ(mixed.error().code, ErrorCode::kUsage);
}

TEST_F(BulkJob, RefusesForeignFoldersAndLockedRuns) {
  temp_.write("foreign/letter.txt", "hello");
  const auto foreign = run(model_, options("foreign"));
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, ErrorCode::kUsage);
  EXPECT_THAT(foreign.error().message, HasSubstr("letter.txt"));
  std::filesystem::create_directory(temp_.file("locked"));
  auto lock = RunLock::take(temp_.file("locked"));
  ASSERT_TRUE(lock.ok());
  const auto locked = run(model_, options("locked"));
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().code, ErrorCode::kUsage);
  EXPECT_THAT(locked.error().message, HasSubstr("locked"));
  lock = Error{};
  EXPECT_TRUE(run(model_, options("locked")).ok());
}

TEST_F(BulkJob, AnErrorOfTheModelEndsTheRunAndKeepsWhatIsFinished) {
  const FakeRunner poisoned({.poison = '{'});
  input("input.txt", corpus(250) + "a {\n");
  const auto failed = run(poisoned, options("run"));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kRuntime);
  EXPECT_THAT(failed.error().message, HasSubstr("NaN at site"));
  for (const auto& entry : std::filesystem::directory_iterator(temp_.file("run"))) {
    EXPECT_FALSE(entry.path().extension() == ".tmp") << entry.path();
  }
}

TEST_F(BulkJob, DryRunTellsTheSizeAndTouchesNothing) {
  auto dry = options("none");
  dry.dry_run = true;
  const auto estimated = run(model_, dry);
  ASSERT_TRUE(estimated.ok());
  EXPECT_FALSE(std::filesystem::exists(temp_.file("none")));
  EXPECT_EQ(estimated->estimated_rows, 273);
  EXPECT_EQ(estimated->sites.size(), 3U);
  EXPECT_GT(estimated->free_bytes, 0U);
  ASSERT_TRUE(run(model_, options("run")).ok());
  std::uint64_t bytes = 0;
  for (const auto& [name, content] : run_files(temp_.file("run")))
    bytes += name.starts_with("shard") ? content.size() : 0;
  EXPECT_NEAR(static_cast<double>(estimated->estimated_bytes), static_cast<double>(bytes),
              static_cast<double>(bytes) * 0.1);
}

TEST_F(BulkJob, NoRowsMakeACompleteRun) {
  input("input.txt", "\n\n");
  ASSERT_TRUE(run(model_, options("run")).ok());
  const auto report = verify_run(temp_.file("run"));
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->complete);
  EXPECT_EQ(report->shards, 0);
  EXPECT_TRUE(run(model_, options("run"))->already_complete);
}

TEST_F(BulkJob, NothingIsLostWhenTheLastBatchAndTheLastShardMeet) {
  input("input.txt", corpus(12));
  auto small = options("run");
  small.shard_bytes = 2000;
  small.overwrite = true;
  for (int round = 0; round < 150; ++round) {
    small.threads = 1 + round % 4;
    const auto result = run(model_, small);
    ASSERT_TRUE(result.ok()) << result.error().message;
    const auto report = verify_run(small.run_folder);
    ASSERT_TRUE(report.ok());
    ASSERT_EQ(report->rows, 11) << "round " << round;
  }
}

TEST_F(BulkJob, AShardClosesAtItsWork) {
  const FakeRunner large({.parameters = std::uint64_t{1} << 36});
  auto big = options("run");
  big.shard_bytes = std::uint64_t{1} << 30;
  ASSERT_TRUE(run(large, big).ok());
  auto first = ShardReader::open(temp_.file("run/shard-00001.safetensors"));
  ASSERT_TRUE(first.ok());
  const auto offsets = first->read_i64("offsets");
  const double parameters = static_cast<double>(std::uint64_t{1} << 36);
  EXPECT_GE(static_cast<double>(offsets->back()) * parameters, 1e13);
  EXPECT_LT(static_cast<double>((*offsets)[offsets->size() - 2]) * parameters, 1e13);
}

}  // namespace
}  // namespace layerscope
