// What lies in a folder, for comparing runs byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace layerscope::test {

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Name to content of every file of a run, its lock aside.
inline std::map<std::string, std::string> run_files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != ".lock") {
      files[std::filesystem::relative(entry.path(), folder).string()] = read_bytes(entry.path());
    }
  }
  return files;
}

/// Equal, or the first file that is not (without its content).
inline ::testing::AssertionResult same_files(const std::map<std::string, std::string>& a,
                                             const std::map<std::string, std::string>& b) {
  for (const auto* side : {&a, &b}) {
    const auto& other = side == &a ? b : a;
    for (const auto& [name, content] : *side) {
      const auto found = other.find(name);
      if (found == other.end()) return ::testing::AssertionFailure() << name << " is in one folder alone";
      if (found->second != content) return ::testing::AssertionFailure() << name << " differs";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace layerscope::test
