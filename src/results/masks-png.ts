import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AtomicFolder } from '../files/atomic-output.js';
import { toOutputError } from '../files/output-error.js';
import { encodeMaskPng } from '../masks/png.js';
import type { FrameSink, SinkContext } from './frame-sink.js';
import type { SegmentedFrame } from './segmented-frame.js';

/** What a folder of masks holds: a folder for each sentence. */
export function isMasksName(name: string): boolean {
  return /^\d{1,6}$/.test(name);
}

/** Writes `--masks DIR`: `DIR/<query index>/<frame, 5 digits>.png`, grayscale 0/255. */
export class MasksPngSink implements FrameSink {
  private constructor(private readonly folder: AtomicFolder) {}

  static async open(
    path: string,
    context: SinkContext,
    options: { readonly force?: boolean | undefined } = {},
  ): Promise<MasksPngSink> {
    const folder = await AtomicFolder.create(path, { ...options, owned: isMasksName });
    try {
      for (const query of context.sentences.keys()) await mkdir(join(folder.temporaryPath, String(query)));
    } catch (error) {
      await folder.abort();
      throw toOutputError(error, path);
    }
    return new MasksPngSink(folder);
  }

  async write({ index, masks }: Pick<SegmentedFrame, 'index' | 'masks'>): Promise<void> {
    const name = `${String(index).padStart(5, '0')}.png`;
    try {
      // One after another: a 4K mask takes 8 MB unpacked.
      for (const [query, mask] of masks.entries()) {
        await writeFile(join(this.folder.temporaryPath, String(query), name), await encodeMaskPng(mask));
      }
    } catch (error) {
      throw toOutputError(error, this.folder.target);
    }
  }

  finish(): Promise<void> {
    return this.folder.finish();
  }

  abort(): Promise<void> {
    return this.folder.abort();
  }
}
