// Globs over site names.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tap/sites.h"

namespace layerscope::testing {
namespace {

// The meaning, by recursion.
bool means(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.starts_with("**")) {
    for (std::size_t taken = 0; taken <= name.size(); ++taken) {
      if (means(pattern.substr(2), name.substr(taken))) return true;
    }
    return false;
  }
  if (pattern.front() == '*') {
    for (std::size_t taken = 0; taken <= name.size(); ++taken) {
      if (means(pattern.substr(1), name.substr(taken))) return true;
      if (taken < name.size() && name[taken] == '.') return false;
    }
    return false;
  }
  return !name.empty() && name.front() == pattern.front() && means(pattern.substr(1), name.substr(1));
}

TEST(Glob, Cases) {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  const Case cases[] = {
      {"final", "final", true},
      {"final", "finals", false},
      {"", "", true},
      {"", "final", false},
      {"*", "", true},
      {"*", "final", true},
      {"*", "block.0.out", false},
      {"**", "block.0.out", true},
      {"**", "", true},
      {"block.*.out", "block.11.out", true},
      {"block.*.out", "block.1.mlp.out", false},
      {"block.**.out", "block.1.mlp.out", true},
      {"block.**.out", "block.1.out", true},
      {"block.**out", "block.out", true},
      {"block.*.mlp.*", "block.3.mlp.act", true},
      {"block.*.mlp.*", "block.3.mlp", false},
      {"block.1*.out", "block.1.out", true},
      {"block.1*.out", "block.12.out", true},
      {"block.1*.out", "block.21.out", false},
      {"**.q", "block.0.attn.q", true},
      {"**.q", "q", false},
      {"***", "a.b", true},
      {"enc.**", "enc.block.0.out", true},
      {"enc.**", "dec.block.0.out", false},
      {"*.*.*", "a.b.c", true},
      {"*.*.*", "a.b", false},
      {"**a*b", "x.a.ab", true},
      {"Final", "final", false},
      {"?inal", "final", false},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(glob_matches(test.pattern, test.name), test.matches) << test.pattern << " on " << test.name;
    EXPECT_EQ(means(test.pattern, test.name), test.matches) << "the meaning itself, " << test.pattern;
  }
}

TEST(Glob, RandomPatternsMeanWhatTheRecursionSays) {
  std::mt19937 random(1);
  const auto word = [&](std::string_view letters, std::size_t most) {
    std::string text(random() % (most + 1), ' ');
    for (char& letter : text) letter = letters[random() % letters.size()];
    return text;
  };
  int matches = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::string pattern = word("ab.**", 9), name = word("aab.", 9);
    const bool expected = means(pattern, name);
    matches += expected;
    ASSERT_EQ(glob_matches(pattern, name), expected) << pattern << " on " << name;
  }
  EXPECT_GT(matches, 1000);
}

TEST(Glob, PathologicalPatternsEnd) {
  std::string pattern, name(2000, 'a');
  for (int i = 0; i < 500; ++i) pattern += "a*";
  EXPECT_FALSE(glob_matches(pattern + "b", name));
  pattern.clear();
  for (int i = 0; i < 500; ++i) pattern += "**a*";
  EXPECT_FALSE(glob_matches(pattern + "b", name));
  EXPECT_TRUE(glob_matches(pattern, name));
}

}  // namespace
}  // namespace layerscope::testing
