// What a hostile header of the largest allowed size can make the parser allocate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "checkpoint/safetensors.h"
#include "support/safetensors_bytes.h"

namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* const memory = std::malloc(size);
  const std::size_t live = live_bytes += ::malloc_usable_size(memory);
  if (live > peak_bytes) peak_bytes = live;
  return memory;
}

[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace layerscope {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kMostAllowed = 100'000'000;

/// Repeats `piece` until the header has 99,999,999 bytes.
std::string largest_file(std::string_view start, std::string_view piece) {
  constexpr std::size_t kSize = 99'999'999;
  std::string file = test::length_bytes(kSize);
  file.reserve(8 + kSize);
  file += start;
  while (8 + kSize - file.size() >= piece.size()) file += piece;
  file.resize(8 + kSize, ' ');
  return file;
}

struct Cost {
  std::string message;
  std::size_t bytes;
};

Cost cost_of(const std::string& file) {
  const std::size_t before = live_bytes;
  peak_bytes = before;
  const auto header = parse_safetensors(test::bytes_of(file), "m.safetensors");
  return {header.ok() ? "accepted" : header.error().message, peak_bytes - before};
}

TEST(SafetensorsCost, TheCounterCounts) {
  const std::size_t before = live_bytes;
  peak_bytes = before;
  { const std::string large(1'000'000, 'x'); }
  EXPECT_GE(peak_bytes - before, 1'000'000U);
}

TEST(SafetensorsCost, HostileHeadersOfTheLargestSize) {
  struct Case {
    const char* start;
    const char* piece;
    const char* expected;
  };
  const std::string long_name = "\"" + std::string(4000, 'n') + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  const Case cases[] = {
      {"{", "\x01", "expected a string as a key"},
      {"{", " ", "expected a string as a key"},
      {"{", "{", "expected a string as a key"},
      {"{", "\"a\":", "as its entry is an object"},
      {"{\"", "n", "names of at most 4096 bytes"},
      {"{\"a\":{\"dtype\":\"", "F", "names of at most 4096 bytes"},
      {"{\"a\":{\"shape\":[0", ",0", "more than 8 dimensions"},
      {"{\"a\":{\"shape\":[", "9", "overflows"},
      {"{\"a\":{\"data_offsets\":[0,1", ",0", "expected data_offsets as"},
      {"{\"__metadata__\":{\"k\":\"", "v", "the end of a string"},
      {"{\"__metadata__\":{\"k\":\"", "\\n", "the end of a string"},
      {"{\"__metadata__\":{\"\":\"\"", ",\"\":\"\"", "has more than 10000 entries"},
      {"{", R"("":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)", "describes more than 200000 tensors"},
      {"{", R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)", "describes more than 200000 tensors"},
      {"{", long_name.c_str(), "has names of more than 16777216 bytes"},
  };
  for (const Case& hostile : cases) {
    const Cost cost = cost_of(largest_file(hostile.start, hostile.piece));
    EXPECT_THAT(cost.message, HasSubstr(hostile.expected)) << hostile.start << hostile.piece;
    EXPECT_LT(cost.bytes, kMostAllowed) << hostile.start;
    EXPECT_LT(cost.message.size(), 400U);
  }
}

}  // namespace
}  // namespace layerscope
