#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "checkpoint/shard_index.h"
#include "support/safetensors_bytes.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;
using test::safetensors_bytes;
using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file of U8 tensors, eight bytes each.
std::string shard_of(const std::vector<std::string>& names) {
  std::string header = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    header += (i > 0 ? ",\"" : "\"") + names[i] + R"(":{"dtype":"U8","shape":[8],"data_offsets":[)" +
              std::to_string(8 * i) + "," + std::to_string(8 * i + 8) + "]}";
  }
  return safetensors_bytes(header + "}", 8 * names.size());
}

constexpr const char* kShard1 = "model-00001-of-00002.safetensors";
constexpr const char* kShard2 = "model-00002-of-00002.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kGoodIndex =
    R"({"metadata":{"total_size":24},"weight_map":{"a":"model-00001-of-00002.safetensors",
  "c":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})";

void write_sharded(const TempFolder& folder) {
  folder.write(kShard1, shard_of({"c", "a"}));
  folder.write(kShard2, shard_of({"b"}));
  folder.write(kIndex, kGoodIndex);
}

/// The refusal of a folder, or what was opened.
std::string refusal(const std::string& folder) {
  const auto checkpoint = open_checkpoint(folder);
  if (checkpoint.ok()) return "accepted with " + std::to_string((*checkpoint)->tensors().size()) + " tensors";
  EXPECT_EQ(checkpoint.error().code, ErrorCode::kModel);
  EXPECT_EQ(checkpoint.error().message.find('\n'), std::string::npos);
  return checkpoint.error().message;
}

std::string refusal(const TempFolder& folder) { return refusal(folder.path().string()); }

TEST(Checkpoint, OpensASingleFile) {
  const TempFolder folder;
  const std::string path = folder.write("model.safetensors", shard_of({"w.b", "w.a", "w.c"}));
  const auto opened = open_checkpoint(folder.path().string() + "/");
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const Checkpoint& checkpoint = **opened;
  ASSERT_EQ(checkpoint.tensors().size(), 3U);
  EXPECT_EQ(checkpoint.tensors()[0].name, "w.a") << "sorted by name";
  EXPECT_THAT(checkpoint.files(), ElementsAre(path));
  const SourceTensor* const b = checkpoint.find("w.b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->file, "model.safetensors");
  EXPECT_EQ(b->view.shape, Shape{8});
  EXPECT_EQ(std::to_integer<int>(b->view.data[7]), 7);
  EXPECT_EQ(std::to_integer<int>(checkpoint.find("w.c")->view.data[0]), 16);
  EXPECT_EQ(checkpoint.find("w"), nullptr);
  EXPECT_EQ(checkpoint.find("w.d"), nullptr);
  EXPECT_EQ(checkpoint.find(""), nullptr);
}

TEST(Checkpoint, OpensShards) {
  const TempFolder folder;
  write_sharded(folder);
  const auto opened = open_checkpoint(folder.path().string());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_THAT((*opened)->files(), ElementsAre(folder.file(kShard1), folder.file(kShard2)));
  EXPECT_EQ((*opened)->tensors().size(), 3U);
  EXPECT_EQ((*opened)->find("a")->file, kShard1);
  EXPECT_EQ((*opened)->find("b")->file, kShard2);
  EXPECT_EQ(std::to_integer<int>((*opened)->find("a")->view.data[0]), 8);
}

TEST(Checkpoint, TheSingleFileComesBeforeTheIndex) {
  const TempFolder folder;
  write_sharded(folder);
  folder.write("model.safetensors", shard_of({"only"}));
  const auto opened = open_checkpoint(folder.path().string());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ((*opened)->tensors().size(), 1U);
}

TEST(Checkpoint, AFileWithoutTensorsOpens) {
  const TempFolder folder;
  folder.write("model.safetensors", safetensors_bytes("{}", 0));
  EXPECT_EQ(refusal(folder), "accepted with 0 tensors");
}

TEST(Checkpoint, FoldersWithoutWeightsSayWhatToDo) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder), HasSubstr("has neither model.safetensors nor model.safetensors.index.json"));
  folder.write("model-00001-of-00001.safetensors", shard_of({"a"}));
  EXPECT_THAT(refusal(folder), HasSubstr("(there is model-00001-of-00001.safetensors)"));
  folder.write("pytorch_model.bin", std::string("\x80\x02}q\x00.", 6));
  EXPECT_THAT(refusal(folder), HasSubstr("pytorch_model.bin is never read"));
  EXPECT_THAT(refusal(folder), HasSubstr("save_pretrained"));
  EXPECT_THAT(refusal(folder.file("absent")), HasSubstr("absent: is not a folder"));
  EXPECT_THAT(refusal(folder.file("pytorch_model.bin")), HasSubstr("is not a folder"));
  EXPECT_THAT(refusal(std::string("a\0b", 3)), HasSubstr("a\\x00b: is not a folder"));
  EXPECT_THAT(refusal(""), HasSubstr("is not a folder"));
}

