/*
 * The whole contract of `rvos_tensorrt.node`, one build of it for each flavour: engine builder, engine inspection and the
 * window pipeline on the GPU. The addon itself links no TensorRT: `load` opens the libraries, so that the file loads on any
 * machine. Everything that takes time runs on threads of its own and never touches JavaScript meanwhile. Errors are
 * `Error`s with a `code` of `NativeErrorCode` and a message of one line.
 */

/** `simulated` exists in tests only: the same pipeline over host memory, stages run by ONNX Runtime. */
export type TensorRtFlavor = 'tensorrt' | 'tensorrt-rtx' | 'simulated';

export type NativeErrorCode =
  /** A TensorRT or CUDA library cannot be opened, or is of a version the addon was not built for. */
  | 'LIBRARY_MISSING'
  | 'LIBRARY_VERSION'
  | 'NO_DEVICE'
  | 'DRIVER_TOO_OLD'
  /** ONNX that does not parse; the message has TensorRT's own words and the node's name. */
  | 'BAD_GRAPH'
  | 'BAD_PROFILE'
  | 'BAD_TARGET'
  | 'BAD_ENGINE'
  | 'BAD_ARGUMENT'
  | 'BUILD_FAILED'
  | 'CANCELLED'
  | 'OUT_OF_MEMORY'
  | 'DISK_FULL'
  | 'NOT_WRITABLE'
  /** A CUDA call failed while running. */
  | 'DEVICE_FAILED'
  /** The same, with an error that stays (an illegal address, …): this process has lost the GPU, only a new one can use it. */
  | 'DEVICE_LOST'
  | 'DISPOSED';

export type NativeDtype = 'float32' | 'float16' | 'int32' | 'int64' | 'bool';

export interface TensorRtAddon {
  /** rvos' version. */
  readonly version: string;
  readonly flavor: TensorRtFlavor;
  /** Version of the headers it was compiled with, `11.4.0`. */
  readonly headerVersion: string;
  /** CUDA runtime it was linked with, `13.0`. */
  readonly cudaVersion: string;
  /** Opens the libraries, once a process; the paths are names for dlopen. Throws LIBRARY_MISSING, LIBRARY_VERSION. */
  load(libraries: { readonly infer: string; readonly parser: string }): { readonly libraryVersion: string };
  /** GPUs of this machine; one that does not answer hides no other. Throws NO_DEVICE or DRIVER_TOO_OLD with the reason. */
  devices(): NativeDevice[];
  /** Compute capabilities this flavour builds for ahead of time, as `86`; empty where it cannot. */
  aheadOfTimeTargets(): number[];
  buildEngine(build: EngineBuild): EngineBuildTask;
  /** Deserialises an engine on a GPU it fits, by index (default 0), and lists what is in it. */
  inspectEngine(path: string, device?: number): Promise<NativeEngineInspection>;
  openTextEncoder(options: TextEncoderOptions): Promise<NativeTextEncoder>;
  openPipeline(options: PipelineOptions): Promise<NativePipeline>;
  /** Memory a pipeline takes, worked out from limits alone: needs no GPU. */
  planMemory(options: PipelineLimits & { readonly source?: SourceSize }): MemoryPlan;
  /** For benchmarks: bytes a second of copies of `bytes` bytes, the median of `runs`. */
  measureCopies(options: {
    readonly device: number;
    readonly bytes: number;
    readonly runs: number;
  }): Promise<CopyRates>;
  /** For benchmarks: milliseconds of each run of an engine of any graph whose tensors are float16 or float32. */
  measureEngine(options: {
    readonly device: number;
    readonly engine: string;
    readonly inputs: Readonly<Record<string, readonly number[]>>;
    readonly outputs: Readonly<Record<string, readonly number[]>>;
    readonly runs: number;
  }): Promise<Float64Array>;
}

/** Bytes a second. */
export interface CopyRates {
  /** Bytes read and bytes written, both counted. */
  readonly onDevice: number;
  readonly toDevice: number;
  readonly toHost: number;
}

