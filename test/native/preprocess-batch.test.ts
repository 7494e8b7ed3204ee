import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import {
  halvesOf,
  imageNet,
  type PreprocessJob,
  plainPreprocess,
  randomNumbers,
  type Size,
  withPitch,
} from '../support/kernel-jobs.js';
import { bytesOf, goldenPath, readGoldens } from '../support/safetensors.js';

const core = loadCore();

/** One RGB or BGR frame through the batch function, as halves. */
async function preprocess(
  source: Uint8Array,
  from: Size,
  to: Size,
  options: Partial<PreprocessJob> = {},
): Promise<Uint16Array> {
  const target = new Uint16Array(3 * to.height * to.width);
  await core.preprocessBatch({
    source,
    frames: 1,
    format: 'rgb',
    matrix: 'bt601',
    ...from,
    pitch: 3 * from.width,
    target,
    targetHeight: to.height,
    targetWidth: to.width,
    antialias: true,
    ...imageNet,
    ...options,
  });
  return target;
}

/** What a kernel must give, bit for bit. */
async function expected(frame: Uint8Array, from: Size, to: Size, antialias: boolean): Promise<Uint16Array> {
  return halvesOf(await plainPreprocess(frame, from, to, antialias));
}

function expectSame(actual: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  expect(actual.length, what).toBe(wanted.length);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== wanted[i]) expect.fail(`${what}: element ${i} is ${actual[i]}, not ${wanted[i]}`);
  }
}

describe('preprocessBatch on the goldens', () => {
  const goldens = readGoldens(goldenPath('preproc.safetensors'));
  const { cases } = JSON.parse(readFileSync(goldenPath('preproc.json'), 'utf8')) as {
    cases: { H: number; W: number; modelscope_tensor_size: [number, number] }[];
  };

  for (const [index, { H, W, modelscope_tensor_size: size }] of cases.entries()) {
    for (const antialias of [true, false]) {
      it(`equals torchvision to a level: ${H}×${W} to ${size.join('×')}, antialias ${antialias}`, async () => {
        const levels = bytesOf(goldens, `${index}.tensor_resized_antialias_${antialias}`);
        const to = { height: size[0], width: size[1] };
        // With mean 0 and deviation 1/255 the halves are the levels themselves.
        const plain = { antialias, mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };
        const actual = await preprocess(bytesOf(goldens, `${index}.frame`), { height: H, width: W }, to, plain);
        const exact = halvesOf(Float32Array.from({ length: 256 }, (_, level) => level));
        let different = 0;
        for (let i = 0; i < levels.length; i++) {
          const level = exact.indexOf(actual[i]!);
          expect(Math.abs(level - levels[i]!)).toBeLessThanOrEqual(1);
          if (level !== levels[i]) different++;
        }
        expect(different / levels.length).toBeLessThanOrEqual(0.01);
      });
    }
  }

  it('equals the CPU path bit for bit on a clip, its frames at any position of the batch', async () => {
    const frames = bytesOf(readGoldens(goldenPath('e2e/e2e.safetensors')), 'frames');
    const [from, to] = [
      { height: 64, width: 96 },
      { height: 80, width: 120 },
    ];
    const [count, frameBytes, planes] = [7, 64 * 96 * 3, 80 * 120 * 3];
    const positions = Int32Array.of(5, 0, -1, 8, 3, 2, -1);
    const target = new Uint16Array(9 * planes).fill(0xabcd);
    await core.preprocessBatch({
      source: frames.subarray(0, count * frameBytes),
      frames: count,
      format: 'rgb',
      matrix: 'bt601',
      ...from,
      pitch: 96 * 3,
      target,
      targetHeight: to.height,
      targetWidth: to.width,
      antialias: true,
      ...imageNet,
      positions,
    });
    for (let position = 0; position < 9; position++) {
      const index = positions.indexOf(position);
      const actual = target.subarray(position * planes, (position + 1) * planes);
      if (index < 0) expect(actual.every((bits) => bits === 0xabcd)).toBe(true);
      else {
        const frame = frames.subarray(index * frameBytes, (index + 1) * frameBytes);
        expectSame(actual, await expected(frame, from, to, true), `position ${position}`);
      }
    }
  });
});