TEST(Checkpoint, EveryPickleIsNamed) {
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"}) {
    const TempFolder folder;
    folder.write(name, "anything");
    EXPECT_THAT(refusal(folder), HasSubstr(std::string(name) + " is never read"));
  }
}

TEST(Checkpoint, WeightsThatAreNoRegularFiles) {
  {
    const TempFolder folder;
    ASSERT_EQ(::mkfifo(folder.file("model.safetensors").c_str(), 0600), 0);
    EXPECT_THAT(refusal(folder), HasSubstr("model.safetensors: is a named pipe"));
  }
  {
    const TempFolder folder;
    fs::create_directory(folder.path() / "model.safetensors");
    EXPECT_THAT(refusal(folder), HasSubstr("model.safetensors: is a folder"));
  }
  {
    const TempFolder folder;
    fs::create_symlink("/dev/zero", folder.path() / "model.safetensors");
    EXPECT_THAT(refusal(folder), HasSubstr("leads out of the model's folder, to /dev/zero"));
  }
  {
    const TempFolder folder;
    fs::create_symlink("model.safetensors", folder.path() / "model.safetensors");
    EXPECT_THAT(refusal(folder), HasSubstr("model.safetensors: is a link that leads nowhere"));
  }
  {
    const TempFolder folder;
    folder.write("model.safetensors", "");
    EXPECT_THAT(refusal(folder), HasSubstr("has 0 bytes, too short"));
  }
}

TEST(Checkpoint, LinksStayInTheFolder) {
  const TempFolder outside;
  const std::string secret = outside.write("secret.safetensors", shard_of({"a"}));
  const TempFolder folder;
  const fs::path link = folder.path() / "model.safetensors";

  fs::create_symlink(secret, link);
  EXPECT_THAT(refusal(folder), HasSubstr("model.safetensors: is a link that leads out of the model's folder"));
  fs::remove(link);
  fs::create_symlink(folder.path() / ".." / outside.path().filename() / "secret.safetensors", link);
  EXPECT_THAT(refusal(folder), HasSubstr("leads out of the model's folder"));
  fs::remove(link);
  fs::create_symlink("absent", link);
  EXPECT_THAT(refusal(folder), HasSubstr("is a link that leads nowhere"));
  fs::remove(link);
  folder.write("sub/weights.bin", shard_of({"a"}));
  fs::create_symlink("sub/weights.bin", link);
  EXPECT_EQ(refusal(folder), "accepted with 1 tensors") << "a link inside the folder";
  fs::remove_all(folder.path() / "sub");
  fs::create_directory_symlink(outside.path(), folder.path() / "sub");
  fs::remove(link);
  fs::create_symlink("sub/secret.safetensors", link);
  EXPECT_THAT(refusal(folder), HasSubstr("leads out of the model's folder")) << "through a linked folder";

  const TempFolder links;
  fs::create_directory_symlink(outside.path(), links.path() / "model");
  fs::rename(secret, outside.path() / "model.safetensors");
  EXPECT_EQ(refusal((links.path() / "model").string()), "accepted with 1 tensors") << "the folder itself may be a link";
}

TEST(Checkpoint, ASiblingFolderWithTheSameBeginningIsOutside) {
  const TempFolder parent;
  parent.write("model-evil/model.safetensors", shard_of({"a"}));
  fs::create_directory(parent.path() / "model");
  fs::create_symlink("../model-evil/model.safetensors", parent.path() / "model" / "model.safetensors");
  EXPECT_THAT(refusal(parent.file("model")), HasSubstr("leads out of the model's folder"));
}

