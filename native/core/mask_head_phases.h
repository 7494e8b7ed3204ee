// What one block of the mask-head kernel does (mask_head_job.h has intent and layout of the whole).
//
// A block makes a strip of 32 original rows of one mask. However wide the mask, 32 rows are whole 32-bit words, so that no
// two strips share one. In the strip
//   logits   of the feature rows it looks at are made in shared memory, four neighbouring cells a thread,
//   columns  are walked down by warps: a lane has four columns of pixels, keeps the logits of the two feature rows around
//            it, stretched to the original width, and tells for each row whether its pixels are foreground; 32 lanes'
//            answers are one word of a row that starts at a word,
//   words    of the mask, whose rows start anywhere, are put together from those and written one after another.
// The block waits for all its threads between the phases. Original rows that show the same row of the resized image have
// the same pixels, which are decided once. Where a strip's logits do not fit (very wide masks), each thread makes the 32
// pixels of a word from the features.
//
// Shared memory: logits float [logitRows][fw], rows MaskTap [32], columns uint32 [⌈W/32⌉][33] (33: so that
// neither lanes with neighbouring rows nor with neighbouring columns meet in one bank).
#pragma once

#include "device_words.h"
#include "half.h"
#include "mask_head_job.h"

namespace rvos::mask_head {

constexpr int kStripRows = 32;
constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
constexpr int kCells = 4;
constexpr int kColumns = 4;
constexpr int kHalfRows = kStripRows / 2;
constexpr int kColumnWords = kStripRows + 1;

RVOS_HOST_DEVICE int wordColumns(int width) { return (width + kWarp - 1) / kWarp; }

/// Four neighbouring elements, from an address that is a multiple of their size.
RVOS_HOST_DEVICE void loadCells(const Half* from, float (&to)[kCells]) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(from);
#if defined(__CUDA_ARCH__)
  const uint2 words = __ldg(reinterpret_cast<const uint2*>(bytes));
  const uint32_t pair[2] = {words.x, words.y};
#else
  const uint32_t pair[2] = {loadWord(bytes), loadWord(bytes + 4)};
#endif
  RVOS_UNROLL
  for (int i = 0; i < kCells; ++i) to[i] = floatOf(Half{static_cast<uint16_t>(pair[i / 2] >> (16 * (i % 2)))});
}

RVOS_HOST_DEVICE void loadCells(const float* from, float (&to)[kCells]) { loadFour(from, to); }

/// One block's share of the work and its shared memory.
template <typename Feature>
struct Strip {
  const MaskHeadJob& job;
  int firstRow, rows;
  const float* kernel;
  const Feature* features;
  uint8_t* mask;
  /// Feature rows the strip looks at.
  int featureBegin, featureRows;
  float* logits;
  MaskTap* taps;
  uint32_t* columns;

  /// `query`: the how-manieth of the job's. The strip of a frame that is not to be made has no rows.
  RVOS_HOST_DEVICE Strip(const MaskHeadJob& job, int strip, int query, int frame, int sentence, uint8_t* shared)
      : job(job), firstRow(strip * kStripRows) {
    const MaskHeadShape& shape = job.shape;
    const int left = shape.height - firstRow;
    rows = left < kStripRows ? left : kStripRows;
    if (job.frameCount && frame >= job.frameCount[job.window ? job.window[sentence] : sentence]) rows = 0;
    const int queries = job.chosen ? 1 : job.queryCount;
    int objectQuery = job.chosen ? job.chosen[sentence] : job.firstQuery + query;
    objectQuery = objectQuery < 0 ? 0 : objectQuery < job.objectQueries ? objectQuery : job.objectQueries - 1;
    const size_t image = static_cast<size_t>(sentence) * job.frames + frame;
    kernel = job.kernels + (image * job.objectQueries + objectQuery) * shape.kernelSize;
    features = static_cast<const Feature*>(job.features) + image * shape.kernelSize * plane();
    mask = job.masks + ((static_cast<size_t>(sentence) * queries + query) * job.frames + frame) * job.maskStride;
    featureBegin = job.table[firstRow].lower;
    const int last = rows > 0 ? job.table[firstRow + rows - 1].lower + 2 : featureBegin;
    featureRows = (last < shape.featureHeight ? last : shape.featureHeight) - featureBegin;
    logits = reinterpret_cast<float*>(shared);
    shared += sizeof(float) * ((job.tiling.logitRows * shape.featureWidth + kCells - 1) & ~(kCells - 1));
    taps = reinterpret_cast<MaskTap*>(shared);
    shared += sizeof(MaskTap) * kStripRows;
    columns = reinterpret_cast<uint32_t*>(shared);
  }

