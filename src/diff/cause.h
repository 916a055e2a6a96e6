// Why a block differs: the live model's block is run from the other side's input, once for every thing that ports get
// wrong; the thing whose result is the other side's own is the cause.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

/// What the other side says of one part of a stack: its start, a block, or its end.
struct BlockEvidence {
  StackId stack = StackId::kEncoder;
  int block = 0;             ///< -1: the embedding; as many as the stack has blocks: the stack's end
  bool through_end = false;  ///< of the last block: `output` stands behind the stack's end
  struct Row {
    std::vector<std::int32_t> ids;       ///< [t], without padding
    std::vector<std::uint8_t> type_ids;  ///< [t], or empty for all 0
    std::vector<float> input;            ///< [t, width] the block's; empty for the embedding
    std::vector<float> output;           ///< [t, width], behind the stack's end [t, final width]
    std::vector<float> encoder;          ///< [te, width] the encoder's final states, for blocks that read them
    std::int64_t left_padding = 0, right_padding = 0;  ///< tokens beside this row in the other side's batch
    std::vector<float> padding_input;  ///< [left_padding + right_padding, width] the block's input there, or empty
    std::int64_t encoder_left = 0, encoder_right = 0;  ///< padding beside the encoder's tokens
    std::vector<float> encoder_padding;  ///< [encoder_left + encoder_right, width] the final states there, or empty
    std::int64_t number = 0;             ///< of the row, for messages
    /// Values inside of the block, [t, width of the site] by the site's name, where the other side has them.
    std::map<std::string, std::vector<float>> inside;
  };
  std::vector<Row> rows;
  double noise = 0;  ///< relative L2 by which honest runs of this block differ
};

/// One thing that the other side does otherwise.
struct Cause {
  std::string site;      ///< the narrowest that names the part, "block.3.mlp.act", with "enc." or "dec." of two stacks
  std::string kind;      ///< tokens activation eps scale rope mask positions norm weights transposed qk_norm precision
                         ///< final_norm bias unknown
  std::string evidence;  ///< one sentence: what the other side does, and by what numbers that shows
  double before = 0;     ///< relative L2 between the two outputs, as they are
  double after = 0;      ///< the same when ours does that thing too; equal to `before` where nothing was found
};

/// The causes of one block's difference, the likeliest first; two where two things differ at once; of kind "unknown",
/// with the part that it can be narrowed down to, where nothing fits; none where the outputs are as near as honest runs
/// are. Time and memory are bounded whatever the model: a part of the rows is looked at. Errors: kUsage for evidence
/// whose shapes are not the model's; kResource.
[[nodiscard]] Result<std::vector<Cause>> find_causes(const Model& live, const BlockEvidence& evidence);

}  // namespace layerscope
