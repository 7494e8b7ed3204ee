import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { encode } from 'fast-png';
import hdf5 from 'h5wasm';
import sharp from 'sharp';
import type {
  Backend,
  Frames,
  SegmentOptions,
  TextFeatures,
  TokenizedSentence,
  WindowMasks,
} from '../../src/backends/backend.js';
import { type Mask, maskByteLength } from '../../src/masks/mask.js';
import { maskFromPixels } from '../../src/masks/pixels.js';
import { encodeMaskPng } from '../../src/masks/png.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { ffmpeg } from './videos.js';

/*
 * Tiny data sets in the layouts of the real ones. Every frame has a red square (object 1) and a green one (object 2) that
 * move apart; `ColourBackend` finds them by their colour, so that right masks are known.
 */

export const size = { width: 48, height: 32 } as const;
export type Colour = 'red' | 'green';

/** Pixels of an object in frame `t`: a square of 8, one pixel further each frame. */
export function objectPixels(colour: Colour, t: number): Uint8Array {
  const pixels = new Uint8Array(size.width * size.height);
  const left = colour === 'red' ? 2 + (t % 30) : 36 - (t % 30);
  const top = colour === 'red' ? 3 : 20;
  for (let y = top; y < top + 8; y++) pixels.fill(1, y * size.width + left, y * size.width + left + 8);
  return pixels;
}

export function objectMask(colour: Colour, t: number): Mask {
  return maskFromPixels(objectPixels(colour, t), size.width, size.height, 1);
}

export function picture(t: number): Uint8Array {
  const rgb = new Uint8Array(size.width * size.height * 3).fill(20);
  for (const [channel, colour] of (['red', 'green'] as const).entries()) {
    for (const [i, set] of objectPixels(colour, t).entries()) {
      if (set) for (let c = 0; c < 3; c++) rgb[3 * i + c] = c === channel ? 230 : 10;
    }
  }
  return rgb;
}

export async function dataSetFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'rvos-data-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export async function put(root: string, name: string, contents: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), contents);
}

const raw = { raw: { ...size, channels: 3 } } as const;

async function putVideo(root: string, name: string, frames: number): Promise<void> {
  const pictures = join(root, `.frames-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`);
  for (let t = 0; t < frames; t++) {
    await put(pictures, `${t}.png`, await sharp(picture(t), raw).png().toBuffer());
  }
  await mkdir(dirname(join(root, name)), { recursive: true });
  // Lossless, so that colours stay what they are.
  await ffmpeg('-framerate', '10', '-i', join(pictures, '%d.png'), '-c:v', 'libx264rgb', '-crf', '0', join(root, name));
  await rm(pictures, { recursive: true });
}

/** An A2D-Sentences annotation as MATLAB stores it: masks [n,W,H], or [W,H] for one object. */
export async function hdf5Annotation(instances: readonly number[], masks: readonly Uint8Array[]): Promise<Uint8Array> {
  const { FS } = await hdf5.ready;
  const name = 'written-by-test.h5';
  const file = new hdf5.File(name, 'w');
  const turned = masks.map((pixels) =>
    Uint8Array.from(
      { length: pixels.length },
      (_, i) => pixels[(i % size.height) * size.width + Math.floor(i / size.height)]!,
    ),
  );
  const all = Uint8Array.from(turned.flatMap((pixels) => [...pixels]));
  const shape = [size.width, size.height];
  file.create_dataset({
    name: 'reMask',
    data: all,
    shape: masks.length === 1 ? shape : [masks.length, ...shape],
    dtype: '<B',
  });
  file.create_dataset({ name: 'instance', data: Float64Array.from(instances), shape: [instances.length], dtype: '<d' });
  const corners = instances.map(() => [1, 2, 9, 10]);
  const boxes = Float64Array.from([0, 1, 2, 3].flatMap((side) => corners.map((corner) => corner[side]!)));
  file.create_dataset({ name: 'reBBox', data: boxes, shape: [4, instances.length], dtype: '<d' });
  file.close();
  const bytes = FS.readFile(name) as Uint8Array;
  FS.unlink(name);
  return bytes;
}

