// Attention in plain loops that can be done otherwise.
#pragma once

#include "backend/backend.h"
#include "diff/block_setup.h"

namespace layerscope {

/// One sequence's attention in float64, with the changes asked for; without position terms and without a cache. Of
/// `extent` the hidden keys count, for keys of the sequence's own.
void lab_attention(const AttentionArguments& arguments, const AttentionChange& change, const RowExtent& extent,
                   const MutableRows& z);

}  // namespace layerscope
