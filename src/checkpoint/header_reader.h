// The JSON of a safetensors header, read in place.
//
// simdjson would first copy and index the whole header, several times its 100 MB at worst; the grammar here is small
// and of fixed depth, so it is read in one pass that stops at the first fault and allocates for tensors only. The
// fuzzer holds it against base/json.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "layerscope/error.h"

namespace layerscope {

class HeaderReader {
 public:
  /// `text` is valid UTF-8 and outlives the reader; `file` names it in errors.
  HeaderReader(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  /// The entries in the order of the text. Offsets are not yet compared with anything.
  [[nodiscard]] Result<std::vector<TensorEntry>> run();

 private:
  Status read_entry(std::string name, std::vector<TensorEntry>& entries);
  Status read_metadata();
  Status read_dtype(TensorEntry& entry);
  Status read_shape(TensorEntry& entry);
  Status read_offsets(TensorEntry& entry);

  template <class OnMember>
  Status read_object(std::string_view what, OnMember on_member);
  /// A key or another short string: at most kMaxNameBytes.
  Status read_string(std::string_view what, std::string& out);
  /// A string of any length, checked and dropped.
  Status skip_string(std::string_view what);
  Status read_characters(std::string& out, bool keep);
  Status read_escape(std::string& out);
  Status read_hex4(char32_t& unit);
  Status read_integer(std::string_view what, std::uint64_t& out);

  void skip_space() noexcept;
  /// Skips space, then takes the character if it comes next.
  bool take(char expected) noexcept;
  [[nodiscard]] Error malformed(std::string_view expected) const;
  [[nodiscard]] Error fail(const std::string& what) const;
  Status check_unique(std::vector<std::string_view> keys, std::string_view what) const;

  std::string_view text_;
  std::string_view file_;
  std::size_t at_ = 0;
  std::size_t name_bytes_ = 0;
  std::string tensor_;  // whose entry is being read; empty outside of one
};

}  // namespace layerscope
