// The sizes that both mask heads are asked for.
#pragma once

#include "../core/mask_head.h"
#include "arguments.h"

namespace rvos {

/// Throws TypeError or RangeError naming the field; the resized size must not exceed the padded one.
MaskHeadShape readMaskHeadShape(const JobArguments& job);

}  // namespace rvos
