import { argument, checkArgument, checkOptions, type Expectation } from './arguments.js';
import type { Backend, TextFeatures } from './backends/backend.js';
import { type ComputePrecision, computePrecisions } from './backends/cpu/precision.js';
import { type BackendChoice, backendChoices, chooseBackend } from './backends/open-backend.js';
import type { EngineBuildProgress } from './engines/build-engines.js';
import { abortError, disposedError, throwIfAborted } from './errors.js';
import { emptyMask, type Mask } from './masks/mask.js';
import { type ModelFolder, openModelFolder } from './model/model-folder.js';
import { inputSize } from './preprocess/size-rule.js';
import { type PullProgress, pulledFolder } from './pull/pull-model.js';
import { decodedSource, type HeldSource, heldSource } from './results/held-source.js';
import { SegmentResult } from './results/segment-result.js';
import { SegmentationStream } from './results/segmentation-stream.js';
import type { SegmentedFrame, WindowScore } from './results/segmented-frame.js';
import { type FrameOptions, frameSource, type SuppliedFrames } from './results/supplied-frames.js';
import { frameMemory } from './scheduling/frame-memory.js';
import { inFlight } from './scheduling/in-flight.js';
import {
  checkFrameRunOptions,
  checkVideoRunOptions,
  openOptions,
  type RunOptions,
  type Sentences,
  sentenceList,
  type VideoRunOptions,
} from './segment-options.js';
import { KeptDownload } from './video/download.js';
import type { RgbFrame, VideoInfo } from './video/frame.js';
import { openVideo } from './video/open-video.js';
import { pixelAspect } from './video/sample-aspect.js';
import { isVideoInput, type VideoInput, videoInputForms } from './video/video-input.js';
import { type Windowed, windowFrames } from './windows.js';

export interface SegmenterOptions {
  /** A model folder, the name of one that comes with the package or was pulled, or with `pull` whatever `rvos pull` takes; default `compact`. */
  readonly model?: string;
  /** Default `auto`: TensorRT where addon, GPU and engines of the model are there, else OpenVINO where it is found, else ONNX Runtime. */
  readonly backend?: BackendChoice;
  /** Folder of TensorRT engines; default `$RVOS_ENGINES`, else `engines` in the working folder. */
  readonly engines?: string;
  /** Build TensorRT engines that are missing, when a video needs them; default: they are an error. */
  readonly build?: boolean;
  readonly onBuildProgress?: (progress: EngineBuildProgress) => void;
  /** CPU threads of the network; default all cores. */
  readonly threads?: number;
  /** What a CPU computes in, see `BackendOptions`; default `auto`. */
  readonly precision?: ComputePrecision;
  /** OpenVINO's C library or its folder, see `BackendOptions`. */
  readonly openvinoLibrary?: string;
  /** Folder of models and graphs; default what `configure` set, `$RVOS_HOME`, `$XDG_CACHE_HOME/rvos` or `~/.cache/rvos`. */
  readonly cacheFolder?: string;
  /** Download a model that is not on this machine yet; default: it is an error that names the command. */
  readonly pull?: boolean;
  readonly onPullProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

/** What of a model the way of the data needs; a backend has the rest. */
export type SegmenterModel = Pick<ModelFolder, 'name' | 'preprocessing' | 'windows' | 'minScore' | 'tokenizer'>;

const segmenterOptions: Record<keyof SegmenterOptions, Expectation> = {
  model: argument.text,
  backend: argument.oneOf(backendChoices),
  engines: argument.text,
  build: argument.flag,
  onBuildProgress: argument.callback,
  threads: argument.integer(1, 1024),
  precision: argument.oneOf(computePrecisions),
  openvinoLibrary: argument.text,
  cacheFolder: argument.text,
  pull: argument.flag,
  onPullProgress: argument.callback,
  signal: argument.signal,
};

/** Seconds of the steps of all runs. */
export interface RunObserver {
  /** A window's new frames, from when they were asked for; waiting for a decoder's frames and for memory included. */
  decoded(seconds: number): void;
  /** A window's masks, from when they were asked for. */
  computed(seconds: number): void;
}

let streams = 0;

/** Sentences in, masks out. Holds a network that is ready to run; any number of videos may pass through it. */
export class Segmenter implements AsyncDisposable {
  /** Told how long steps took; for metrics. */
  observer: RunObserver | undefined;
  #disposed = false;

