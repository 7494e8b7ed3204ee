/**
 * What a graph is written for. `onnxruntime`: exact in the number of frames, attention as the opset-23 operator over
 * chunks, so that memory stays small. `tensorrt`: the primitive form (opset ≤ 20) over a whole batch, in which one
 * graph serves every clip length up to its own by `frame_count`. `openvino`: the primitive form of one clip, windows in at
 * most 8 boxes a block, feature levels channels last; clip lengths as for `tensorrt`.
 */
export type Target = 'onnxruntime' | 'tensorrt' | 'openvino';
