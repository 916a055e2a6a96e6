// Finished runs read back: verify and export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>

#include "job/bulk_job.h"
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
using test::TempFolder;
using ::testing::HasSubstr;

class StoredRun : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string lines;
    for (int row = 0; row < 120; ++row) {
      if (row % 9 == 4) {
        lines += "\n";
        continue;
      }
      lines += "{\"ids\":[1";
      for (int token = 0; token < row * 5 % 17; ++token) lines += "," + std::to_string(10 + (row + token) % 200);
      lines += "]" + std::string(row > 60 && row % 4 == 0 ? ",\"id\":" + std::to_string(row) : "") +
               (row == 90 ? ",\"type_ids\":[1" + repeated(",0", 90 * 5 % 17) + "]" : "") + "}\n";
    }
    input_ = temp_.write("rows.jsonl", lines);
  }
  static std::string repeated(const std::string& text, int count) {
    std::string out;
    for (int index = 0; index < count; ++index) out += text;
    return out;
  }
  void run(const std::string& name, const TapRequest& request = {}, std::optional<std::pair<int, int>> part = {}) {
    auto rows = open_rows(input_, true);
    ASSERT_TRUE(rows.ok());
    StatesJobOptions options;
    options.run_folder = temp_.file(name);
    options.request = request;
    options.shard_bytes = 8000;
    options.batch_tokens = 64;
    options.threads = 2;
    options.part = part;
    const auto result = run_bulk_job(model_, **rows, options, {});
    ASSERT_TRUE(result.ok()) << result.error().message;
  }

  TempFolder temp_;
  FakeRunner model_;
  std::string input_;
};

TEST_F(StoredRun, VerifyFindsEveryFlippedBit) {
  run("run");
  const auto files = run_files(temp_.file("run"));
  std::uint64_t total = 0;
  for (const auto& [name, content] : files) total += content.size();
  std::mt19937_64 random(5);
  for (int flip = 0; flip < 1000; ++flip) {
    std::uint64_t at = random() % total;
    auto file = files.begin();
    while (at >= file->second.size()) at -= (file++)->second.size();
    std::string damaged = file->second;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    temp_.write("run/" + file->first, damaged);
    const auto report = verify_run(temp_.file("run"));
    EXPECT_TRUE(!report.ok() || !report->damaged.empty()) << file->first << " byte " << at;
    temp_.write("run/" + file->first, file->second);
  }
  const auto sound = verify_run(temp_.file("run"));
  ASSERT_TRUE(sound.ok());
  EXPECT_TRUE(sound->damaged.empty());
}

TEST_F(StoredRun, VerifyRefusesWhatIsNoRun) {
  temp_.write("empty/x", "");
  for (const std::string& name : {temp_.file("empty"), temp_.file("absent"), input_}) {
    const auto report = verify_run(name);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::kRuntime);
  }
}

TEST_F(StoredRun, ExportHoldsEveryRowInOrderHoweverItWasDivided) {
  TapRequest picks;
  picks.positions = "0,-1";
  TapRequest probabilities;
  probabilities.sites = "block.0.attn.probs,final";
  TapRequest pooled;
  pooled.pool = Pooling::kMean;
  int number = 0;
  for (const TapRequest& request : {TapRequest{}, picks, probabilities, pooled}) {
    const std::string name = std::to_string(number++);
    run("whole" + name, request);
    for (int part = 0; part < 3; ++part) run("parts" + name, request, {{part, 3}});
    const std::string whole = temp_.file(name + "-whole.safetensors");
    const std::string parts = temp_.file(name + "-parts.safetensors");
    ASSERT_TRUE(export_run(temp_.file("whole" + name), ExportFormat::kSafetensors, whole).ok());
    const Status joined = export_run(temp_.file("parts" + name), ExportFormat::kSafetensors, parts);
    ASSERT_TRUE(joined.ok()) << joined.error().message;
    EXPECT_EQ(read_bytes(whole), read_bytes(parts)) << name;
    for (const std::string folder : {"whole", "parts"}) {
      const Status dataset = export_run(temp_.file(folder + name), ExportFormat::kHfDataset,
                                        temp_.file(folder + name + "-dataset"), {.shard_bytes = 4000});
      ASSERT_TRUE(dataset.ok()) << dataset.error().message;
    }
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(temp_.file("whole" + name + "-dataset"))) {
      const std::string file = entry.path().filename().string();
      if (file == "state.json") continue;  // names the run that it was made from
      EXPECT_EQ(read_bytes(entry.path().string()), read_bytes(temp_.file("parts" + name + "-dataset/" + file))) << file;
      ++files;
    }
    EXPECT_GT(files, 2U);
    auto reader = ShardReader::open(whole);
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    const auto rows = reader->read_i64("row");
    ASSERT_TRUE(rows.ok());
    EXPECT_EQ(rows->size(), 107U);
    EXPECT_TRUE(std::is_sorted(rows->begin(), rows->end()));
    EXPECT_NE(reader->find("type_ids"), nullptr);
    EXPECT_NE(reader->find("id_offsets"), nullptr);
  }
}

