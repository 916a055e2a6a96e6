// Names looked up in made-up caches: what resolves, what is refused, and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerscope/hub.h"
#include "support/temp_folder.h"

namespace layerscope::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
const std::string kOther = "fedcba9876543210fedcba9876543210fedcba98";

/// A cache as huggingface_hub writes it: files are links from a snapshot to blobs.
class HubCache : public ::testing::Test {
 protected:
  void SetUp() override {
    reference("main", kCommit);
    for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) blob(kCommit, file, "{}");
  }

  void reference(const std::string& revision, const std::string& content) {
    temp.write("models--org--name/refs/" + revision, content);
  }
  void blob(const std::string& commit, const std::string& file, const std::string& content) {
    const std::string etag = "etag-" + commit.substr(0, 4) + "-" + file;
    temp.write("models--org--name/blobs/" + etag, content);
    link(commit, file, "../../blobs/" + etag);
  }
  void link(const std::string& commit, const std::string& file, const std::string& target) {
    const fs::path at = snapshot(commit) + "/" + file;
    fs::create_directories(at.parent_path());
    fs::remove(at);
    fs::create_symlink(target, at);
  }
  void drop(const std::string& file) { fs::remove(snapshot(kCommit) + "/" + file); }
  [[nodiscard]] std::string snapshot(const std::string& commit) const {
    return temp.file("models--org--name/snapshots/" + commit);
  }
  [[nodiscard]] Result<std::string> find(const std::string& model) const {
    return find_model_folder(model, temp.path().string());
  }
  void expect_found(const std::string& model, const std::string& commit) {
    const auto found = find(model);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(*found, snapshot(commit));
  }
  void expect_refused(const std::string& model, const std::string& reason) {
    const auto found = find(model);
    ASSERT_FALSE(found.ok()) << *found;
    EXPECT_EQ(found.error().code, ErrorCode::kModel);
    EXPECT_THAT(found.error().message, HasSubstr(reason));
    EXPECT_EQ(found.error().message.find('\n'), std::string::npos);
  }

  TempFolder temp;
};

TEST_F(HubCache, ANameIsItsMainSnapshot) { expect_found("org/name", kCommit); }

TEST_F(HubCache, ARevisionIsABranchATagOrACommit) {
  for (const char* file : {"config.json", "model.safetensors"}) blob(kOther, file, "{}");
  reference("v1.0", kOther);
  reference("refs/pr/2", kOther + "\n");
  expect_found("org/name@v1.0", kOther);
  expect_found("org/name@refs/pr/2", kOther);
  expect_found("org/name@" + kOther, kOther);
  expect_found("org/name@main", kCommit);
  expect_refused("org/name@v2", "no revision \"v2\" of org/name is cached");
  expect_refused("org/name@0123456", "no revision \"0123456\"");
}

TEST_F(HubCache, ANameWithoutAnOrganisationIsOneToo) {
  temp.write("models--single/refs/main", kCommit);
  temp.write("models--single/snapshots/" + kCommit + "/config.json", "{}");
  temp.write("models--single/snapshots/" + kCommit + "/model.safetensors", "");
  const auto found = find("single");
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, temp.file("models--single/snapshots/" + kCommit));
}

TEST_F(HubCache, AFolderOfThatNameWins) {
  const TempFolder here;
  fs::create_directories(here.path() / "org/name");
  const fs::path before = fs::current_path();
  fs::current_path(here.path());
  const auto found = find("org/name");
  fs::current_path(before);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, "org/name");
}

TEST_F(HubCache, WhatIsNoNameIsLeftAlone) {
  for (const char* model : {"/org/name", "./org", "../name", "org/../name", "org/name/more", "org\\name", "", "org/",
                            "org/na me", "org/name@", "org/name@../main", "org/name@a//b", "org/name@-x", "a--b/c",
                            "org/.name", "org/name@/etc/passwd"}) {
    const auto found = find(model);
    ASSERT_TRUE(found.ok()) << model;
    EXPECT_EQ(*found, model);
  }
}

TEST_F(HubCache, WhatIsNotCachedIsRefused) {
  expect_refused("org/else", "org/else: is no folder, and not in the local cache");
  fs::remove_all(snapshot(kCommit));
  expect_refused("org/name", "no such snapshot");
  fs::remove(temp.file("models--org--name/refs/main"));
  expect_refused("org/name", "no revision \"main\"");
}

