// See normalise.h for intent and layout.
#include "normalise.h"

namespace rvos {

void normaliseFrame(const uint8_t* source, size_t pixels, const NormaliseLevel (&channels)[3], float* target) {
  float table[3][256];
  for (int c = 0; c < 3; ++c) {
    for (int level = 0; level < 256; ++level) table[c][level] = channels[c](static_cast<uint8_t>(level));
  }
  float* RVOS_RESTRICT red = target;
  float* RVOS_RESTRICT green = target + pixels;
  float* RVOS_RESTRICT blue = target + 2 * pixels;
  for (size_t i = 0; i < pixels; ++i) {
    red[i] = table[0][source[3 * i]];
    green[i] = table[1][source[3 * i + 1]];
    blue[i] = table[2][source[3 * i + 2]];
  }
}

}  // namespace rvos