/** Two test videos of 20 frames, annotated in two frames each, and one of the train split. */
export async function writeA2d(root: string): Promise<void> {
  const videos = { first: '1', second: '1', trained: '0' };
  const row = (video: string, subset: string) => `${video},1,0:0:0,0:0:2,32,48,20,2,${subset}`;
  await put(
    root,
    'Release/videoset.csv',
    Object.entries(videos)
      .map(([v, s]) => row(v, s))
      .join('\n'),
  );
  const sentences = ['video_id,instance_id,query', 'first,1,"the red one, moving"', 'first,2,green square'];
  sentences.push('second,1,red thing', 'second,1 (copy),red thing', 'trained,1,red', 'gone,1,nobody');
  await put(root, 'text_annotations/a2d_annotation.txt', `${sentences.join('\n')}\n`);
  await put(root, 'text_annotations/a2d_missed_videos.txt', 'gone\n');
  for (const video of Object.keys(videos)) {
    await putVideo(root, `Release/clips320H/${video}.mp4`, 20);
    for (const frame of [3, 19]) {
      const both = video === 'first';
      const masks = [objectPixels('red', frame - 1), ...(both ? [objectPixels('green', frame - 1)] : [])];
      const name = `text_annotations/a2d_annotation_with_instances/${video}/${String(frame).padStart(5, '0')}.h5`;
      await put(root, name, await hdf5Annotation(both ? [1, 2] : [1], masks));
    }
  }
}

/** A MATLAB 5 file with one uint8 array [H,W,n], in its compressed form. */
export function matFile(name: string, masks: readonly Uint8Array[]): Buffer {
  const element = (type: number, data: Buffer) => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(data.length, 4);
    return Buffer.concat([head, data, Buffer.alloc((8 - (data.length % 8)) % 8)]);
  };
  const ints = (...values: number[]) => Buffer.from(Int32Array.from(values).buffer);
  const columns = masks.map((pixels) =>
    Buffer.from(
      Uint8Array.from(
        { length: pixels.length },
        (_, i) => pixels[(i % size.height) * size.width + Math.floor(i / size.height)]!,
      ),
    ),
  );
  const matrix = element(
    14,
    Buffer.concat([
      element(6, ints(9, 0)),
      element(5, ints(size.height, size.width, masks.length)),
      element(1, Buffer.from(name)),
      element(2, Buffer.concat(columns)),
    ]),
  );
  const compressed = deflateSync(matrix);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(15, 0);
  head.writeUInt32LE(compressed.length, 4);
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file');
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126);
  return Buffer.concat([header, head, compressed]);
}

/** One video of 12 frames with samples at frames 1, 6 and 12. */
export async function writeJhmdb(root: string): Promise<void> {
  const folder = 'Rename_Images/wave/clip';
  for (let t = 0; t < 12; t++) {
    await put(root, `${folder}/${String(t + 1).padStart(5, '0')}.png`, await sharp(picture(t), raw).png().toBuffer());
  }
  const masks = Array.from({ length: 12 }, (_, t) => objectPixels('red', t));
  await put(root, 'puppet_mask/wave/clip/puppet_mask.mat', matFile('part_mask', masks));
  const rows = [1, 6, 12].map((frame) => [
    'clip',
    `./jhmdb_sentences/${folder}/${String(frame).padStart(5, '0')}.png`,
    './jhmdb_sentences/puppet_mask/wave/clip/puppet_mask.mat',
    12,
    'red person waving',
  ]);
  await put(root, 'jhmdb_sentences_samples_metadata.json', JSON.stringify(rows));
}

/** Palette picture whose indices are object ids. */
export function objectMapPng(t: number): Uint8Array {
  const ids = objectPixels('red', t).map((set, i) => (set ? 1 : objectPixels('green', t)[i]! * 2));
  const palette = [
    [0, 0, 0],
    [236, 95, 103],
    [99, 199, 148],
  ] as [number, number, number][];
  return encode({ ...size, data: ids, channels: 1, depth: 8, palette });
}

