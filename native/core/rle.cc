// See rle.h for intent and layout.
#include "rle.h"

#include <algorithm>
#include <vector>

#include "bits.h"

namespace rvos {

namespace {

constexpr int kStrip = 64;

/// Writes runs as characters; knows the two runs before, whose values the differences need.
class RunWriter {
 public:
  void write(int64_t run) {
    int64_t value = index_ > 2 ? run - before_[index_ & 1] : run;
    before_[index_ & 1] = run;
    ++index_;
    bool more = true;
    while (more) {
      int code = static_cast<int>(value & 0x1f);
      value >>= 5;
      // The sign is bit 4 of the last group: stop once the rest is only copies of it.
      more = (code & 0x10) ? value != -1 : value != 0;
      if (more) code |= 0x20;
      text_.push_back(static_cast<char>(code + '0'));
    }
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  int64_t before_[2] = {0, 0};
  size_t index_ = 0;
};

/// Reads runs back; `problem` tells why `read` returned false before the end.
class RunReader {
 public:
  explicit RunReader(std::string_view text) : text_(text) {}

  bool atEnd() const { return position_ == text_.size(); }
  const char* problem() const { return problem_; }

  bool read(int64_t& run) {
    int64_t value = 0;
    int shift = 0;
    while (true) {
      if (atEnd()) return fail("ends within a number");
      const int code = static_cast<unsigned char>(text_[position_++]) - '0';
      if (code < 0 || code > 0x3f) return fail("has a character that is none of its alphabet");
      if (shift > 35) return fail("has a number that is too long");
      value |= static_cast<int64_t>(code & 0x1f) << shift;
      shift += 5;
      if (!(code & 0x20)) {
        if (code & 0x10) value |= -(int64_t{1} << shift);
        break;
      }
    }
    if (index_ > 2) value += before_[index_ & 1];
    if (value < 0) return fail("has a negative run");
    before_[index_ & 1] = value;
    ++index_;
    run = value;
    return true;
  }

 private:
  bool fail(const char* problem) {
    problem_ = problem;
    return false;
  }

  std::string_view text_;
  size_t position_ = 0;
  int64_t before_[2] = {0, 0};
  size_t index_ = 0;
  const char* problem_ = nullptr;
};

/// Up to 64 neighbouring columns, each a row of words, first pixel in the highest bit.
class ColumnStrip {
 public:
  explicit ColumnStrip(int height)
      : height_(height), words_((static_cast<size_t>(height) + 63) / 64), data_(words_ * kStrip) {}

  size_t words() const { return words_; }
  uint64_t* column(int index) { return &data_[static_cast<size_t>(index) * words_]; }
  void clear() { std::fill(data_.begin(), data_.end(), 0); }

  /// Pixels of a column that lie in its word `word`.
  int pixelsIn(size_t word) const {
    return static_cast<int>(std::min<size_t>(64, static_cast<size_t>(height_) - word * 64));
  }

  void gather(const uint8_t* bits, size_t byteLength, int width, int firstColumn, int columns) {
    const uint64_t mask = leadingOnes(columns);
    uint64_t block[64];
    for (size_t word = 0; word < words_; ++word) {
      const int rows = pixelsIn(word);
      for (int i = 0; i < 64; ++i) {
        const size_t offset = (word * 64 + i) * static_cast<size_t>(width) + firstColumn;
        block[i] = i < rows ? loadBits(bits, byteLength, offset) & mask : 0;
      }
      transpose64(block);
      for (int i = 0; i < columns; ++i) column(i)[word] = block[i];
    }
  }

  void scatter(uint8_t* bits, int width, int firstColumn, int columns) {
    uint64_t block[64];
    for (size_t word = 0; word < words_; ++word) {
      const int rows = pixelsIn(word);
      for (int i = 0; i < 64; ++i) block[i] = i < columns ? column(i)[word] : 0;
      transpose64(block);
      for (int i = 0; i < rows; ++i) {
        const size_t offset = (word * 64 + i) * static_cast<size_t>(width) + firstColumn;
        orBits(bits, offset, block[i], columns);
      }
    }
  }

 private:
  int height_;
  size_t words_;
  std::vector<uint64_t> data_;
};

/// Sets `length` pixels of a column from row `first` on.
void setRun(uint64_t* column, int64_t first, int64_t length) {
  while (length > 0) {
    const int bit = static_cast<int>(first & 63);
    const int count = static_cast<int>(std::min<int64_t>(length, 64 - bit));
    column[first >> 6] |= leadingOnes(count) >> bit;
    first += count;
    length -= count;
  }
}

}  // namespace

std::string encodeRuns(const uint8_t* bits, int height, int width) {
  const size_t byteLength = (static_cast<size_t>(height) * width + 7) / 8;
  ColumnStrip strip(height);
  RunWriter writer;
  bool value = false;
  int64_t run = 0;
  for (int x = 0; x < width; x += kStrip) {
    const int columns = std::min(kStrip, width - x);
    strip.gather(bits, byteLength, width, x, columns);
    for (int c = 0; c < columns; ++c) {
      const uint64_t* column = strip.column(c);
      for (size_t word = 0; word < strip.words(); ++word) {
        const int pixels = strip.pixelsIn(word);
        int done = 0;
        while (done < pixels) {
          const uint64_t changes = ((value ? ~column[word] : column[word]) & leadingOnes(pixels)) << done;
          if (changes == 0) {
            run += pixels - done;
            break;
          }
          const int same = leadingZeros64(changes);
          writer.write(run + same);
          run = 0;
          value = !value;
          done += same;
        }
      }
    }
  }
  writer.write(run);
  return writer.take();
}

const char* checkRuns(std::string_view counts, int height, int width) {
  const int64_t pixels = static_cast<int64_t>(height) * width;
  RunReader reader(counts);
  int64_t total = 0;
  int64_t runs = 0;
  while (!reader.atEnd()) {
    int64_t run;
    if (!reader.read(run)) return reader.problem();
    total += run;
    if (total > pixels || ++runs > pixels + 1) return "describes more pixels than the mask has";
  }
  return total == pixels ? nullptr : "describes fewer pixels than the mask has";
}

void decodeRuns(std::string_view counts, int height, int width, uint8_t* bits) {
  RunReader reader(counts);
  ColumnStrip strip(height);
  bool value = true;  // toggled before the first run, which is of zeros
  int64_t run = 0;
  for (int x = 0; x < width; x += kStrip) {
    const int columns = std::min(kStrip, width - x);
    strip.clear();
    for (int c = 0; c < columns; ++c) {
      int64_t row = 0;
      while (row < height) {
        while (run == 0) {
          if (reader.atEnd() || !reader.read(run)) run = static_cast<int64_t>(height) * width;
          value = !value;
        }
        const int64_t length = std::min<int64_t>(run, height - row);
        if (value) setRun(strip.column(c), row, length);
        row += length;
        run -= length;
      }
    }
    strip.scatter(bits, width, x, columns);
  }
}

}  // namespace rvos
