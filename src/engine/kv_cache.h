// Keys and values of earlier tokens of one sequence, so that new tokens can be run against them.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "engine/workspace.h"
#include "layerscope/tensor.h"
#include "spec/spec.h"

namespace layerscope {

/// One sequence's cache over the decoder's blocks. Filled by the forward pass; keys are stored after norm and rotation,
/// in the operand's precision, as the backend's attention reads them. Tokens that join it leave the others where they
/// are. After a run that failed it is of no more use.
class KvCache {
 public:
  /// The keys and values of one attention.
  class Pages {
   public:
    /// Makes room for `added` tokens, which are still to be remembered. `page_bytes` is the same in all calls. Throws
    /// std::bad_alloc.
    KeyValuePages grow(std::int64_t added, std::size_t page_bytes);
    [[nodiscard]] std::uint64_t bytes() const noexcept { return pages_.size() * page_bytes_; }

   private:
    std::vector<RowBuffer> memory_;
    std::vector<std::byte*> pages_;
    std::size_t page_bytes_ = 0;
    std::int64_t tokens_ = 0;
  };
  /// What a short convolution's next token reaches back to.
  struct History {
    std::vector<std::byte> bytes;
    std::int64_t rows = 0;
    void set(const RowsView& values);
    [[nodiscard]] RowsView view(DType dtype, std::int64_t width) const noexcept;
  };
  struct StepEntries {
    Pages pages;
    History history;
  };

  [[nodiscard]] std::int64_t tokens() const noexcept { return tokens_; }
  void advance(std::int64_t tokens) noexcept { tokens_ += tokens; }
  [[nodiscard]] StepEntries& at(int block, int step);
  /// Memory of keys, values and histories.
  [[nodiscard]] std::uint64_t bytes() const noexcept;

 private:
  std::vector<std::vector<StepEntries>> blocks_;
  std::int64_t tokens_ = 0;
};

/// Bytes that a cache of `tokens` decoder tokens holds, behind an encoder's `encoder_tokens` where there is one.
/// Numbers of tokens are not negative; what is too large to be counted gives the largest std::uint64_t.
[[nodiscard]] std::uint64_t cache_bytes(const ModelSpec& spec, const Backend& backend, std::int64_t tokens,
                                        std::int64_t encoder_tokens = 0) noexcept;

}  // namespace layerscope
