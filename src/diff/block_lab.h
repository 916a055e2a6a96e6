// A laboratory for one part of a stack: it runs the part from the other side's input under any setup, and says how far
// the result is from the other side's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "diff/block_setup.h"
#include "diff/cause.h"
#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

class BlockLab {
 public:
  /// Takes up to about `most_tokens` tokens of whole rows. Errors: kUsage for evidence that does not go with the model.
  [[nodiscard]] static Result<std::unique_ptr<BlockLab>> make(const Model& live, const BlockEvidence& evidence,
                                                              std::int64_t most_tokens = 128);

  /// The part as the live model has it.
  [[nodiscard]] const BlockSetup& base() const noexcept { return base_; }
  [[nodiscard]] bool is_embedding() const noexcept { return block_ < 0; }
  [[nodiscard]] bool is_end() const noexcept { return at_end_; }
  [[nodiscard]] bool has_end() const noexcept { return at_end_ || through_end_; }
  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  [[nodiscard]] const std::vector<BlockEvidence::Row>& rows() const noexcept { return rows_; }
  [[nodiscard]] const Model& live() const noexcept { return live_; }
  [[nodiscard]] StackId stack() const noexcept { return stack_; }
  [[nodiscard]] int block() const noexcept { return block_; }
  /// A slot of another block of the stack, as the live model has it, or null.
  [[nodiscard]] std::shared_ptr<const SlotValues> elsewhere(int block, const std::string& slot) const;

  /// What a setup makes of the rows, [tokens, width] end to end, padding left out: the part's output or the values at a
  /// site within it ("block.0.attn.z"). Errors: those of the engine; kUsage for a setup that lacks weights.
  [[nodiscard]] Result<std::vector<double>> run(const BlockSetup& setup, const std::string& site = "") const;
  /// How far values are from the other side's: the root mean square over the tokens of |a - b| / |b|.
  [[nodiscard]] double distance(const std::vector<double>& output) const;
  /// distance(run(setup)), infinite where the setup cannot be run.
  [[nodiscard]] double error(const BlockSetup& setup) const;
  /// How far our values at a site within the part ("attn.z") are from the other side's, measured as `distance`; nothing
  /// where the other side does not say. Ours are made from the other side's input of the part.
  [[nodiscard]] std::optional<double> inside_error(const std::string& site) const;
  /// The other side's values, [tokens, width of the output].
  [[nodiscard]] const std::vector<double>& expected() const noexcept { return expected_; }
  [[nodiscard]] std::int64_t output_width() const noexcept { return output_width_; }
  [[nodiscard]] std::int64_t tokens() const noexcept { return tokens_; }
  /// How far apart honest runs are, measured as `distance`.
  [[nodiscard]] double noise() const noexcept { return noise_; }
  /// A site's full name from its name in the part.
  [[nodiscard]] std::string site_name(const std::string& site) const;
  /// Runs done so far, for bounding them.
  [[nodiscard]] std::int64_t runs() const noexcept { return runs_; }

 private:
  explicit BlockLab(const Model& live) : live_(live) {}
  void take_rows(const BlockEvidence& evidence, std::int64_t most_tokens);
  [[nodiscard]] Status take_part(const BlockEvidence& evidence);
  void take_embedding(const Stack& stack);
  [[nodiscard]] Status check_rows(const BlockEvidence& evidence) const;
  void measure_noise(double given);
  [[nodiscard]] Result<std::vector<double>> run_on(const Backend& inner, const BlockSetup& setup,
                                                   const std::string& site) const;

  const Model& live_;
  StackId stack_ = StackId::kEncoder;
  int block_ = 0;
  bool at_end_ = false, through_end_ = false;
  std::int64_t width_ = 0, output_width_ = 0, tokens_ = 0;
  std::vector<BlockEvidence::Row> rows_;
  std::vector<double> expected_;
  BlockSetup base_;
  std::unique_ptr<Backend> backend_;
  double noise_ = 0;
  mutable std::int64_t runs_ = 0;
};

}  // namespace layerscope
