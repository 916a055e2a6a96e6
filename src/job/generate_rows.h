// Rows of an input through a generator: several at once, handed on in the order of the input.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "job/input.h"
#include "job/states_job.h"
#include "session/generator.h"

namespace layerscope {

/// A row that has been written on, with what its input line said.
struct WrittenRow {
  GeneratedRow made;
  std::optional<std::string> id;
  std::uint64_t input_bytes = 0;  ///< of the input up to the end of this row
  std::string prefix_hash;        ///< their XXH3-128
  std::int64_t skipped = 0;       ///< bad rows between the row before and this one
};

class GenerateRows {
 public:
  struct Options {
    TokenizeOptions tokenize;
    bool skip_bad = false;
    std::optional<std::pair<int, int>> part;   ///< only rows with number mod N = i
    std::optional<std::uint64_t> cache_bytes;  ///< most for all caches; nothing: nine tenths of the free memory
  };
  /// All but the options outlive this.
  GenerateRows(Generator& generator, RowReader& reader, Options options, const JobHooks& hooks);

  /// Reads rows ahead, as many as wait at most.
  [[nodiscard]] Status read_ahead();
  /// What the rows that wait will take.
  struct Plan {
    std::int64_t rows = 0;
    std::int64_t tokens = 0;  ///< with states, at most
    std::int64_t rows_at_once = 0;
    std::uint64_t cache_token = 0, cache_source_token = 0;  ///< bytes for a token
    std::uint64_t cache_bytes = 0;                          ///< of the rows that run at once
    bool whole_input = false;
    std::uint64_t input_bytes = 0;  ///< of the input up to the last of them
  };
  [[nodiscard]] Plan plan() const;
  /// "cache of keys and values: ..." in one line.
  [[nodiscard]] static std::string plan_text(const Plan& plan);

  /// Takes a row; false: enough.
  using Take = std::function<Result<bool>(WrittenRow row)>;
  /// Runs all rows. Errors: the bad row that ended the input, after the rows before it were handed on; kResource where
  /// one row's cache does not fit into memory, with the arithmetic; kCancelled; those of the generator and of `take`.
  [[nodiscard]] Status run(const Take& take, const Generator::Told& told = {});

  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::int64_t skipped() const noexcept { return skipped_; }
  /// Bad rows behind the last row.
  [[nodiscard]] std::int64_t trailing_skipped() const noexcept { return open_skipped_; }
  /// Every row that waits: tokens by StackId, at most.
  [[nodiscard]] std::vector<std::array<std::int64_t, 2>> waiting_tokens() const;

 private:
  struct Waiting {
    std::int64_t number = 0;
    ModelRow row;
    RowContext context;
    WrittenRow written;  // all but `made`
    std::string where;
  };
  [[nodiscard]] Status admit();
  [[nodiscard]] Error too_large(const Waiting& row) const;

  Generator& generator_;
  RowReader& reader_;
  const Options options_;
  const JobHooks& hooks_;
  std::uint64_t budget_ = 0, in_use_ = 0;
  std::deque<Waiting> waiting_;
  bool read_all_ = false;
  std::optional<Error> input_error_;
  std::int64_t rows_ = 0, skipped_ = 0, open_skipped_ = 0;
  std::uint64_t next_tag_ = 0, next_taken_ = 0;
  std::map<std::uint64_t, Waiting> running_;
  std::map<std::uint64_t, GeneratedRow> finished_;
};

}  // namespace layerscope
