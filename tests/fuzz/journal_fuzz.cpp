// Any bytes as a journal, a manifest and a shard's header: accepted ones survive being written and read again.
// Covers: src/store/journal.cpp src/store/manifest.cpp src/store/shard_reader.cpp
#include "store/journal.h"

#include "fuzz/check.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/shard_reader.h"

using namespace layerscope;

namespace {

void fuzz_journal(std::string_view text) {
  const auto journal = parse_journal(text, "j");
  if (!journal.ok()) {
    fuzz::check(journal.error().code == ErrorCode::kDamage && journal.error().message.starts_with("j:"));
    return;
  }
  std::string written;
  for (const ShardRecord& record : journal->records) written += journal_line(record);
  const auto again = parse_journal(written, "j");
  fuzz::check(again.ok() && again->records.size() == journal->records.size() && !again->torn);
  fuzz::check(journal->good_bytes <= text.size() && journal->torn == (journal->good_bytes < text.size()));
}

void fuzz_manifest(std::string_view text) {
  const auto manifest = parse_manifest(text, "m");
  if (!manifest.ok()) {
    fuzz::check(manifest.error().message.starts_with("m: ") &&
                manifest.error().message.find('\n') == std::string::npos);
    return;
  }
  const auto again = parse_manifest(manifest_text(*manifest), "m");
  fuzz::check(again.ok() && !manifest_difference(*manifest, *again));
}

void fuzz_header(std::string_view text) {
  const auto tensors = parse_shard_header(text, 64, "s");
  if (!tensors.ok()) {
    fuzz::check_error(tensors.error(), ErrorCode::kDamage, "s");
    return;
  }
  std::uint64_t end = 0;
  for (const ShardTensor& tensor : *tensors) {
    fuzz::check(tensor.begin == end &&
                tensor.end - tensor.begin ==
                    static_cast<std::uint64_t>(tensor.shape.elements()) * dtype_size(tensor.dtype));
    end = tensor.end;
  }
  fuzz::check(end == 64);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  fuzz_journal(text);
  fuzz_manifest(text);
  fuzz_header(text);
  return 0;
}