describe('preprocessBatch', () => {
  const next = randomNumbers(20);
  const between = (low: number, high: number): number => low + (next() % (high - low + 1));
  const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => next() >>> 24);

  async function check(from: Size, to: Size, antialias: boolean, pad: number, offset: number, bgr: boolean) {
    const what = `${from.height}×${from.width} to ${to.height}×${to.width}, antialias ${antialias}, pitch +${pad}`;
    const frame = noise(from.height * from.width * 3);
    const rowBytes = from.width * 3;
    const padded = withPitch(frame, rowBytes, rowBytes + pad, next);
    // Every alignment of the first byte: the block copies whole vectors from wherever the rows begin.
    const source = new Uint8Array(padded.length + offset).subarray(offset);
    source.set(padded);
    const format = bgr ? 'bgr' : 'rgb';
    const actual = await preprocess(source, from, to, { antialias, pitch: rowBytes + pad, format });
    const rgb = bgr ? frame.map((_, i) => frame[i - (i % 3) + 2 - (i % 3)]!) : frame;
    expectSame(actual, await expected(rgb, from, to, antialias), what);
  }

  it('equals resize, normalise and rounding for any sizes, pitch, alignment and order of channels', async () => {
    for (let run = 0; run < 400; run++) {
      const side = (): number => (next() % 4 === 0 ? between(1, 4) : between(1, 150));
      await check(
        { height: side(), width: side() },
        { height: side(), width: side() },
        next() % 2 === 0,
        next() % 3 === 0 ? 0 : between(1, 40),
        between(0, 15),
        next() % 2 === 0,
      );
    }
  });

  it.each([
    // Every number of taps that has a kernel of its own, and tiles that are cut off on both sides.
    [135, 200, 135, 200],
    [200, 300, 100, 150],
    [180, 321, 60, 107],
    [240, 400, 60, 100],
    [210, 330, 33, 50],
    [16, 64, 16, 64],
    [17, 65, 17, 65],
    [33, 131, 66, 262],
    // Filters longer than a chunk of rows, and rows that do not fit in a block's memory.
    [700, 40, 17, 70],
    [3000, 3, 1, 9],
    [5, 9000, 4, 66],
    [60, 2000, 35, 66],
    [60, 1000, 35, 66],
    [5, 30000, 3, 64],
    [3, 70000, 2, 70],
    [1, 1, 40, 70],
    [1, 500, 1, 3],
    [500, 1, 3, 1],
    [2, 3, 2, 3],
  ])('equals it at the edges: %i×%i to %i×%i', async (h, w, th, tw) => {
    for (const antialias of [true, false]) {
      for (const bgr of [false, true]) {
        await check({ height: h, width: w }, { height: th, width: tw }, antialias, 5, 3, bgr);
        await check({ height: h, width: w }, { height: th, width: tw }, antialias, (16 - ((3 * w) % 16)) % 16, 0, bgr);
      }
    }
  });

  it('writes float32 planes as exactly as normalise', async () => {
    for (const width of [64, 67, 130]) {
      const [from, to] = [
        { height: 50, width: 90 },
        { height: 37, width },
      ];
      const frame = noise(50 * 90 * 3);
      const target = new Float32Array(3 * to.height * to.width);
      await preprocess(frame, from, to, { target });
      expectSame(target, await plainPreprocess(frame, from, to, true), `width ${width}`);
    }
  });

  it('rounds to halves as IEEE 754 does: ties, subnormals, overflow, signs', async () => {
    const levels = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3));
    const row = { height: 1, width: 256 };
    for (let exponent = -16; exponent <= 30; exponent++) {
      const scale = 2 ** exponent;
      for (const mean of [0, 0.5, 0.2345]) {
        const normalisation = { mean: [mean, mean, mean], std: [scale, scale * 1.01, scale * 0.7] };
        const actual = await preprocess(levels, row, row, normalisation);
        const plain = await plainPreprocess(levels, row, row, true, normalisation);
        expectSame(actual, Uint16Array.from(plain, roundToHalf), `deviation ${scale}, mean ${mean}`);
      }
    }
    // A tie between two halves, both ways: level/255 · 255 · 2^-25 is a whole number of half steps of a subnormal.
    const ties = await preprocess(levels, row, row, {
      mean: [0, 0, 0],
      std: new Array<number>(3).fill(2 ** 25 / 255),
    });
    expect([...ties.subarray(0, 6)]).toEqual([0, 0, 1, 2, 2, 2]);
  });
});

/** Halves by search: the nearest of all 63,488 finite ones, of two equally near the even one; beyond 65520 infinity. */
function roundToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  let [low, high] = [0, 0x7bff];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (finiteHalf(middle) <= magnitude) low = middle;
    else high = middle - 1;
  }
  if (low === 0x7bff) return sign | low;
  const [below, above] = [magnitude - finiteHalf(low), finiteHalf(low + 1) - magnitude];
  return sign | (below < above || (below === above && low % 2 === 0) ? low : low + 1);
}

