import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { AtomicFile } from '../files/atomic-output.js';
import { toOutputError } from '../files/output-error.js';
import { maskColor, paintMasks } from '../masks/overlay.js';
import { missingLetters } from '../video/captions/missing-letters.js';
import { ContactSheet } from '../video/contact-sheet.js';
import type { FrameSink, SinkContext } from './frame-sink.js';
import type { SegmentedFrame, SegmentSummary } from './segmented-frame.js';

/** Writes `--contact-sheet`: frames in columns, sentences in rows. */
export class ContactSheetSink implements FrameSink {
  private constructor(
    private readonly output: AtomicFile,
    private readonly sheet: ContactSheet,
    readonly warnings: readonly string[],
  ) {}

  static async open(
    path: string,
    { video, sentences }: SinkContext,
    { force }: { readonly force?: boolean | undefined } = {},
  ): Promise<ContactSheetSink> {
    const title = basename(video.source);
    const warnings = await missingLetters([title, ...sentences]);
    const output = await AtomicFile.create(path, { force });
    const sheet = new ContactSheet({
      title,
      sentences: sentences.map((text, i) => ({ text, color: maskColor(i) })),
      paintMask: (frame, mask, sentence) => paintMasks(frame, [mask], { colors: [maskColor(sentence)] }),
    });
    return new ContactSheetSink(output, sheet, warnings);
  }

  write({ frame, masks, time }: SegmentedFrame): Promise<void> {
    return this.sheet.add(frame, masks, time);
  }

  async finish({ queries }: SegmentSummary): Promise<void> {
    const picture = await this.sheet.toPng(queries.map(({ score }) => score));
    try {
      await writeFile(this.output.temporaryPath, picture);
    } catch (error) {
      throw toOutputError(error, this.output.target);
    }
    await this.output.finish();
  }

  abort(): Promise<void> {
    return this.output.abort();
  }
}