TEST(Checkpoint, TheHubCacheLayoutOpens) {
  const TempFolder cache;
  const std::string repository = "models--org--name";
  cache.write(repository + "/blobs/1111", shard_of({"c", "a"}));
  cache.write(repository + "/blobs/2222", shard_of({"b"}));
  cache.write(repository + "/blobs/3333", kGoodIndex);
  const fs::path snapshot = cache.path() / repository / "snapshots" / "abcdef";
  fs::create_directories(snapshot / "sub");
  fs::create_symlink("../../blobs/1111", snapshot / kShard1);
  fs::create_symlink("../../blobs/2222", snapshot / kShard2);
  fs::create_symlink("../../blobs/3333", snapshot / kIndex);
  EXPECT_EQ(refusal(snapshot.string()), "accepted with 3 tensors");

  fs::create_symlink("../../../blobs/2222", snapshot / "sub" / "model.safetensors");
  EXPECT_EQ(refusal((snapshot / "sub").string()), "accepted with 1 tensors") << "a module's folder in a snapshot";

  const fs::path link = snapshot / "model.safetensors";
  cache.write("models--org--other/blobs/4444", shard_of({"b"}));
  fs::create_symlink("../../../models--org--other/blobs/4444", link);
  EXPECT_THAT(refusal(snapshot.string()), HasSubstr("leads out of the model's folder"))
      << "the blobs of another repository";
  fs::remove(link);
  cache.write(repository + "/refs/main", shard_of({"b"}));
  fs::create_symlink("../../refs/main", link);
  EXPECT_THAT(refusal(snapshot.string()), HasSubstr("leads out of the model's folder"))
      << "elsewhere in the repository";
  fs::remove(link);
  cache.write(repository + "/blobs/deep/5555", shard_of({"b"}));
  fs::create_symlink("../../blobs/deep/5555", link);
  EXPECT_THAT(refusal(snapshot.string()), HasSubstr("leads out of the model's folder")) << "below the blobs";
  fs::remove(link);
  cache.write("plain/blobs/6666", shard_of({"b"}));
  fs::create_directories(cache.path() / "plain" / "snapshots" / "abc");
  fs::create_symlink("../../blobs/6666", cache.path() / "plain" / "snapshots" / "abc" / "model.safetensors");
  EXPECT_THAT(refusal(cache.file("plain/snapshots/abc")), HasSubstr("leads out of the model's folder"))
      << "no cache folder";
}

TEST(ShardIndex, IsTakenApart) {
  const auto json = parse_json(kGoodIndex, "i", ErrorCode::kModel);
  ASSERT_TRUE(json.ok());
  const auto index = parse_shard_index(*json, "i");
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_THAT(index->shards, ElementsAre(kShard1, kShard2));
  EXPECT_EQ(*index->find("b"), 1U);
  EXPECT_EQ(*index->find("c"), 0U);
  EXPECT_EQ(index->find("d"), nullptr);
}

TEST(Checkpoint, HostileShardNames) {
  const std::string names[] = {"../x.safetensors",
                               "/etc/passwd",
                               "/etc/x.safetensors",
                               "C:\\\\x.safetensors",
                               "C:x.safetensors",
                               "\\\\\\\\host\\\\x.safetensors",
                               "a/b.safetensors",
                               "./a.safetensors",
                               "..",
                               ".",
                               "",
                               "a..safetensors",
                               "x\\u0000.safetensors",
                               "x\\n.safetensors",
                               std::string(5000, 'n') + ".safetensors",
                               "\\u007f.safetensors"};
  for (const std::string& name : names) {
    const TempFolder folder;
    folder.write(kIndex, "{\"weight_map\":{\"a\":\"" + name + "\"}}");
    const std::string message = refusal(folder);
    EXPECT_THAT(message, HasSubstr("model.safetensors.index.json: weight_map[\"a\"] is \"")) << name;
    EXPECT_THAT(message, HasSubstr("expected the plain name of a file in the model's folder")) << name;
    EXPECT_LT(message.size(), 600U);
  }
  for (const char* name : {"x.bin", "x.safetensors.bin", "model.SAFETENSORS", "x.safetensors "}) {
    const TempFolder folder;
    folder.write(kIndex, std::string("{\"weight_map\":{\"a\":\"") + name + "\"}}");
    EXPECT_THAT(refusal(folder), HasSubstr("expected a name that ends with .safetensors")) << name;
  }
}

