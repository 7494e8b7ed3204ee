import { writeFileAtomic } from '../files/atomic-output.js';
import type { Mask } from '../masks/mask.js';
import { sharp } from '../native/sharp.js';
import { fitText, paint } from './captions/captions.js';
import type { RgbFrame } from './frame.js';
import { timestamp } from './timestamps.js';

/** Paints one sentence's mask over a (small) frame in that sentence's colour. */
export type PaintMask = (frame: RgbFrame, mask: Mask, sentence: number) => Promise<RgbFrame>;

export interface ContactSheetOptions {
  readonly title: string;
  readonly sentences: readonly { readonly text: string; readonly color: readonly [number, number, number] }[];
  readonly paintMask: PaintMask;
  /** Most columns; default 6. */
  readonly columns?: number;
}

/** A frame kept for the sheet: a picture for each sentence, already small. */
interface Candidate {
  readonly index: number;
  readonly time: number;
  readonly pictures: readonly Uint8Array[];
}

const background = [24, 26, 30] as const;
const titleColor = [235, 235, 238] as const;
const quietColor = [150, 154, 162] as const;
const layout = { margin: 24, gap: 10, title: 30, label: 22, caption: 26, cellWidth: 320, cellHeight: 240 };

/**
 * A PNG with frames in columns, evenly spaced over the video, and sentences in rows. Frames are offered as they come: the
 * length of the video need not be known. At most three times as many candidates as columns are kept, at the size of their
 * cells; whenever there would be more, every second one is dropped.
 */
export class ContactSheet {
  readonly #options: ContactSheetOptions;
  readonly #columns: number;
  #candidates: Candidate[] = [];
  #stride = 1;
  #frames = 0;
  #cell: { width: number; height: number } | null = null;

  constructor(options: ContactSheetOptions) {
    this.#options = options;
    this.#columns = Math.max(1, options.columns ?? 6);
  }

  /** Takes the next frame with one mask a sentence (at the frame's size). Its buffers may be reused when this resolves. */
  async add(frame: RgbFrame, masks: readonly Mask[], time = frame.time): Promise<void> {
    const index = this.#frames++;
    if (index % this.#stride !== 0) return;
    this.#cell ??= cellSize(frame.width, frame.height, this.#options.sentences.length);
    const pictures: Uint8Array[] = [];
    for (const sentence of this.#options.sentences.keys()) {
      const mask = masks[sentence];
      const painted = mask === undefined ? frame : await this.#options.paintMask(frame, mask, sentence);
      pictures.push(await shrink(painted, this.#cell));
    }
    this.#candidates.push({ index, time, pictures });
    if (this.#candidates.length > 3 * this.#columns) {
      this.#stride *= 2;
      this.#candidates = this.#candidates.filter((candidate) => candidate.index % this.#stride === 0);
    }
  }

  /** The sheet as PNG. `scores`: one a sentence, 0…1. */
  async toPng(scores: readonly number[]): Promise<Buffer> {
    const { margin, gap, title, label, caption } = layout;
    const chosen = spread(this.#candidates, this.#frames, this.#columns);
    const cell = this.#cell ?? { width: layout.cellWidth, height: layout.cellHeight };
    const columns = Math.max(1, chosen.length);
    const { sentences } = this.#options;
    // Wide enough for its text even if there are few and narrow pictures.
    const content = Math.max(columns * cell.width + (columns - 1) * gap, 480);
    const width = content + 2 * margin;
    const rowHeight = caption + 6 + cell.height + gap + 6;
    const top = margin + title + 8 + label + 4;
    const height = top + sentences.length * rowHeight + margin - gap;
    const sheet = new Uint8Array(width * height * 3);
    for (let i = 0; i < sheet.length; i++) sheet[i] = background[i % 3]!;
    const write = async (
      text: string,
      box: { left: number; top: number; width: number; height: number },
      color: readonly [number, number, number],
      align: 'left' | 'centre' | 'right' = 'left',
    ) => {
      const line = await fitText(text, box.width, box.height);
      const free = box.width - line.width;
      const left = box.left + (align === 'left' ? 0 : align === 'right' ? free : Math.floor(free / 2));
      paint(sheet, width, line, left, box.top + Math.floor((box.height - line.height) / 2), color);
    };
    await write(this.#options.title, { left: margin, top: margin, width: content, height: title }, titleColor);
    const left = (column: number) => margin + column * (cell.width + gap);
    for (const [column, candidate] of chosen.entries()) {
      const box = { left: left(column), top: margin + title + 8, width: cell.width, height: label };
      await write(timestamp(candidate.time), box, quietColor, 'centre');
    }
    for (const [row, sentence] of sentences.entries()) {
      const y = top + row * rowHeight;
      const score = `score ${(scores[row] ?? 0).toFixed(2)}`;
      await write(sentence.text, { left: margin, top: y, width: content - 130, height: caption }, sentence.color);
      await write(score, { left: margin + content - 120, top: y, width: 120, height: caption }, quietColor, 'right');
      for (const [column, candidate] of chosen.entries()) {
        const picture = candidate.pictures[row]!;
        for (let line = 0; line < cell.height; line++) {
          const from = picture.subarray(line * cell.width * 3, (line + 1) * cell.width * 3);
          sheet.set(from, ((y + caption + 6 + line) * width + left(column)) * 3);
        }
      }
    }
    return sharp(sheet, { raw: { width, height, channels: 3 } })
      .png({ compressionLevel: 9 })
      .toBuffer();
  }

  /** Writes the PNG. Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE, DISK_FULL. */
  async save(path: string, scores: readonly number[], options: { readonly force?: boolean } = {}): Promise<void> {
    await writeFileAtomic(path, await this.toPng(scores), options);
  }
}

/** The candidates nearest to evenly spaced positions, first and last part of the video alike. */
function spread(candidates: readonly Candidate[], frames: number, columns: number): Candidate[] {
  const wanted = Math.min(columns, candidates.length);
  const chosen: Candidate[] = [];
  let next = 0;
  for (let column = 0; column < wanted; column++) {
    const position = wanted === 1 ? 0 : (column * (frames - 1)) / (wanted - 1);
    const last = candidates.length - (wanted - column);
    let best = next;
    for (let i = next; i <= last; i++) {
      if (Math.abs(candidates[i]!.index - position) < Math.abs(candidates[best]!.index - position)) best = i;
    }
    chosen.push(candidates[best]!);
    next = best + 1;
  }
  return chosen;
}

function cellSize(width: number, height: number, rows: number): { width: number; height: number } {
  // Many sentences: smaller pictures, so that the sheet and what is kept for it stay moderate.
  const fit = Math.min(layout.cellWidth / width, layout.cellHeight / height);
  const scale = rows > 8 ? fit / 2 : fit;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

async function shrink(frame: RgbFrame, cell: { width: number; height: number }): Promise<Uint8Array> {
  const raw = { width: frame.width, height: frame.height, channels: 3 } as const;
  const image = sharp(frame.data, { raw, limitInputPixels: false }).resize(cell.width, cell.height, { fit: 'fill' });
  return new Uint8Array(await image.raw().toBuffer());
}
