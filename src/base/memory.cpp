#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace layerscope {
namespace {

/// The number that a file of one number holds; nothing for "max".
std::optional<std::uint64_t> number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> available_memory() {
  std::optional<std::uint64_t> least;
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::uint64_t kilobytes = 0;
  while (file >> word) {
    if (word == "MemAvailable:" && file >> kilobytes) least = kilobytes * 1024;
  }
  const auto most = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (most && used) {
    const std::uint64_t left = *most - std::min(*most, *used);
    least = std::min(left, least.value_or(left));
  }
  return least;
}

}  // namespace layerscope
