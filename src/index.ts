/** What users of the package import. */
export { ArgumentError } from './arguments.js';
export type {
  Backend,
  Frames,
  Preprocessing,
  SegmentOptions as BackendSegmentOptions,
  SentenceMasks,
  TextFeatures,
  TokenizedSentence,
  WindowMasks,
} from './backends/backend.js';
export type { ComputePrecision } from './backends/cpu/precision.js';
export {
  type BackendChoice,
  type BackendOptions,
  type ChosenBackend,
  chooseBackend,
  openBackend,
} from './backends/open-backend.js';
export { cacheRoot } from './cache/cache-folder.js';
export { configure, type Settings } from './configure.js';
export {
  type BuildEnginesOptions,
  type BuiltEngine,
  type BuiltEngines,
  buildEngines,
  type EngineBuilder,
  type EngineBuildProgress,
} from './engines/build-engines.js';
export { type BuilderRequest, type ChosenBuilder, type FlavorChoice, openBuilder } from './engines/choose-builder.js';
export type { EngineTarget } from './engines/engine-folder.js';
export type { EngineManifest } from './engines/engine-manifest.js';
export type { EngineLimits } from './engines/engine-plan.js';
export { errorCodes } from './error-codes.js';
export { RvosError, type RvosErrorCode } from './errors.js';
export type { DataSet, DataSetProblem, Expression, FrameSample, Sample, TrackSample } from './eval/data-set.js';
export { openA2dSentences } from './eval/data-sets/a2d-sentences.js';
export { openFolder } from './eval/data-sets/folder.js';
export { openJhmdbSentences } from './eval/data-sets/jhmdb-sentences.js';
export { openReferYouTubeVos } from './eval/data-sets/refer-youtube-vos.js';
export { type EvaluateOptions, type EvaluationResult, evaluate } from './eval/evaluate.js';
export { boundaryAccuracy } from './eval/metrics/boundary-accuracy.js';
export { regionSimilarity } from './eval/metrics/region-similarity.js';
export { type CutoutOptions, cutOut, cutOutPng } from './masks/cutout.js';
export { emptyMask, type Mask, maskByteLength } from './masks/mask.js';
export { maskColor, type OverlayOptions, paintMasks, type RgbColor } from './masks/overlay.js';
export { maskFromPixels, maskToPixels } from './masks/pixels.js';
export { decodeMaskPng, encodeMaskPng } from './masks/png.js';
export { type CocoRle, decodeRle, encodeRle } from './masks/rle.js';
export { type Box, maskOverlap, maskStatistics } from './masks/statistics.js';
export type { Architecture, Precision } from './model/architecture.js';
export { type ImportOptions, type ImportResult, importModel } from './model/import.js';
export { type ModelFolder, type OpenModelOptions, openModelFolder, shippedModels } from './model/model-folder.js';
export { type KnownModel, knownModels, type ModelSource } from './pull/known-models.js';
export { type PullOptions, type PullProgress, type PullResult, pullModel } from './pull/pull-model.js';
export { type PulledModel, pulledModels, removePulledModel } from './pull/pulled-models.js';
export {
  type DrainOptions,
  drainInto,
  type FrameSink,
  OutputError,
  type SinkContext,
  type SinkOpener,
} from './results/frame-sink.js';
export type { MaskedVideoStyle } from './results/masked-video-style.js';
export type { OutputTarget } from './results/output-target.js';
export {
  contactSheetOutput,
  cutOutsOutput,
  maskedVideoOutput,
  masksOutput,
  type OutputOpener,
  type OutputOptions,
} from './results/outputs.js';
export type { OutputBytes, OutputExtent, PlannedOutput } from './results/planned-output.js';
export type { BytesOptions, SaveOptions, SaveProgress, SegmentResult } from './results/segment-result.js';
export type { SegmentationStream, SegmentProgress } from './results/segmentation-stream.js';
export type { QuerySummary, SegmentedFrame, SegmentSummary, WindowScore } from './results/segmented-frame.js';
export type { FrameOptions, MatLike, SuppliedFrame, SuppliedFrames } from './results/supplied-frames.js';
export type { Priority } from './scheduling/priority.js';
export type { RunOptions, Sentences, VideoRunOptions } from './segment-options.js';
export { Segmenter, type SegmenterModel, type SegmenterOptions } from './segmenter.js';
export { type Versions, version, versions } from './versions.js';
export type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from './video/frame.js';
export { openVideo } from './video/open-video.js';
export { timestamp } from './video/timestamps.js';
export type { VideoCodec } from './video/video-codec.js';
export type { VideoBytes, VideoInput } from './video/video-input.js';
export { type WindowRange, type WindowSchedule, type WindowTail, windowRanges } from './windows.js';
