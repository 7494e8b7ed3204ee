import { maskColor, type OverlayOptions, paintMasks } from '../masks/overlay.js';
import { MaskedVideoWriter } from '../video/masked-video-writer.js';
import type { FrameSink, SinkContext } from './frame-sink.js';
import type { MaskedVideoStyle } from './masked-video-style.js';
import type { SegmentedFrame } from './segmented-frame.js';

export type MaskedVideoOptions = MaskedVideoStyle & { readonly force?: boolean | undefined };

/** Writes `--masked-video`: the masks painted over the frames, a caption for each sentence above, the sound kept. */
export class MaskedVideoSink implements FrameSink {
  /** Masks are painted into the same memory frame after frame. */
  readonly #painted: Uint8Array;

  private constructor(
    private readonly writer: MaskedVideoWriter,
    private readonly lost: readonly string[],
    size: { readonly width: number; readonly height: number },
    private readonly look: OverlayOptions,
  ) {
    this.#painted = new Uint8Array(size.width * size.height * 3);
  }

  static async open(
    path: string,
    { video, sentences, part, signal }: SinkContext,
    { force, captions = true, colors = [], opacity, codec, quality }: MaskedVideoOptions = {},
  ): Promise<MaskedVideoSink> {
    const { width, height, frameRate, sampleAspect, file, sound } = video;
    const writer = await MaskedVideoWriter.open(path, {
      ...{ width, height, frameRate, sampleAspect, force, signal },
      ...{ codec, quality },
      captions: captions ? sentences.map((text, i) => ({ text, color: colors[i] ?? maskColor(i) })) : [],
      ...(file !== undefined && sound !== undefined && { audioFrom: { path: file, sound, ...part } }),
    });
    const lost =
      video.hasAudio && sound === undefined
        ? [`the sound of ${video.source} is not kept: it is read once and in order; give it as a file`]
        : [];
    return new MaskedVideoSink(writer, lost, video, { colors, ...(opacity !== undefined && { alpha: opacity }) });
  }

  get warnings(): readonly string[] {
    return [...this.lost, ...this.writer.warnings];
  }

  async write({ frame, masks }: SegmentedFrame): Promise<void> {
    await this.writer.write(await paintMasks(frame, masks, { ...this.look, target: this.#painted }));
  }

  finish(): Promise<void> {
    return this.writer.finish();
  }

  abort(): Promise<void> {
    return this.writer.abort();
  }
}