TEST_F(StoredRun, ExportedValuesAreThoseOfTheModel) {
  run("run");
  ASSERT_TRUE(export_run(temp_.file("run"), ExportFormat::kNpy, temp_.file("arrays")).ok());
  const auto values = [&](const std::string& name) {
    const std::string bytes = read_bytes(temp_.file("arrays/" + name + ".npy"));
    return bytes.substr(bytes.find('\n') + 1);
  };
  const std::string ids = values("input_ids");
  const std::string offsets = values("offsets");
  const std::string final = values("final");
  const auto* id = reinterpret_cast<const std::int32_t*>(ids.data());
  const auto* offset = reinterpret_cast<const std::int64_t*>(offsets.data());
  const auto* value = reinterpret_cast<const float*>(final.data());
  ASSERT_EQ(offsets.size(), 108U * 8);
  ASSERT_EQ(final.size(), ids.size() * FakeRunner::kWidth);
  for (std::size_t row = 0; row < 107; ++row) {
    for (std::int64_t at = offset[row]; at < offset[row + 1]; ++at) {
      ASSERT_EQ(value[at * FakeRunner::kWidth + 3], FakeRunner::value(2, at - offset[row], id[at], 3));
    }
  }
  EXPECT_EQ(export_run(temp_.file("run"), ExportFormat::kNpy, temp_.file("arrays")).error().code, ErrorCode::kUsage);
  EXPECT_TRUE(export_run(temp_.file("run"), ExportFormat::kNpy, temp_.file("arrays"), {.overwrite = true}).ok());
  EXPECT_TRUE(export_run(temp_.file("run"), ExportFormat::kNpz, temp_.file("arrays.npz")).ok());
  EXPECT_EQ(read_bytes(temp_.file("arrays.npz")).substr(0, 4), "PK\3\4");
  const Status foreign = export_run(temp_.file("run"), ExportFormat::kNpy, temp_.path().string(), {.overwrite = true});
  ASSERT_FALSE(foreign.ok());
  EXPECT_TRUE(std::filesystem::exists(input_));
}

TEST_F(StoredRun, MissingPartsAreRefusedUnlessAllowed) {
  run("parts", {}, {{0, 2}});
  const auto refused = export_run(temp_.file("parts"), ExportFormat::kSafetensors, temp_.file("x"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  EXPECT_THAT(refused.error().message, HasSubstr("1 of 2 parts are missing"));
  EXPECT_TRUE(
      export_run(temp_.file("parts"), ExportFormat::kSafetensors, temp_.file("x"), {.allow_incomplete = true}).ok());
  TapRequest other;
  other.layers = "0";
  run("parts", other, {{1, 2}});
  const auto mixed = export_run(temp_.file("parts"), ExportFormat::kSafetensors, temp_.file("y"));
  ASSERT_FALSE(mixed.ok());
  EXPECT_THAT(mixed.error().message, HasSubstr("belongs to another run"));
}

}  // namespace
}  // namespace layerscope