  private constructor(
    readonly model: SegmenterModel,
    readonly backend: Backend,
    /** Why it is this backend, in words; undefined for one of the caller's own. */
    readonly backendReason?: string,
  ) {}

  /** Throws `RvosError`: NOT_FOUND, BAD_MODEL_FOLDER, ADDON_MISSING, BACKEND_UNAVAILABLE, BAD_ARGUMENT, ABORTED. */
  static async open(options: SegmenterOptions = {}): Promise<Segmenter> {
    checkOptions('Segmenter.open', options, segmenterOptions);
    throwIfAborted(options.signal);
    const {
      model: name = 'compact',
      backend: choice = 'auto',
      cacheFolder,
      pull,
      onPullProgress,
      signal,
      ...rest
    } = options;
    const folder = pull ? await pulledFolder({ model: name, cacheFolder, onPullProgress, signal }) : name;
    const model = await openModelFolder(folder, { cacheFolder, signal });
    const { backend, reason } = await chooseBackend(choice, { model, ...rest });
    if (signal?.aborted) {
      await backend.dispose();
      throw abortError(signal);
    }
    return new Segmenter(model, backend, reason);
  }

  /** A segmenter around a backend of the caller's own. */
  static around(model: SegmenterModel, backend: Backend): Segmenter {
    return new Segmenter(model, backend);
  }

  /**
   * Segments a video (a path, image folder, `-`, an address, bytes or a stream of them: `VideoInput`) and resolves when all is
   * done; masks are kept on disk, not in memory, until the result is disposed. Throws any `RvosError`.
   */
  async segment(video: VideoInput, sentences: Sentences, options: VideoRunOptions = {}): Promise<SegmentResult> {
    const download = new KeptDownload();
    try {
      return await SegmentResult.collect(
        this.#video(video, sentences, options, download),
        { video, download },
        options,
      );
    } catch (error) {
      await download.remove();
      throw error;
    }
  }

  /** The frames of a video with their masks, each as soon as no later window can change them. */
  stream(video: VideoInput, sentences: Sentences, options: VideoRunOptions = {}): SegmentationStream {
    return this.#video(video, sentences, options);
  }

  /** The same for frames that the caller supplies: RGB frames or OpenCV Mats (BGR), all of one size. */
  segmentFrames(
    frames: SuppliedFrames,
    sentences: Sentences,
    options: RunOptions & FrameOptions = {},
  ): SegmentationStream {
    this.#checkUsable();
    checkFrameRunOptions(options);
    return this.#start(sentenceList(sentences), options, async () =>
      heldSource(await frameSource(frames, options), frameMemory.join()),
    );
  }

