// See mask_head_shape.h.
#include "mask_head_shape.h"

namespace rvos {

MaskHeadShape readMaskHeadShape(const JobArguments& job) {
  MaskHeadShape shape;
  shape.kernelSize = job.extent("kernelSize");
  shape.featureHeight = job.extent("featureHeight");
  shape.featureWidth = job.extent("featureWidth");
  shape.paddedHeight = job.extent("paddedHeight");
  shape.paddedWidth = job.extent("paddedWidth");
  shape.resizedHeight = job.extent("resizedHeight");
  shape.resizedWidth = job.extent("resizedWidth");
  shape.height = job.extent("height");
  shape.width = job.extent("width");
  if (shape.resizedHeight > shape.paddedHeight || shape.resizedWidth > shape.paddedWidth) {
    throwRange(job.env(), job.what("the resized size is larger than the padded size"));
  }
  return shape;
}

}  // namespace rvos
