// Kills and failures at every call that changes files, and kills at random moments: a run that goes on afterwards has
// the bytes of one that was never interrupted. LAYERSCOPE_LONG_TESTS=1 runs every call and 500 random kills.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/file_io.h"
#include "store/run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"

extern char** environ;

namespace layerscope {
namespace {

using test::read_bytes;
using test::run_files;
using test::same_files;
using test::TempFolder;
using Environment = std::map<std::string, std::string>;

bool long_form() { return std::getenv("LAYERSCOPE_LONG_TESTS") != nullptr; }

/// Exit status, or minus the signal.
int wait_for(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {}
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

class Fault : public ::testing::Test {
 protected:
  pid_t start(const Environment& faults, int threads = 1) const {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
    if (!faults.empty()) variables.push_back(std::string("LD_PRELOAD=") + LAYERSCOPE_KILL_AT);
    for (const auto& [name, value] : faults) variables.push_back(name + "=" + value);
    std::vector<std::string> words = {LAYERSCOPE_JOB_RUNNER, input_, run_, std::to_string(threads)};
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> result;
      for (std::string& text : texts) result.push_back(text.data());
      result.push_back(nullptr);
      return result;
    };
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t process = 0;
    EXPECT_EQ(::posix_spawn(&process, LAYERSCOPE_JOB_RUNNER, &actions, nullptr, pointers(words).data(),
                            pointers(variables).data()),
              0);
    posix_spawn_file_actions_destroy(&actions);
    return process;
  }
  int run(const Environment& faults, int threads = 1) const { return wait_for(start(faults, threads)); }
  Environment fault(long at, const std::string& action) const {
    return {{"FAULT_FOLDER", run_}, {"FAULT_AT", std::to_string(at)}, {"FAULT_ACTION", action}};
  }

  void SetUp() override {
    ASSERT_EQ(run({}), 0) << read_bytes(errors_);
    whole_ = run_files(run_);
    ASSERT_GT(whole_.size(), 5U);
    std::filesystem::remove_all(run_);
    Environment counting = fault(0, "none");
    counting["FAULT_COUNT"] = temp_.file("count");
    ASSERT_EQ(run(counting), 0);
    calls_ = std::stol(read_bytes(temp_.file("count")));
    ASSERT_GT(calls_, 50);
    std::filesystem::remove_all(run_);
  }

  /// What is there after an interruption is sound, nothing half-done is visible, and the same command completes the
  /// run.
  void check_resume(const std::string& state) {
    if (std::filesystem::exists(run_ + "/manifest.json")) {
      const auto report = verify_run(run_);
      ASSERT_TRUE(report.ok()) << state;
      ASSERT_TRUE(report->damaged.empty()) << state << ": " << report->damaged[0].why;
    }
    ASSERT_EQ(run({}), 0) << state << ": " << read_bytes(errors_);
    ASSERT_TRUE(same_files(run_files(run_), whole_)) << state;
    std::filesystem::remove_all(run_);
  }

  static std::string corpus() {
    std::string text;
    for (int line = 0; line < 60; ++line)
      text += std::string(static_cast<std::size_t>(line * 7 % 40), 'x') + std::to_string(line) + "\n";
    return text;
  }

  TempFolder temp_;
  std::string input_ = temp_.write("input.txt", corpus());
  std::string run_ = temp_.file("the-run");
  std::string errors_ = temp_.file("errors");
  std::map<std::string, std::string> whole_;
  long calls_ = 0;
};

TEST_F(Fault, KilledAroundEveryCall) {
  const long step = long_form() ? 1 : std::max(1L, calls_ / 60);
  long killed = 0;
  for (long at = 1; at <= calls_; at += step) {
    for (const char* action : {"before", "after"}) {
      const int status = run(fault(at, action));
      killed += status == -SIGKILL ? 1 : 0;
      check_resume(std::string(action) + " call " + std::to_string(at));
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(killed, 80);
}

TEST_F(Fault, KilledAtRandomMoments) {
  std::mt19937 random(1);
  const int rounds = long_form() ? 500 : 15;
  for (int round = 0; round < rounds; ++round) {
    for (int kill = 0; kill < 2; ++kill) {
      const pid_t process = start({}, 2);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
      ::kill(process, SIGKILL);
      wait_for(process);
    }
    check_resume("round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

TEST_F(Fault, EveryFailingCallIsAnErrorThatNamesTheFile) {
  const long step = long_form() ? 1 : std::max(1L, calls_ / 25);
  for (const std::string action : {"ENOSPC", "EIO", "EDQUOT", "EMFILE"}) {
    for (const bool persistent : {false, true}) {
      for (long at = 1; at <= calls_; at += step) {
        Environment environment = fault(at, action);
        if (persistent) environment["FAULT_PERSISTENT"] = "1";
        const std::string state = action + (persistent ? " from" : " at") + " call " + std::to_string(at);
        const int status = run(environment);
        if (status != 0) {
          ASSERT_EQ(status, 5) << state << ": " << read_bytes(errors_);
          ASSERT_NE(read_bytes(errors_).find(run_), std::string::npos) << state << ": " << read_bytes(errors_);
        }
        check_resume(state);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(Fault, ShortWritesAndInterruptionsAreNoErrors) {
  for (const std::string action : {"short", "interrupt"}) {
    const long step = long_form() ? 1 : std::max(1L, calls_ / 25);
    for (long at = 1; at <= calls_; at += step) {
      // Renaming, unlinking and making folders are never interrupted by the system, so EINTR there is an error.
      const int status = run(fault(at, action));
      if (action == "short") {
        ASSERT_EQ(status, 0) << action << " call " << at << ": " << read_bytes(errors_);
      }
      check_resume(action + " call " + std::to_string(at));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(Fault, ADisorderlyJournalIsNoticed) {
  // The other way round: if lines could be written before their shards, verify must see it.
  ASSERT_EQ(run({}), 0);
  std::filesystem::remove(run_ + "/shard-00001.safetensors");
  const auto report = verify_run(run_);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->damaged.size(), 1U);
  EXPECT_EQ(report->damaged[0].shard, 1);
  EXPECT_EQ(run({}), 6);
}

}  // namespace
}  // namespace layerscope
