// COCO's compressed run lengths of a bit-packed mask: runs alternate 0, 1, 0, … over the mask read column by column,
// and each run (from the fourth on its difference to the one two before) is written in groups of 5 bits, low first,
// as characters from '0' on.
//
// The mask is stored by rows, the runs go by columns: 64 columns at a time are turned by 64×64-bit transposition and
// then scanned a word at a time, so that neither a transposed mask nor a list of runs exists: memory is 8·H bytes beside
// mask and string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rvos {

std::string encodeRuns(const uint8_t* bits, int height, int width);

/// Null if `counts` is a well-formed string for height·width pixels, else what is wrong with it.
const char* checkRuns(std::string_view counts, int height, int width);

/// Decodes a string that `checkRuns` accepted into ceil(height·width/8) zeroed bytes.
void decodeRuns(std::string_view counts, int height, int width, uint8_t* bits);

}  // namespace rvos