TEST(Checkpoint, BadIndexes) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not JSON: empty"},
      {"[]", "expected an object with weight_map"},
      {"{}", "weight_map is missing or no object"},
      {R"({"weight_map":[]})", "weight_map is missing or no object"},
      {R"({"weight_map":null})", "weight_map is missing or no object"},
      {R"({"weight_map":{}})", "weight_map is empty"},
      {R"({"weight_map":{"a":1}})", "weight_map[\"a\"] is 1, expected a file name"},
      {R"({"weight_map":{"a":["x.safetensors"]}})", "weight_map[\"a\"] is [\"x.safetensors\"], expected a file name"},
      {R"({"weight_map":{"a":null}})", "expected a file name"},
      {R"({"weight_map":{"a":"x.safetensors","a":"y.safetensors"}})", "the key \"a\" appears twice"},
      {R"({"weight_map":{"a":"x.safetensors"},"weight_map":{}})", "the key \"weight_map\" appears twice"},
      {R"({"metadata":[],"weight_map":{"a":"x.safetensors"}})", "metadata is no object"},
      {R"({"metadata":{"total_size":-1},"weight_map":{"a":"x.safetensors"}})", "metadata.total_size is -1"},
      {R"({"metadata":{"total_size":"1"},"weight_map":{"a":"x.safetensors"}})", "metadata.total_size is \"1\""},
      {R"({"metadata":{"total_size":-0.5},"weight_map":{"a":"x.safetensors"}})", "metadata.total_size is -0.5"},
      {R"({"weight_map":{"a":"x.safetensors"}} x)", "not JSON"},
      {R"({"weight_map":{"a":"x.safetensors"}})", "x.safetensors: cannot be opened (No such file"},
  };
  for (const auto& [index, expected] : cases) {
    const TempFolder folder;
    folder.write(kIndex, index);
    EXPECT_THAT(refusal(folder), HasSubstr(expected)) << index;
  }
}

TEST(Checkpoint, OddButGoodIndexes) {
  for (const char* metadata : {R"("metadata":{"total_size":24.0},)", R"("metadata":{},)", R"("metadata":null,)", "",
                               R"("metadata":{"total_size":1,"total_parameters":2,"note":["x"]},"extra":1,)"}) {
    const TempFolder folder;
    folder.write("x.safetensors", shard_of({"a"}));
    folder.write(kIndex, std::string("{") + metadata + R"("weight_map":{"a":"x.safetensors"}})");
    EXPECT_EQ(refusal(folder), "accepted with 1 tensors") << metadata;
  }
}

TEST(Checkpoint, ShardsAndIndexMustAgree) {
  {
    const TempFolder folder;
    write_sharded(folder);
    fs::remove(folder.path() / kShard2);
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: cannot be opened"));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    folder.write(kShard1, shard_of({"a"}));
    EXPECT_THAT(refusal(folder), HasSubstr("model-00001-of-00002.safetensors: lacks tensor \"c\""));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    folder.write(kShard2, shard_of({"b", "d"}));
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: holds tensor \"d\", which"));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    folder.write(kShard2, shard_of({"a", "b"}));
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: holds tensor \"a\", which "
                                           "model.safetensors.index.json places in model-00001-of-00002.safetensors"));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    folder.write(kShard1, shard_of({"b"}));
    folder.write(kShard2, shard_of({"c", "a"}));
    EXPECT_THAT(refusal(folder), HasSubstr("model-00001-of-00002.safetensors: holds tensor \"b\""));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    fs::remove(folder.path() / kShard2);
    ASSERT_EQ(::mkfifo(folder.file(kShard2).c_str(), 0600), 0);
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: is a named pipe"));
  }
  {
    const TempFolder folder;
    write_sharded(folder);
    fs::remove(folder.path() / kShard2);
    fs::create_symlink("/etc/passwd", folder.path() / kShard2);
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: is a link that leads out"));
  }
  {
    const TempFolder outside;
    const TempFolder folder;
    write_sharded(folder);
    fs::remove(folder.path() / kIndex);
    fs::create_symlink(outside.write("i.json", kGoodIndex), folder.path() / kIndex);
    EXPECT_THAT(refusal(folder), HasSubstr("model.safetensors.index.json: is a link that leads out"));
  }
}

TEST(Checkpoint, TruncatedShardsAreNamed) {
  const std::string whole = shard_of({"b"});
  std::mt19937 random(20261121);
  for (int i = 0; i < 64; ++i) {
    const TempFolder folder;
    write_sharded(folder);
    folder.write(kShard2, std::string_view(whole).substr(0, random() % whole.size()));
    EXPECT_THAT(refusal(folder), HasSubstr("model-00002-of-00002.safetensors: "));
  }
}

}  // namespace
}  // namespace layerscope
