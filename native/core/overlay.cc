// See overlay.h for intent and layout.
#include "overlay.h"

#include <algorithm>
#include <array>
#include <memory>

#include "bits.h"

namespace rvos {

namespace {

constexpr size_t kTabledMasks = 8;

class Painter {
 public:
  Painter(size_t masks, const uint8_t* colors, float weight) : colors_(colors), blend_{weight}, masks_(masks) {
    if (masks <= kTabledMasks) tables_.resize(size_t{1} << masks);
  }

  /// `words[m]` has mask m's bit of this pixel at `bit`.
  void paint(const uint8_t* source, const std::vector<uint64_t>& words, int bit, uint8_t* target) {
    if (tables_.empty()) {
      for (int c = 0; c < 3; ++c) {
        target[c] = level(source[c], c, [&](size_t m) { return ((words[m] >> bit) & 1) != 0; });
      }
      return;
    }
    size_t combination = 0;
    for (size_t m = 0; m < masks_; ++m) combination |= static_cast<size_t>((words[m] >> bit) & 1) << m;
    const Table& table = tableOf(combination);
    for (int c = 0; c < 3; ++c) target[c] = table[c][source[c]];
  }

 private:
  using Table = std::array<std::array<uint8_t, 256>, 3>;

  template <class Covers>
  uint8_t level(uint8_t source, int channel, Covers covers) const {
    double value = static_cast<double>(source) / 255.0;
    for (size_t m = 0; m < masks_; ++m) {
      if (covers(m)) value = blend_(value, colors_[3 * m + channel]);
    }
    return static_cast<uint8_t>(value * 255.0);
  }

  const Table& tableOf(size_t combination) {
    std::unique_ptr<Table>& table = tables_[combination];
    if (!table) {
      table = std::make_unique<Table>();
      for (int c = 0; c < 3; ++c) {
        for (int value = 0; value < 256; ++value) {
          (*table)[c][value] =
              level(static_cast<uint8_t>(value), c, [&](size_t m) { return ((combination >> m) & 1) != 0; });
        }
      }
    }
    return *table;
  }

  const uint8_t* colors_;
  Blend blend_;
  size_t masks_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace

void overlayFrame(const uint8_t* source, size_t pixels, const std::vector<const uint8_t*>& masks, const uint8_t* colors,
                  float weight, uint8_t* target) {
  Painter painter(masks.size(), colors, weight);
  const size_t byteLength = (pixels + 7) / 8;
  std::vector<uint64_t> words(masks.size());
  for (size_t start = 0; start < pixels; start += 64) {
    for (size_t m = 0; m < masks.size(); ++m) words[m] = loadBits(masks[m], byteLength, start);
    const int count = static_cast<int>(std::min<size_t>(64, pixels - start));
    for (int i = 0; i < count; ++i) {
      const size_t offset = 3 * (start + static_cast<size_t>(i));
      painter.paint(source + offset, words, 63 - i, target + offset);
    }
  }
}

}  // namespace rvos
