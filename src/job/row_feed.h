// Rows tokenised by several threads at once and handed on in the order of the input.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "job/input.h"
#include "job/runner.h"
#include "layerscope/error.h"

namespace layerscope {

/// A row ready to be planned, or a bad one.
struct FedRow {
  std::int64_t number = 0;
  std::optional<std::string> id;
  Result<ModelRow> row;
  std::uint64_t input_bytes = 0;  ///< of the input up to the end of this row
  std::string prefix_hash;        ///< their XXH3-128
};

/// Takes rows from a reader. Any number of threads call `work`; one at a time calls `front` and `pop`.
class RowFeed {
 public:
  struct Options {
    TokenizeOptions tokenize;
    std::optional<std::pair<int, int>> part;  ///< only rows with number mod N = i
  };
  RowFeed(const RowRunner& model, RowReader& reader, Options options)
      : model_(model), reader_(reader), options_(std::move(options)) {}

  /// Reads and tokenises some rows. False if there was nothing to read any more, or enough rows wait already.
  [[nodiscard]] Result<bool> work();
  /// The next row in order if it is there already.
  [[nodiscard]] FedRow* front();
  void pop();
  /// True once every row of the input has been popped.
  [[nodiscard]] bool finished();
  /// True once the input has been read to its end, whether or not the rows have been popped.
  [[nodiscard]] bool at_end();

  /// Rows and bytes of the input that wait to be popped, for estimates.
  struct Preview {
    std::uint64_t input_bytes = 0;
    bool whole_input = false;
    std::vector<const FedRow*> rows;
  };
  [[nodiscard]] Preview preview();

 private:
  struct Chunk {
    std::vector<InputRow> rows;
    std::vector<std::pair<std::uint64_t, std::string>> prefixes;  // of every row
  };
  /// False at the end of the input.
  [[nodiscard]] Result<bool> read(Chunk& chunk);
  void put(std::uint64_t number, std::vector<FedRow> rows);

  const RowRunner& model_;
  RowReader& reader_;
  Options options_;
  std::mutex reading_;  // guards reader_, next_chunk_
  std::uint64_t next_chunk_ = 0;
  std::mutex waiting_;  // guards all below
  bool read_all_ = false;
  std::uint64_t in_work_ = 0;   // chunks that are being tokenised
  std::uint64_t held_ids_ = 0;  // tokens of the rows that wait
  std::uint64_t next_put_ = 0;
  std::map<std::uint64_t, std::vector<FedRow>> early_;  // chunks that wait for those before them
  std::deque<FedRow> rows_;
};

}  // namespace layerscope