  /** Ends the backend. Runs under way fail. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.backend.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #checkUsable(): void {
    if (this.#disposed) throw disposedError('segmenter');
  }

  #video(
    video: VideoInput,
    sentences: Sentences,
    options: VideoRunOptions,
    keptDownload?: KeptDownload,
  ): SegmentationStream {
    this.#checkUsable();
    checkArgument('video', video, { expected: videoInputForms, accepts: isVideoInput });
    checkVideoRunOptions(options);
    const open = (signal: AbortSignal) => openVideo(video, { ...openOptions(options), keptDownload, signal });
    const source = (signal: AbortSignal) => decodedSource(open, { signal, isLong: options.isLong });
    return this.#start(sentenceList(sentences), options, source, video);
  }

  #start(
    sentences: readonly string[],
    options: VideoRunOptions,
    open: (signal: AbortSignal) => Promise<HeldSource>,
    input?: VideoInput,
  ): SegmentationStream {
    let texts: Promise<TextFeatures[]>;
    let held: HeldSource;
    return new SegmentationStream({
      sentences,
      part: { start: options.start, end: options.end },
      input,
      signal: options.signal,
      onProgress: options.onProgress,
      expectedFrames: (video) => expectedFrames(video, options),
      begin: async (signal) => {
        const tokenizer = await this.model.tokenizer();
        const prepared = sentences.map((sentence) => tokenizer.prepare(sentence));
        const source = await open(signal);
        held = source;
        // A frame shape that the network cannot take is told before anything is computed.
        try {
          inputSize(source.info, { ...this.model.preprocessing, ...preprocessing(options, source.info) });
        } catch (error) {
          await source.close();
          throw error;
        }
        texts = this.backend.encodeText(prepared, { signal });
        texts.catch(() => undefined); // told when the first window needs them
        return source;
      },
      run: (signal, onWindow) => this.#run(held, () => texts, options, signal, onWindow),
    });
  }

  /** The way of the data: frames → windows → backend → masks; a frame leaves when the next window starts after it. */
  async *#run(
    { hold, ...source }: HeldSource,
    textFeatures: () => Promise<TextFeatures[]>,
    options: RunOptions,
    signal: AbortSignal,
    onWindow: (scores: readonly WindowScore[]) => void,
  ): AsyncGenerator<SegmentedFrame, void, undefined> {
    const minScore = options.minScore ?? this.model.minScore;
    const stream = ++streams;
    const { windows: schedule } = this.model;
    const stride = schedule.length - schedule.overlap;
    const windows = windowFrames(source.frames(schedule, signal), schedule, options.tail);
    const texts = await textFeatures();
    /** Frames that a later window may still change, oldest first. */
    let pending: SegmentedFrame[] = [];
    let firstTime: number | undefined;

    const compute = async ({ start, frames }: Windowed<RgbFrame>) => {
      hold.compute(1);
      const asked = performance.now();
      const shared = pending.filter(({ index }) => index >= start);
      const link = options.linkWindows ? texts.map((_, sentence) => earlierMasks(shared, sentence)) : undefined;
      const masks = await this.backend.segment({ stream, start, frames }, texts, {
        preprocessing: preprocessing(options, source.info),
        ...(link && { link }),
        priority: options.priority,
        signal,
      });
      this.observer?.computed((performance.now() - asked) / 1000);
      return masks;
    };
    // Linking needs the masks of the window before. How far frames are decoded ahead is for the frame memory to say.
    const limit = () => (options.linkWindows ? 1 : this.backend.windowsInFlight);
    /** Frames leave one by one; they count until the reader asks for the next one. */
    const leave = async function* (frames: readonly SegmentedFrame[]) {
      for (const frame of frames) {
        hold.beginReading();
        yield frame;
        hold.endReading();
        hold.giveBack(frame.frame.data.length);
      }
    };

    const decoded = timed(windows, (seconds) => this.observer?.decoded(seconds));
    for await (const { value: window, result, release } of inFlight(decoded, compute, { limit, signal })) {
      const { start, end, frames } = window;
      const { sentences } = await result;
      const unchanged = pending.filter(({ index }) => index < start);
      firstTime ??= frames[0]!.time;
      const origin = firstTime;
      // Later windows overwrite earlier ones, as published.
      pending = frames.map((frame, position) => ({
        index: start + position,
        time: frame.time - origin,
        frame,
        masks: sentences.map(({ score, masks }) => (score < minScore ? emptyMask(frame) : masks[position]!)),
        window: window.index,
      }));
      release();
      // Windows as published start at every stride: no later one reaches the frames before.
      const final = options.tail === 'anchored' ? [] : pending.filter(({ index }) => index < start + stride);
      pending = pending.slice(final.length);
      onWindow(sentences.map(({ objectQuery, score }) => ({ start, end, objectQuery, score })));
      yield* leave(unchanged);
      yield* leave(final);
      hold.compute(-1);
    }
    yield* leave(pending);
  }
}

/** Passes everything on and tells how long each item was waited for. */
async function* timed<T>(items: AsyncIterable<T>, tell: (seconds: number) => void): AsyncGenerator<T, void, undefined> {
  let asked = performance.now();
  for await (const item of items) {
    tell((performance.now() - asked) / 1000);
    yield item;
    asked = performance.now();
  }
}

function preprocessing({ shortSide, longSide, antialias }: RunOptions, { sampleAspect }: VideoInfo) {
  return {
    ...(sampleAspect !== undefined && { pixelAspect: pixelAspect(sampleAspect) }),
    ...(shortSide !== undefined && { shortSide }),
    ...(longSide !== undefined && { longSide }),
    ...(antialias !== undefined && { antialias }),
  };
}

/** A sentence's masks in the frames two windows share; undefined if it had none there that could be followed. */
function earlierMasks(shared: readonly SegmentedFrame[], sentence: number): Mask[] | undefined {
  const masks = shared.map((frame) => frame.masks[sentence]!);
  return masks.some(({ bits }) => bits.some((byte) => byte !== 0)) ? masks : undefined;
}

function expectedFrames(
  video: VideoInfo,
  { start = 0, end = Number.POSITIVE_INFINITY }: VideoRunOptions,
): number | null {
  if (video.duration === null || video.frameRate === null) return null;
  return Math.max(1, Math.round((Math.min(end, video.duration) - start) * video.frameRate));
}
