// What rows show while they grow, until they can be stored.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "layerscope/tap.h"
#include "session/generator.h"
#include "store/spool.h"

namespace layerscope {

/// Keeps the observed values of rows in unnamed files, and reduces them once a row's length is known: pooling, picking
/// positions from the end and padding probabilities need it.
class RowRecord final : public GenerationObserver {
 public:
  /// `plan` outlives the record. Files go to `folder`.
  RowRecord(const TapPlan& plan, std::string folder) : plan_(plan), folder_(std::move(folder)) {}

  [[nodiscard]] Status observe(std::uint64_t tag, const Frame& frame) override;
  void restart(std::uint64_t tag) override;

  /// Hands everything that the row has shown to `sink`, under tag 0, as a run over the whole row would have, and
  /// forgets it. `tokens` by StackId. A site's values come in the order in which they are stored.
  [[nodiscard]] Status replay(std::uint64_t tag, std::int64_t number, const std::array<std::int64_t, 2>& tokens,
                              Sink& sink);

 private:
  struct Piece {
    int site = 0;
    std::int64_t head = 0, first = 0, rows = 0, width = 0;
    std::uint64_t begin = 0;
  };
  struct Row {
    explicit Row(const std::string& folder) : values(folder) {}
    SpoolStream values;
    std::vector<Piece> pieces;
  };
  [[nodiscard]] Row& row_of(std::uint64_t tag);

  const TapPlan& plan_;
  const std::string folder_;
  std::mutex mutex_;  // guards the map; a row belongs to one thread at a time
  std::map<std::uint64_t, std::unique_ptr<Row>> rows_;
};

}  // namespace layerscope
