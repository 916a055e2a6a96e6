// What is made from the option table, and text on terminals.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/suggest.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// What a shell command prints.
std::string output_of(const std::string& command) {
  std::string out;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return out;
  std::array<char, 4096> buffer{};
  for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;)
    out.append(buffer.data(), count);
  return out;
}

/// A file with this content that goes away at the end of the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(testing::TempDir() + "layerscope_cli_" + std::to_string(getpid())) {
    std::ofstream(path_) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string without_backslashes(std::string text) {
  std::erase(text, '\\');
  return text;
}

TEST(OptionTable, RowsStandAtTheirFlagsPlace) {
  for (std::size_t k = 0; k < flag_table().size(); ++k) EXPECT_EQ(static_cast<std::size_t>(flag_table()[k].flag), k);
  for (std::size_t k = 0; k < command_table().size(); ++k)
    EXPECT_EQ(static_cast<std::size_t>(command_table()[k].command), k);
}

TEST(OptionTable, EveryFlagIsInHelpManAndEveryCompletion) {
  const std::string man = without_backslashes(manual_page());
  const std::string bash = completion_script("bash");
  const std::string zsh = completion_script("zsh");
  const std::string fish = completion_script("fish");
  for (const FlagRow& flag : flag_table()) {
    const std::string name(flag.long_name);
    EXPECT_THAT(man, HasSubstr("fB" + name + "fR"));
    EXPECT_THAT(bash, HasSubstr(name));
    EXPECT_THAT(zsh, HasSubstr(name));
    EXPECT_THAT(fish, HasSubstr("-l " + name.substr(2) + " "));
    for (const CommandRow& command : command_table()) {
      // A name may mean one thing to one command and another to the next.
      const bool taken = std::ranges::any_of(flag_table(), [&](const FlagRow& other) {
        return other.long_name == flag.long_name && other.takes(command.command);
      });
      if (taken) {
        EXPECT_THAT(help_text(command.command), HasSubstr(name));
      } else {
        EXPECT_THAT(help_text(command.command), Not(HasSubstr(name + " "))) << command.name;
      }
    }
  }
}

TEST(OptionTable, EveryCommandHasAnExampleAndIsListed) {
  for (const CommandRow& command : command_table()) {
    EXPECT_THAT(std::string(command.examples), HasSubstr("layerscope " + std::string(command.name)));
    EXPECT_THAT(help_text(command.command),
                HasSubstr(std::string(command.examples.substr(0, command.examples.find('\n')))));
    EXPECT_THAT(help_text(std::nullopt), HasSubstr("  " + std::string(command.name) + " "));
    EXPECT_THAT(without_backslashes(manual_page()), HasSubstr("layerscope " + std::string(command.name)));
  }
}

TEST(OptionTable, HelpFitsEightyColumnsWhereWordsAllow) {
  for (const CommandRow& command : command_table()) {
    std::istringstream lines(help_text(command.command));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("layerscope ") != std::string::npos) continue;
      EXPECT_LE(display_width(line), 112U) << line;
    }
  }
}

std::string complete_in_bash(const std::string& line) {
  const TemporaryFile script(completion_script("bash"));
  return output_of("bash --norc -c 'source " + script.path() + "; COMP_WORDS=(" + line +
                   "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _layerscope; echo \"${COMPREPLY[*]}\"' 2>&1");
}

TEST(BashCompletion, CompletesCommandsFlagsAndValues) {
  EXPECT_EQ(complete_in_bash("layerscope st"), "states\n");
  EXPECT_EQ(complete_in_bash("layerscope states m --posi"), "--positions\n");
  EXPECT_EQ(complete_in_bash("layerscope states m --pool m"), "mean max mean_sqrt\n");
  EXPECT_EQ(complete_in_bash("layerscope verify --layers"), "\n") << "verify has no --layers";
  EXPECT_EQ(complete_in_bash("layerscope completion f"), "fish\n");
  EXPECT_EQ(complete_in_bash("layerscope help ver"), "verify\n");
}

TEST(BashCompletion, CompletesFiles) {
  const std::string folder = LAYERSCOPE_SOURCE_DIR "/include/layerscope/";
  EXPECT_EQ(complete_in_bash("layerscope states m -i " + folder + "ta"), folder + "tap.h\n");
}

TEST(ManualPage, EscapesWhatTroffWouldRead) {
  const std::string page = manual_page();
  EXPECT_THAT(page, testing::StartsWith(".TH LAYERSCOPE 1"));
  EXPECT_THAT(page, HasSubstr("\\-\\-layers"));
  EXPECT_THAT(page, HasSubstr(".SH EXIT STATUS"));
  if (output_of("command -v groff").empty()) GTEST_SKIP() << "no groff here";
  const TemporaryFile file(page);
  EXPECT_EQ(output_of("groff -man -ww -Tutf8 " + file.path() + " 2>&1 >/dev/null"), "");
}

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("layers", "layers"), 0U);
  EXPECT_EQ(edit_distance("lyaers", "layers"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  const std::array<std::string_view, 2> words{"--positions", "--pool"};
  EXPECT_EQ(nearest("--posit", words), "--positions");
  EXPECT_EQ(nearest("--xyzzy", words), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), words), "");
}

TEST(DisplayText, Widths) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("Größe"), 5U);
  EXPECT_EQ(display_width("日本語"), 6U);
  EXPECT_EQ(display_width("한국"), 4U);
  EXPECT_EQ(display_width("🙂"), 2U);
  EXPECT_EQ(display_width("e\u0301"), 1U) << "a combining accent";
  EXPECT_EQ(display_width("👩\u200D💻"), 4U) << "a joiner takes no column";
  EXPECT_EQ(display_width("ﾊﾝｶｸ"), 4U) << "halfwidth forms";
  EXPECT_EQ(display_width("▁█·…"), 4U);
  EXPECT_EQ(display_width("Ġthe"), 4U);
}

TEST(DisplayText, ControlCharactersLoseTheirPower) {
  EXPECT_EQ(visible("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(visible("\033[31mred"), "\\x1b[31mred");
  EXPECT_EQ(visible("\u009b"), "\\x9b");
  EXPECT_EQ(visible("a\u202eb"), "a\\u202eb");
  EXPECT_EQ(visible("a\xff"), "a\uFFFD");
  EXPECT_EQ(visible("日本"), "日本");
}

TEST(DisplayText, Clipping) {
  EXPECT_EQ(clipped("abcdef", 6), "abcdef");
  EXPECT_EQ(clipped("abcdef", 5), "abcd…");
  EXPECT_EQ(clipped("日本語", 4), "日…") << "half a wide character is none";
  EXPECT_EQ(clipped("abc", 0), "");
  EXPECT_EQ(clipped_middle("0123456789", 7), "0123…89");
  EXPECT_EQ(left_aligned("日本語", 5), "日本…");
  EXPECT_EQ(left_aligned("日", 4), "日  ");
  EXPECT_EQ(right_aligned("x", 3), "  x");
}

}  // namespace
}  // namespace layerscope::cli