export interface NativeDevice {
  readonly index: number;
  readonly name: string;
  /** `90` for 9.0 */
  readonly computeCapability: number;
  readonly totalBytes: number;
  /** Null where the GPU does not tell. */
  readonly freeBytes: number | null;
  /** Newest CUDA the driver supports, `13.0`. */
  readonly driverCudaVersion: string;
  readonly multiprocessors: number;
}

// ── building ──

export interface ShapeRange {
  readonly min: readonly number[];
  readonly opt: readonly number[];
  readonly max: readonly number[];
}

export interface EngineBuild {
  /** ONNX file, strongly typed, its external weights beside it. */
  readonly graph: string;
  /** File the engine is written to; the caller gives a temporary name and renames. Removed on failure. */
  readonly output: string;
  /** One record of input name → shapes for each optimisation profile; inputs of fixed shape may be left out. */
  readonly profiles: readonly Readonly<Record<string, ShapeRange>>[];
  /** Index of the GPU to build on and for; left out: the first. */
  readonly device?: number;
  /** Compute capabilities to build for ahead of time; left out: the GPU. */
  readonly targets?: readonly number[];
  /** Read if it exists, written when the build succeeds (temporary name + rename). */
  readonly timingCache?: string;
  /** File for all that TensorRT says while it builds, every kernel it makes among it; overwritten. */
  readonly log?: string;
  /** Called on the event loop, at most every 50 ms; `phase` as TensorRT names it. */
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface BuildProgress {
  readonly phase: string;
  /** Steps of this phase done, and in all. */
  readonly step: number;
  readonly steps: number;
  /** Phases around this one, outermost first. */
  readonly parents: readonly string[];
}

export interface EngineBuildTask {
  /** Rejects with CANCELLED after `cancel`. */
  readonly done: Promise<EngineBuildReport>;
  /** Ends the build within 2 s; the promise settles only then. */
  cancel(): void;
}

export interface NativeTensor {
  readonly name: string;
  readonly mode: 'input' | 'output';
  readonly dtype: NativeDtype;
  /** −1: depends on the profile. */
  readonly shape: readonly number[];
}

export interface EngineBuildReport {
  readonly seconds: number;
  readonly engineBytes: number;
  /** Largest activation memory of any profile, as the builder reported it ("Max Scratch Memory"); null if it did not. */
  readonly scratchBytes: number | null;
  /** Largest resident memory of this process while building. */
  readonly peakHostBytes: number;
  readonly tensors: readonly NativeTensor[];
  readonly warnings: readonly string[];
}

export interface NativeEngineInspection {
  readonly tensors: readonly NativeTensor[];
  readonly profiles: readonly Readonly<Record<string, ShapeRange>>[];
  readonly scratchBytes: number;
  /** As the engine inspector names them; `fusedAttention` where a layer is fused multi-head attention. */
  readonly layers: readonly { readonly name: string; readonly type: string; readonly fusedAttention: boolean }[];
}

// ── running ──

export interface TextEncoderOptions {
  readonly device: number;
  readonly engine: string;
  readonly sentences: number;
  readonly tokens: number;
  readonly features: number;
}

export interface NativeTextEncoder {
  /** int64 [P,S] each → float32 [P,S,D]; P and S within the limits it was opened with. */
  encode(job: {
    readonly inputIds: BigInt64Array;
    readonly attentionMask: BigInt64Array;
    readonly sentences: number;
    readonly tokens: number;
  }): Promise<Float32Array>;
  /** Frees everything; waits for calls under way. Safe to call twice. */
  dispose(): Promise<void>;
}

/** What a pipeline is laid out for. Sizes are in elements, pixels or frames; memory in bytes. */
export interface PipelineLimits {
  /** Network input. */
  readonly height: number;
  readonly width: number;
  /** Channels of level 0; level i has this · 2^i. */
  readonly levelChannels: number;
  readonly objectQueries: number;
  readonly kernelSize: number;
  /** Width D of text features. */
  readonly textFeatures: number;
  /** Frames of the `short` and `long` backbone engine and transformer profile; long 0: there is none. */
  readonly shortFrames: number;
  readonly longFrames: number;
  /** Windows and sentences per batch, tokens per sentence. */
  readonly windows: number;
  readonly sentences: number;
  readonly tokens: number;
  /** Batches under way at once, each with a stream, staging and memory of its own. */
  readonly inFlight: number;
  /** Videos whose last window stays on the GPU, so that shared frames are uploaded once. */
  readonly streams: number;
  /** Activation memory of the engines, from their manifests. */
  readonly scratchBytes: { readonly short: number; readonly long: number; readonly transformer: number };
}

export interface SourceSize {
  readonly height: number;
  readonly width: number;
}

export interface PipelineOptions extends PipelineLimits {
  readonly device: number;
  /** Engine files; `long` is absent where `longFrames` is 0. Their hashes have been checked by the caller. */
  readonly engines: { readonly short: string; readonly long?: string; readonly transformer: string };
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface MemoryPlan {
  readonly deviceBytes: number;
  readonly pinnedBytes: number;
  /** What it is made of: `activations`, `features`, `frames`, `masks`, … */
  readonly parts: readonly { readonly name: string; readonly deviceBytes: number; readonly pinnedBytes: number }[];
}

export type PixelFormat = 'rgb' | 'bgr' | 'nv12';

export interface PipelineWindow {
  /** Identifies the video. */
  readonly stream: number;
  /** Index of its first frame in the video. */
  readonly start: number;
  /** Frames T, at most `longFrames`; all windows of a batch are ≤ `shortFrames` or all are longer. */
  readonly count: number;
  /** The first `shared` frames are on the GPU already: the last ones of the stream's window before. */
  readonly shared: number;
  /** The other `count − shared` frames, `pitch` bytes a row; NV12: H rows of Y, then ⌈H/2⌉ rows of UV. */
  readonly frames: readonly Uint8Array[];
}

export interface PipelineSentence {
  /** Index into the batch's windows. */
  readonly window: number;
  readonly tokens: number;
  /** float32 [S,D] */
  readonly features: Float32Array;
  /** Bit-packed masks of the window's first frames, to link with (SegmentOptions.link). */
  readonly link?: readonly Uint8Array[];
}

export interface PipelineBatch {
  readonly windows: readonly PipelineWindow[];
  readonly sentences: readonly PipelineSentence[];
  /** Size and layout of the frames. */
  readonly source: SourceSize & { readonly format: PixelFormat; readonly pitch: number };
  readonly antialias: boolean;
  /** Frames kept after the backbone, positions in the window; left out: all. At most `shortFrames` or equal to all. */
  readonly keep?: readonly number[];
  readonly queries: 'best' | 'all';
}

export interface PipelineSentenceResult {
  readonly objectQuery: number;
  /** float32 [N], mean over the window's (kept) frames. */
  readonly scores: Float32Array;
  /** Bit-packed masks, ⌈H·W/8⌉ bytes each: one a kept frame; with `all` N masks a frame, query-major. */
  readonly masks: Uint8Array;
}

export interface NativePipeline {
  readonly plan: MemoryPlan;
  /** Milliseconds of GPU time of the last batch by stage: upload, preprocess, backbone, transformer, mask-head, download. */
  readonly lastTimings: Readonly<Record<string, number>>;
  /**
   * Queues a batch; up to `inFlight` run at once, in order of the calls. The frames' memory must stay unchanged until
   * the promise settles. `signal`-like abort: `cancel(batch)` by the id that `run` returns.
   */
  run(batch: PipelineBatch): { readonly id: number; readonly done: Promise<PipelineSentenceResult[]> };
  /** A batch that has not started is dropped (CANCELLED); one under way is finished and its result thrown away. */
  cancel(id: number): void;
  /** Device memory held for a stream's frames is given back. */
  forget(stream: number): void;
  /** Raw stage access for `rvos stage` and tests: float32/int tensors in and out, converted on the host. */
  runStage(
    stage: 'backbone' | 'transformer',
    inputs: Readonly<Record<string, StageTensor>>,
  ): Promise<Record<string, StageTensor>>;
  /** Waits for what is under way, frees device and pinned memory. Safe to call twice. */
  dispose(): Promise<void>;
}

export interface StageTensor {
  readonly dtype: NativeDtype;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array | Uint16Array;
}
