import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AtomicFolder } from '../files/atomic-output.js';
import { toOutputError } from '../files/output-error.js';
import { cutOut, cutOutPng } from '../masks/cutout.js';
import { CutoutVideoWriter } from '../video/cutout-video-writer.js';
import type { FrameSink, SinkContext } from './frame-sink.js';
import type { SegmentedFrame } from './segmented-frame.js';

/** What a folder of cut-outs holds. */
export function isCutOutName(name: string): boolean {
  return /^\d{5,}\.png$/.test(name);
}

/** Writes one sentence's object alone as PNGs with alpha: `DIR/<frame, 5 digits>.png`. */
export class CutOutPngSink implements FrameSink {
  private constructor(
    private readonly query: number,
    private readonly folder: AtomicFolder,
  ) {}

  static async open(
    query: number,
    path: string,
    options: { readonly force?: boolean | undefined } = {},
  ): Promise<CutOutPngSink> {
    return new CutOutPngSink(query, await AtomicFolder.create(path, { ...options, owned: isCutOutName }));
  }

  async write({ index, frame, masks }: SegmentedFrame): Promise<void> {
    const picture = await cutOutPng(frame, masks[this.query]!);
    const name = `${String(index).padStart(5, '0')}.png`;
    await writeFile(join(this.folder.temporaryPath, name), picture).catch((error: unknown) => {
      throw toOutputError(error, this.folder.target);
    });
  }

  finish(): Promise<void> {
    return this.folder.finish();
  }

  abort(): Promise<void> {
    return this.folder.abort();
  }
}

/** Writes one sentence's object alone as a WebM with alpha. */
export class CutOutVideoSink implements FrameSink {
  private constructor(
    private readonly query: number,
    private readonly writer: CutoutVideoWriter,
  ) {}

  static async open(
    query: number,
    path: string,
    { video, signal }: SinkContext,
    { force }: { readonly force?: boolean | undefined } = {},
  ): Promise<CutOutVideoSink> {
    const { width, height, frameRate, sampleAspect } = video;
    const options = { width, height, frameRate, sampleAspect, force, signal };
    return new CutOutVideoSink(query, await CutoutVideoWriter.open(path, options));
  }

  async write({ frame, masks }: SegmentedFrame): Promise<void> {
    await this.writer.write({
      data: await cutOut(frame, masks[this.query]!, { hidden: 'kept' }),
      time: frame.time,
      duration: frame.duration,
    });
  }

  finish(): Promise<void> {
    return this.writer.finish();
  }

  abort(): Promise<void> {
    return this.writer.abort();
  }
}