  RVOS_HOST_DEVICE size_t plane() const {
    return static_cast<size_t>(job.shape.featureHeight) * job.shape.featureWidth;
  }
  RVOS_HOST_DEVICE MaskTap rowTap(int row) const { return job.table[firstRow + row]; }
  RVOS_HOST_DEVICE MaskTap columnTap(int x) const { return job.table[job.shape.height + x]; }
  /// Words of the mask that the strip makes.
  RVOS_HOST_DEVICE int words() const { return (rows * job.shape.width + 31) / 32; }

  /// `K`: the kernel's size where it is known, else 0.
  template <int K>
  RVOS_HOST_DEVICE void makeLogits(int thread) const {
    for (int row = thread; row < rows; row += kThreads) taps[row] = rowTap(row);
    const Feature* from = features + static_cast<size_t>(featureBegin) * job.shape.featureWidth;
    const int cells = featureRows * job.shape.featureWidth;
    const bool vectors = plane() % kCells == 0 && isAligned(from, kCells * sizeof(Feature));
    const int inVectors = vectors ? cells & ~(kCells - 1) : 0;
    for (int cell = kCells * thread; cell < inVectors; cell += kCells * kThreads) {
      float sum[kCells] = {};
      RVOS_UNROLL
      for (int k = 0; k < (K > 0 ? K : job.shape.kernelSize); ++k) {
        float value[kCells];
        loadCells(from + k * plane() + cell, value);
        RVOS_UNROLL
        for (int i = 0; i < kCells; ++i) sum[i] += kernel[k] * value[i];
      }
      storeFour(logits + cell, sum);
    }
    for (int cell = inVectors + thread; cell < cells; cell += kThreads) logits[cell] = logit<K>(from + cell);
  }

  /// kernel · features of the cell that `at` points to in the first feature plane.
  template <int K>
  RVOS_HOST_DEVICE float logit(const Feature* at) const {
    float sum = 0.0f;
    for (int k = 0; k < (K > 0 ? K : job.shape.kernelSize); ++k) sum += kernel[k] * floatOf(at[k * plane()]);
    return sum;
  }

  /// Pixels `bit`…`bit`+31 of a row, as far as there are any.
  RVOS_HOST_DEVICE uint32_t rowBits(int row, int bit) const {
    const int column = bit / 32;
    const int shift = bit % 32;
    const uint32_t* word = columns + column * kColumnWords + row;
    if (shift == 0) return word[0];
    const uint32_t next = column + 1 < wordColumns(job.shape.width) ? word[kColumnWords] : 0;
    return (word[0] << shift) | (next >> (32 - shift));
  }

  RVOS_HOST_DEVICE void writeWords(int thread) const {
    const int width = job.shape.width;
    for (int index = thread; index < words(); index += kThreads) {
      int row = 32 * index / width;
      int x = 32 * index - row * width;
      uint32_t word = 0;
      for (int filled = 0; filled < 32 && row < rows; ++row, x = 0) {
        word |= rowBits(row, x) >> filled;  // zeros follow a row's last pixel
        filled += width - x;
      }
      store(index, word);
    }
  }

  /// `word`: first pixel in the highest bit. A strip starts at a word: 32 rows of any width are whole words.
  RVOS_HOST_DEVICE void store(int index, uint32_t word) const {
    const size_t first = static_cast<size_t>(firstRow / kStripRows) * job.shape.width;
    storeWord(mask + 4 * (first + index), swapBytes(word));
  }

  /// Words straight from the features, for masks too wide for shared memory.
  RVOS_HOST_DEVICE void writeWordsUnshared(int thread) const {
    const int width = job.shape.width;
    for (int index = thread; index < words(); index += kThreads) {
      int row = 32 * index / width;
      int x = 32 * index - row * width;
      uint32_t word = 0;
      for (int bit = 0; bit < 32 && row < rows; ++bit) {
        if (pixel(row, x)) word |= 0x80000000u >> bit;
        if (++x == width) x = 0, ++row;
      }
      store(index, word);
    }
  }