/** One annotated train video; a valid video, and one that the valid list shares with the test list. */
export async function writeReferYouTubeVos(root: string): Promise<void> {
  const frames = ['00000', '00005', '00010', '00015'];
  const expressions = { 0: { exp: 'a red square', obj_id: '1' }, 1: { exp: 'the green one', obj_id: '2' } };
  const lists: Record<string, string[]> = { train: ['learn'], valid: ['judge', 'secret'], test: ['secret'] };
  for (const [split, videos] of Object.entries(lists)) {
    const list = Object.fromEntries(videos.map((video) => [video, { frames, expressions }]));
    await put(root, `meta_expressions/${split}/meta_expressions.json`, JSON.stringify({ videos: list }));
    if (split === 'test') continue;
    for (const video of videos) {
      for (const [t, name] of frames.entries()) {
        const jpeg = await sharp(picture(t), raw).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
        await put(root, `${split}/JPEGImages/${video}/${name}.jpg`, jpeg);
        if (split === 'train') await put(root, `${split}/Annotations/${video}/${name}.png`, objectMapPng(t));
      }
    }
  }
}

/** Two clips in rvos' own layout; the first has a sentence about nothing. */
export async function writeFolder(root: string): Promise<void> {
  await putVideo(root, 'one/video.mkv', 30);
  const masks = async (clip: string, colour: Colour, frames: readonly number[]) => {
    for (const t of frames) {
      const name = `${clip}/masks/${colour}/${String(t).padStart(5, '0')}.png`;
      await put(root, name, await encodeMaskPng(objectMask(colour, t)));
    }
  };
  await masks('one', 'red', [0, 10, 29]);
  await masks('one', 'green', [5]);
  const sentences = [
    { text: 'red square', masks: 'masks/red' },
    { text: 'green square', masks: 'masks/green' },
    { text: 'a blue star', masks: null },
  ];
  await put(root, 'one/sentences.json', JSON.stringify(sentences));
  for (let t = 0; t < 3; t++) await put(root, `two/frames/${t}.png`, await sharp(picture(t), raw).png().toBuffer());
  await masks('two', 'red', [1]);
  await put(root, 'two/sentences.json', JSON.stringify(sentences.slice(0, 1)));
}

/** Finds objects by colour; a sentence without a colour gets nothing, and a low score. Query 0 of 3 is the right one. */
export class ColourBackend implements Backend {
  readonly name = 'onnxruntime';
  readonly windowsInFlight = 1;
  readonly windows: { frames: number; options: SegmentOptions; start: number }[] = [];
  readonly #colours = new WeakMap<TextFeatures, string>();
  /** Called with each window's number; may throw. */
  before: (window: number) => void = () => undefined;

  async encodeText(sentences: readonly TokenizedSentence[]): Promise<TextFeatures[]> {
    return sentences.map(({ text, ids }) => {
      const features = { tokens: ids.length, features: new Float32Array(ids.length) };
      this.#colours.set(features, /red|green/.exec(text)?.[0] ?? 'none');
      return features;
    });
  }

  async segment(window: Frames, texts: readonly TextFeatures[], options: SegmentOptions = {}): Promise<WindowMasks> {
    this.before(this.windows.length);
    this.windows.push({ frames: window.frames.length, options, start: window.start });
    const kept = (options.frames ?? window.frames.map((_, i) => i)).map((i) => window.frames[i]!);
    return {
      sentences: texts.map((text) => {
        const colour = this.#colours.get(text);
        const right = kept.map((frame) => maskByColour(frame, colour));
        const empty = kept.map(({ width, height }) => ({
          width,
          height,
          bits: new Uint8Array(maskByteLength(width, height)),
        }));
        const score = colour === 'none' ? 0.1 : 0.9;
        const scores = Float32Array.of(score, 0.05, 0.02);
        const masks = options.queries === 'all' ? [...right, ...empty, ...empty] : right;
        return { objectQuery: 0, score, scores, masks };
      }),
    };
  }

  async dispose(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

function maskByColour({ data, width, height }: RgbFrame, colour: string | undefined): Mask {
  const channel = colour === 'red' ? 0 : colour === 'green' ? 1 : undefined;
  const pixels = new Uint8Array(width * height);
  if (channel !== undefined) {
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = data[3 * i + channel]! > 128 && data[3 * i + 1 - channel]! < 128 ? 1 : 0;
    }
  }
  return maskFromPixels(pixels, width, height, 1);
}

export async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