TEST_F(HubCache, APartialSnapshotIsRefused) {
  drop("config.json");
  expect_refused("org/name", "the snapshot is partial: it has no config.json");
  blob(kCommit, "config.json", "{}");
  drop("tokenizer.json");
  expect_found("org/name", kCommit);
  temp.write("models--org--name/blobs/etag.1234abcd.incomplete", "half");
  expect_refused("org/name", "it has no tokenizer, and a download has not finished");
  blob(kCommit, "tokenizer.json", "{}");
  expect_found("org/name", kCommit);
  drop("model.safetensors");
  expect_refused("org/name", "neither model.safetensors nor model.safetensors.index.json, and a download");
  fs::remove(temp.file("models--org--name/blobs/etag-0123-tokenizer.json"));
  blob(kCommit, "model.safetensors", "");
  expect_refused("org/name", "no tokenizer.json: its link leads nowhere");
  link(kCommit, "tokenizer.json", "../../blobs/etag.1234abcd.incomplete");
  expect_refused("org/name", "tokenizer.json in part only");
}

TEST_F(HubCache, EveryShardOfAnIndexIsThere) {
  drop("model.safetensors");
  blob(kCommit, "model.safetensors.index.json",
       R"({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}})");
  blob(kCommit, "model-1-of-2.safetensors", "");
  expect_refused("org/name", "the snapshot is partial: it has no model-2-of-2.safetensors");
  blob(kCommit, "model-2-of-2.safetensors", "");
  expect_found("org/name", kCommit);
  blob(kCommit, "model.safetensors.index.json", R"({"weight_map": {"a": "../../../secret.safetensors"}})");
  expect_refused("org/name", "model.safetensors.index.json");
}

TEST_F(HubCache, NothingLeadsOutOfTheRepository) {
  temp.write("outside.json", "{}");
  link(kCommit, "config.json", temp.file("outside.json"));
  expect_refused("org/name", "leads out of the repository's snapshot and blobs");
  link(kCommit, "config.json", "config.json");
  expect_refused("org/name", "config.json: cannot be opened");
  drop("config.json");
  ASSERT_EQ(::mkfifo((snapshot(kCommit) + "/config.json").c_str(), 0600), 0);
  expect_refused("org/name", "is not a regular file");
  drop("config.json");
  blob(kCommit, "config.json", "{}");
  link(kCommit, "special_tokens_map.json", temp.file("outside.json"));
  expect_refused("org/name", "special_tokens_map.json: is a link that leads out");
}

TEST_F(HubCache, ASnapshotIsNoLink) {
  fs::rename(snapshot(kCommit), temp.file("elsewhere"));
  fs::create_directory_symlink(temp.file("elsewhere"), snapshot(kCommit));
  expect_refused("org/name", "is a link, to");
  fs::remove(snapshot(kCommit));
  fs::create_directory_symlink(snapshot(kCommit), snapshot(kCommit));
  expect_refused("org/name", "no such snapshot");
}

TEST_F(HubCache, AReferenceHoldsACommit) {
  for (const std::string& content : {std::string("../../../etc"), std::string(), kCommit + kCommit, std::string("main"),
                                     std::string(40, 'G'), std::string(1 << 16, 'a')}) {
    reference("main", content);
    expect_refused("org/name", "refs/main");
  }
  fs::remove(temp.file("models--org--name/refs/main"));
  temp.write("commit", kCommit);
  fs::create_symlink(temp.file("commit"), temp.file("models--org--name/refs/main"));
  expect_refused("org/name", "is a link, to");
  fs::remove(temp.file("models--org--name/refs/main"));
  fs::create_symlink("main", temp.file("models--org--name/refs/main"));
  expect_refused("org/name", "cannot be opened");
}

TEST_F(HubCache, TheRepositoryItselfMayLieElsewhere) {
  const TempFolder disk;
  fs::rename(temp.file("models--org--name"), disk.file("moved"));
  fs::create_directory_symlink(disk.file("moved"), temp.file("models--org--name"));
  const auto found = find("org/name");
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, disk.file("moved/snapshots/" + kCommit));
}

/// The environment, put back at the end.
class HubEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kNames) {
      const char* value = ::getenv(name);
      before_.emplace_back(name, value == nullptr ? std::optional<std::string>() : value);
      ::unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  static constexpr const char* kNames[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME",
                                           "HOME"};
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

TEST_F(HubEnvironment, TheFirstVariableThatIsSetSaysWhere) {
  EXPECT_EQ(find_hub_cache(), "");
  ::setenv("HOME", "/me", 1);
  EXPECT_EQ(find_hub_cache(), "/me/.cache/huggingface/hub");
  ::setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(find_hub_cache(), "/caches/huggingface/hub");
  ::setenv("HF_HOME", "~/models", 1);
  EXPECT_EQ(find_hub_cache(), "/me/models/hub");
  ::setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(find_hub_cache(), "/old");
  ::setenv("HF_HUB_CACHE", "/hub", 1);
  EXPECT_EQ(find_hub_cache(), "/hub");
  ::setenv("HF_HUB_CACHE", "", 1);
  EXPECT_EQ(find_hub_cache(), "/old");
}

}  // namespace
}  // namespace layerscope::test