  RVOS_HOST_DEVICE bool pixel(int row, int x) const {
    const Interpolate interpolate;
    const MaskTap down = rowTap(row);
    const MaskTap across = columnTap(x);
    const int right = across.lower + 1 < job.shape.featureWidth ? across.lower + 1 : across.lower;
    float stretched[2];
    RVOS_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int y = down.lower + i < job.shape.featureHeight ? down.lower + i : down.lower;
      const Feature* at = features + static_cast<size_t>(y) * job.shape.featureWidth;
      stretched[i] = interpolate(logit<0>(at + across.lower), 1.0f - across.upperWeight, logit<0>(at + right),
                                 across.upperWeight);
    }
    return Foreground()(interpolate(stretched[0], 1.0f - down.upperWeight, stretched[1], down.upperWeight));
  }
};

/// A lane on its way down the pixels of kColumns columns that are 32 apart, through half of the strip's rows: what is the
/// same for all pixels of a row is done once for them.
template <typename Feature>
struct ColumnLane {
  int lane, firstColumn, firstRow, endRow;
  int left[kColumns], right[kColumns];
  float rightWeight[kColumns];
  /// Neighbours and weight of the last row decided, and the feature rows `held` and the one after it, stretched.
  int held = -1;
  float heldWeight = 0.0f;
  float lower[kColumns] = {}, upper[kColumns] = {};
  /// Words of row `firstRow + lane`, first pixel in the lowest bit, once all rows have been decided.
  uint32_t words[kColumns] = {};

  /// How many pieces of work a strip is, for one warp each.
  RVOS_HOST_DEVICE static int pieces(int width) { return 2 * ((wordColumns(width) + kColumns - 1) / kColumns); }

  RVOS_HOST_DEVICE ColumnLane(const Strip<Feature>& strip, int piece, int lane)
      : lane(lane), firstColumn(piece / 2 * kColumns), firstRow(piece % 2 * kHalfRows),
        endRow(firstRow + kHalfRows < strip.rows ? firstRow + kHalfRows : strip.rows) {
    RVOS_UNROLL
    for (int i = 0; i < kColumns; ++i) {
      const int x = (firstColumn + i) * kWarp + lane;
      const MaskTap tap = strip.columnTap(x < strip.job.shape.width ? x : strip.job.shape.width - 1);
      left[i] = tap.lower;
      right[i] = tap.lower + 1 < strip.job.shape.featureWidth ? tap.lower + 1 : tap.lower;
      rightWeight[i] = tap.upperWeight;
    }
  }

  /// Whether a row has other neighbours, or other weights, than the row before: the same for all lanes.
  RVOS_HOST_DEVICE bool differs(const MaskTap& row) const {
    return row.lower != held || row.upperWeight != heldWeight;
  }

  /// Goes to a row that differs.
  RVOS_HOST_DEVICE void hold(const Strip<Feature>& strip, const MaskTap& row) {
    if (row.lower != held) {
      const bool next = held >= 0 && row.lower == held + 1;
      const int below = row.lower + 1 < strip.job.shape.featureHeight ? row.lower + 1 : row.lower;
      RVOS_UNROLL
      for (int i = 0; i < kColumns; ++i) {
        lower[i] = next ? upper[i] : stretched(strip, row.lower, i);
        upper[i] = stretched(strip, below, i);
      }
      held = row.lower;
    }
    heldWeight = row.upperWeight;
  }

  /// Of the row held, in column i; anything where there is no such column.
  RVOS_HOST_DEVICE bool foreground(int i) const {
    return Foreground()(Interpolate()(lower[i], 1.0f - heldWeight, upper[i], heldWeight));
  }

  /// Keeps the row's words if it is this lane's.
  RVOS_HOST_DEVICE void keep(int row, const uint32_t (&word)[kColumns]) {
    RVOS_UNROLL
    for (int i = 0; i < kColumns; ++i) {
      if (row == firstRow + lane) words[i] = word[i];
    }
  }

  RVOS_HOST_DEVICE void store(const Strip<Feature>& strip) const {
    if (firstRow + lane >= endRow) return;
    RVOS_UNROLL
    for (int i = 0; i < kColumns; ++i) {
      const int column = firstColumn + i;
      const int pixels = strip.job.shape.width - column * kWarp;
      if (pixels > 0) {
        const uint32_t inside = pixels < kWarp ? ~(0xffffffffu >> pixels) : 0xffffffffu;
        strip.columns[column * kColumnWords + firstRow + lane] = reverseBits(words[i]) & inside;
      }
    }
  }

 private:
  RVOS_HOST_DEVICE float stretched(const Strip<Feature>& strip, int featureRow, int i) const {
    const float* row = strip.logits + (featureRow - strip.featureBegin) * strip.job.shape.featureWidth;
    return Interpolate()(row[left[i]], 1.0f - rightWeight[i], row[right[i]], rightWeight[i]);
  }
};

}  // namespace rvos::mask_head