function finiteHalf(bits: number): number {
  const exponent = bits >> 10;
  const fraction = bits & 0x3ff;
  return exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
}

describe('preprocessBatch of NV12', () => {
  const next = randomNumbers(12);

  /** BT.601 or BT.709, limited range, in float64 from the definition: Kr and Kb alone. */
  function rgbOf(y: number, u: number, v: number, matrix: 'bt601' | 'bt709'): number[] {
    const [kr, kb] = matrix === 'bt601' ? [0.299, 0.114] : [0.2126, 0.0722];
    const luma = (y - 16) / 219;
    const [cb, cr] = [(u - 128) / 224, (v - 128) / 224];
    const red = luma + 2 * (1 - kr) * cr;
    const blue = luma + 2 * (1 - kb) * cb;
    const green = (luma - kr * red - kb * blue) / (1 - kr - kb);
    return [red, green, blue].map((value) => 255 * Math.min(Math.max(value, 0), 1));
  }

  async function levelsOf(source: Uint8Array, size: Size, pitch: number, matrix: 'bt601' | 'bt709') {
    const unit = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };
    const target = new Float32Array(3 * size.height * size.width);
    await preprocess(source, size, size, { format: 'nv12', matrix, pitch, target, ...unit });
    return target;
  }

  function nv12(size: Size, pitch: number): Uint8Array {
    const rows = size.height + Math.ceil(size.height / 2);
    const length = (rows - 1) * pitch + 2 * Math.ceil(size.width / 2);
    return Uint8Array.from({ length }, () => next() >>> 24);
  }

  it.each(['bt601', 'bt709'] as const)('turns %s into the levels nearest to the definition', async (matrix) => {
    for (const [height, width, pad, offset] of [
      [32, 48, 0, 0],
      [31, 47, 3, 1],
      [1, 1, 0, 0],
      [2, 77, 2, 2],
      [9, 66, 4, 0],
    ] as const) {
      const size = { height, width };
      const pitch = 2 * Math.ceil(width / 2) + pad;
      const bytes = nv12(size, pitch);
      const source = new Uint8Array(bytes.length + offset).subarray(offset);
      source.set(bytes);
      const levels = await levelsOf(source, size, pitch, matrix);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const uv = (height + (y >> 1)) * pitch + (x & ~1);
          const wanted = rgbOf(source[y * pitch + x]!, source[uv]!, source[uv + 1]!, matrix);
          for (let c = 0; c < 3; c++) {
            const level = Math.round(levels[(c * height + y) * width + x]!);
            expect(Math.abs(level - wanted[c]!)).toBeLessThanOrEqual(0.51);
          }
        }
      }
    }
  });

  it('black is 0, white is 255, grey has no colour', async () => {
    for (const matrix of ['bt601', 'bt709'] as const) {
      for (const [luma, level] of [
        [16, 0],
        [235, 255],
        [126, 128],
      ]) {
        const levels = await levelsOf(Uint8Array.of(luma!, luma!, 128, 128), { height: 1, width: 2 }, 2, matrix);
        expect([...levels].map(Math.round)).toEqual(new Array(6).fill(level));
      }
    }
  });

  it('is the resize of that RGB picture, bit for bit, staged or not', async () => {
    for (const [height, width, th, tw, pad] of [
      [90, 160, 45, 80, 0],
      [61, 97, 80, 131, 5],
      [48, 64, 16, 65, 1],
      [37, 333, 20, 44, 2],
      [35, 20001, 2, 66, 0],
      [3, 3, 70, 70, 0],
    ] as const) {
      const size = { height, width };
      const pitch = 2 * Math.ceil(width / 2) + pad;
      const source = nv12(size, pitch);
      const planes = await levelsOf(source, size, pitch, 'bt601');
      const pixels = height * width;
      const rgb = Uint8Array.from({ length: 3 * pixels }, (_, i) =>
        Math.round(planes[(i % 3) * pixels + Math.floor(i / 3)]!),
      );
      for (const antialias of [true, false]) {
        const to = { height: th, width: tw };
        const actual = await preprocess(source, size, to, { format: 'nv12', pitch, antialias });
        expectSame(actual, await expected(rgb, size, to, antialias), `${height}×${width} to ${th}×${tw}`);
      }
    }
  });
});
