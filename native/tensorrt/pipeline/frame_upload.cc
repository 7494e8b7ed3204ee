// See frame_upload.h.
#include "frame_upload.h"

#include <algorithm>
#include <cstring>

#include "kernels/preprocess.h"

namespace rvos::tensorrt {

namespace {

/// Rows without what lies between them.
void packFrame(const uint8_t* frame, size_t pitch, const PreprocessShape& shape, uint8_t* target) {
  const size_t chroma = shape.format == PixelFormat::kNv12 ? (shape.height + 1) / 2 : 0;
  const size_t rows = shape.height + chroma;
  if (pitch == shape.pitch) {
    std::memcpy(target, frame, rows * pitch);
    return;
  }
  for (size_t y = 0; y < rows; ++y) std::memcpy(target + y * shape.pitch, frame + y * pitch, shape.pitch);
}

}  // namespace

void FrameUpload::run(const BatchRequest& batch, const std::vector<TailTurn>& turns) {
  const Form form = formOf(slot_.limits, batch);
  const size_t window =
      slot_.limits.frames(form) * frameElements(slot_.limits) * elementBytes(slot_.limits.element);
  size_t served = 0;
  try {
    size_t first = 0;
    for (size_t b = 0; b < batch.windows.size(); ++b) {
      const WindowRequest& request = batch.windows[b];
      ++served;
      tails_.use(turns[b], slot_.stream, slot_.onDevice(slot_.layout.frames, b * window), request.shared,
                 request.count, [&] { stage(batch, request, first); });
      first += request.frames.size();
    }
  } catch (...) {
    for (; served < turns.size(); ++served) tails_.skip(turns[served]);
    throw;
  }
}

void FrameUpload::stage(const BatchRequest& batch, const WindowRequest& window, size_t first) {
  const SourceLayout& layout = source_.layout();
  for (size_t from = 0; from < window.frames.size(); from += kStagedFrames) {
    const size_t count = std::min<size_t>(kStagedFrames, window.frames.size() - from);
    const int piece = piece_;
    piece_ = (piece_ + 1) % kStagingPieces;
    copied_[piece].wait();
    for (size_t i = 0; i < count; ++i) {
      packFrame(window.frames[from + i], batch.pitch, layout.preprocess.shape,
                source_.onHost(layout.pinnedStaging[piece], i * layout.frameStride));
    }
    timer_.measure("upload", [&] {
      slot_.stream.copyToDevice(source_.onDevice(layout.staging[piece]), source_.onHost(layout.pinnedStaging[piece]),
                                count * layout.frameStride);
      copied_[piece].record(slot_.stream.get());
    });
    PreprocessJob job;
    job.shape = layout.preprocess.shape;
    job.tiling = layout.preprocess.tiling;
    job.table = source_.onDevice<const uint32_t>(layout.preprocessTable);
    job.source = source_.onDevice<const uint8_t>(layout.staging[piece]);
    job.frameStride = layout.frameStride;
    job.frames = static_cast<int>(count);
    job.positions = slot_.onDevice<const int32_t>(
        slot_.layout.deviceInputs, slot_.layout.inputs.positions.offset + (first + from) * sizeof(int32_t));
    job.target = slot_.onDevice(slot_.layout.frames);
    timer_.measure("preprocess", [&] { cuda::check(launchPreprocess(job, slot_.stream.get()), "preprocess kernel"); });
  }
}

}  // namespace rvos::tensorrt
