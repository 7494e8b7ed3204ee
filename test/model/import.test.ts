import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ImportOptions, importModel } from '../../src/model/import.js';
import { openModelFolder } from '../../src/model/model-folder.js';
import { weightLayout, weightOffsets } from '../../src/model/weight-layout.js';
import { fromHalf } from '../../src/tensors/float16.js';
import { readSafetensors, writeSafetensors } from '../../src/tensors/safetensors.js';
import type { Tensor } from '../../src/tensors/tensor.js';

const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));
const golden = {
  source: join(goldens, 'checkpoint.pth.tar'),
  architecture: join(goldens, 'config.json'),
  tokenizer: join(goldens, 'tokenizer'),
};
const twin = await readSafetensors(join(goldens, 'model.safetensors'));

let scratch: string;
let out: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-import-'));
  out = join(scratch, 'model');
});
afterEach(async () => {
  await rm(scratch, { recursive: true });
});

const importing = (options: Partial<ImportOptions> = {}) => importModel({ ...golden, out, ...options });

/** The golden network as safetensors, altered. */
async function altered(change: (tensors: Map<string, Tensor>) => void): Promise<string> {
  const tensors = new Map(twin);
  change(tensors);
  const path = join(scratch, 'altered.safetensors');
  await writeSafetensors(path, tensors, { force: true });
  return path;
}

/** What weights.bin must hold of one entry, written down independently of the importer. */
function expectedValues(entry: ReturnType<typeof weightLayout>[number]): Float32Array {
  const { data, shape } = twin.get(entry.from)!;
  const width = data.length / shape[0]!;
  const [first, end] = entry.rows ?? [0, shape[0]!];
  const rows = Array.from({ length: end - first }, (_, i) =>
    Array.from(data.subarray((first + i) * width, (first + i + 1) * width) as Float32Array),
  );
  return Float32Array.from(entry.transpose ? rows[0]!.flatMap((_, x) => rows.map((row) => row[x]!)) : rows.flat());
}

describe('importModel', () => {
  it('makes a folder that opens, with the weights where the layout says', async () => {
    const progress: number[] = [];
    const { description, warnings, path } = await importing({
      onProgress: (done, total) => progress.push(done / total),
    });
    expect([path, warnings]).toEqual([out, []]);
    expect(description).toMatchObject({
      name: 'model',
      preprocessing: { short_side: 360, long_side: 640, antialias: true, mean: [0.485, 0.456, 0.406] },
      windows: { length: 24, overlap: 6 },
      tokenizer: { max_tokens: 512 },
      min_score: 0,
      precision: 'fp32',
      provenance: { source: 'checkpoint.pth.tar', format: 'pytorch' },
    });
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));

    const model = await openModelFolder(out);
    const weights = await readFile(model.weightsPath);
    const { entries, totalBytes } = weightOffsets(model.architecture, 'fp32');
    expect(weights.length).toBe(totalBytes);
    for (const entry of weightLayout(model.architecture)) {
      const { offset, length } = entries.get(entry.name)!;
      const values = new Float32Array(Uint8Array.from(weights.subarray(offset, offset + length)).buffer);
      const expected = expectedValues(entry);
      expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(expected.buffer)), entry.name).toBe(0);
    }
    expect((await model.tokenizer()).prepare('The dog').ids).toEqual([0, 272, 589, 2]);
    const names = await readdir(out);
    for (const stage of ['backbone-T24-360x640', 'text-encoder', 'transformer-T24-360x640']) {
      expect(names.filter((name) => name.startsWith(`${stage}-`))).toHaveLength(1);
    }
    // The graphs written in advance are those that are asked for later.
    const clip = { frames: 24, height: 360, width: 640 };
    expect(names).toContain((await model.graphPath('backbone', clip)).slice(out.length + 1));
    expect(names).toContain((await model.graphPath('transformer', clip)).slice(out.length + 1));
    expect(names).toContain((await model.graphPath('text-encoder')).slice(out.length + 1));
    expect(await readdir(out)).toEqual(names);
  });

  it('gives the same bytes for the same input', async () => {
    await importing();
    await importing({ out: join(scratch, '2model'), name: 'model' });
    const again = join(scratch, '2model');
    const names = await readdir(out);
    expect(await readdir(again)).toEqual(names);
    for (const name of names) {
      expect((await readFile(join(again, name))).equals(await readFile(join(out, name))), name).toBe(true);
    }
  });

  it('makes the same network of safetensors and of a ModelScope folder, which needs no options', async () => {
    const { description } = await importing();
    const fromTwin = await importing({ source: join(goldens, 'model.safetensors'), out: join(scratch, 'b') });
    const folder = join(scratch, 'modelscope');
    await cp(join(goldens, 'modelscope_dir'), folder, { recursive: true });
    await copyFile(golden.source, join(folder, 'pytorch_model.pt'));
    for (const name of ['vocab.json', 'merges.txt']) {
      await copyFile(join(golden.tokenizer, name), join(folder, 'transformer_cfg_dir', name));
    }
    const fromFolder = await importModel({ source: folder, out: join(scratch, 'c') });
    expect(fromFolder.warnings).toEqual([]);
    expect(fromFolder.description.provenance).toMatchObject({ source: 'modelscope', format: 'modelscope (pytorch)' });
    for (const other of [fromTwin.description, fromFolder.description]) {
      expect(other.architecture).toEqual(description.architecture);
      expect(other.files).toEqual(description.files);
    }
  });

  it('stores FP16 when asked to, and where the checkpoint does', async () => {
    const first = await importing({ precision: 'fp16' });
    const { architecture } = first.description;
    const weights = await readFile(join(out, 'weights.bin'));
    const { entries, totalBytes } = weightOffsets(architecture, 'fp16');
    expect(weights.length).toBe(totalBytes);
    const { offset, length } = entries.get('obj_queries.weight')!;
    const half = new Uint16Array(Uint8Array.from(weights.subarray(offset, offset + length)).buffer);
    const original = twin.get('obj_queries.weight')!.data as Float32Array;
    fromHalf(half).forEach((value, i) => {
      expect(Math.abs(value - original[i]!)).toBeLessThanOrEqual(Math.abs(original[i]!) * 2 ** -11 + 2 ** -25);
    });

    const source = await altered((tensors) => {
      for (const entry of weightLayout(architecture)) {
        const { shape, data } = twin.get(entry.from)!;
        tensors.set(entry.from, { dtype: 'F16', shape, data: new Uint16Array(data.length) });
      }
    });
    const second = await importing({ source, out: join(scratch, 'b') });
    expect(second.description.precision).toBe('fp16');
    expect((await openModelFolder(second.path)).precision).toBe('fp16');
  });

  it('takes sizes, threshold, name and licence from options', async () => {
    const { description } = await importing({
      ...{ shortSide: 72, longSide: 108, antialias: false, minScore: 0.25, name: 'compact', licence: 'Apache-2.0' },
    });
    expect(description).toMatchObject({
      name: 'compact',
      licence: 'Apache-2.0',
      min_score: 0.25,
      preprocessing: { short_side: 72, long_side: 108, antialias: false },
    });
    expect((await readdir(out)).some((name) => name.startsWith('backbone-T24-60x108-'))).toBe(true);
  });

  it('reports FP16 against FP32 stage by stage', async () => {
    const { stageErrors } = await importing({ check: true });
    expect(new Set(stageErrors!.map(({ stage }) => stage))).toEqual(
      new Set(['backbone', 'text-encoder', 'transformer']),
    );
    for (const { worst, output } of stageErrors!) {
      expect(worst, output).toBeGreaterThan(1e-6);
      expect(worst, output).toBeLessThan(0.03);
    }
    expect((await readdir(out)).filter((name) => name.startsWith('check'))).toEqual([]);
    await openModelFolder(out);
  });

  it('refuses an existing folder, replaces one of its own with force, and never one with other files', async () => {
    await importing();
    await expect(importing()).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    await importing({ force: true, minScore: 0.5 });
    expect((await openModelFolder(out)).minScore).toBe(0.5);
    await writeFile(join(out, 'notes.txt'), 'mine');
    await expect(importing({ force: true })).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('notes.txt'),
    });
  });

  it.each<[string, number, RegExp]>([
    ['NaN', Number.NaN, /vid_embed_proj\.bias holds NaN/],
    ['Infinity', Number.NEGATIVE_INFINITY, /vid_embed_proj\.bias holds -Infinity/],
  ])('refuses %s among the weights in any precision', async (_what, value, message) => {
    const source = await altered((tensors) => {
      const data = Float32Array.from(twin.get('vid_embed_proj.bias')!.data as Float32Array);
      data[5] = value;
      tensors.set('vid_embed_proj.bias', { dtype: 'F32', shape: [64], data });
    });
    for (const precision of ['fp32', 'fp16'] as const) {
      await expect(importing({ source, precision })).rejects.toMatchObject({
        code: 'BAD_CHECKPOINT',
        message: expect.stringMatching(message),
      });
    }
    expect(await readdir(scratch)).toEqual(['altered.safetensors']);
  });

  it('refuses a weight beyond FP16, which FP32 takes', async () => {
    const source = await altered((tensors) => {
      tensors.set('vid_embed_proj.bias', { dtype: 'F32', shape: [64], data: new Float32Array(64).fill(70_000) });
    });
    await expect(importing({ source, precision: 'fp16' })).rejects.toMatchObject({
      code: 'BAD_CHECKPOINT',
      message: expect.stringContaining('vid_embed_proj.bias holds 70000'),
      hint: expect.stringContaining('fp32'),
    });
    await importing({ source });
  });

  it.each<[string, Partial<ImportOptions>, string]>([
    ['no checkpoint', { source: '/nowhere/x.pth.tar' }, 'NOT_FOUND'],
    ['a folder without weights', { source: join(goldens, 'tokenizer') }, 'BAD_CHECKPOINT'],
    ['a file that is no checkpoint', { source: join(goldens, 'config.json') }, 'BAD_CHECKPOINT'],
    ['no configuration', { architecture: '/nowhere/config.json' }, 'NOT_FOUND'],
    ['a configuration that is none', { architecture: join(goldens, 'tokenizer/merges.txt') }, 'BAD_ARGUMENT'],
    ['a folder without tokenizer', { tokenizer: join(goldens, 'modelscope_dir') }, 'NOT_FOUND'],
    ['swapped sides', { shortSide: 640, longSide: 360 }, 'BAD_ARGUMENT'],
    ['a threshold beyond 1', { minScore: 2 }, 'BAD_ARGUMENT'],
    ['an output folder nowhere', { out: '/nowhere/at/all' }, 'OUTPUT_NOT_WRITABLE'],
  ])('refuses %s, leaving nothing', async (_what, options, code) => {
    await expect(importing(options)).rejects.toMatchObject({ name: 'RvosError', code });
    expect(await readdir(scratch)).toEqual([]);
  });

  it('asks for a tokenizer where none lies beside the checkpoint, and for the right one', async () => {
    const source = join(scratch, 'alone.pth.tar');
    await copyFile(golden.source, source);
    await expect(importing({ source, tokenizer: undefined })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('--tokenizer'),
    });
    await mkdir(join(scratch, 'tokenizer'));
    await copyFile(join(golden.tokenizer, 'tokenizer.json'), join(scratch, 'tokenizer/tokenizer.json'));
    await importing({ source, tokenizer: undefined });

    const larger = JSON.parse(await readFile(join(golden.tokenizer, 'tokenizer.json'), 'utf8'));
    larger.model.vocab['one more'] = 900;
    await writeFile(join(scratch, 'tokenizer/tokenizer.json'), JSON.stringify(larger));
    await expect(importing({ source, tokenizer: undefined, force: true })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('901 tokens'),
    });
  });

  it('can be aborted at any point and leaves nothing', async () => {
    await expect(importing({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    const controller = new AbortController();
    const aborting = importing({
      signal: controller.signal,
      onProgress: (done, total) => done > total / 2 && controller.abort(),
    });
    await expect(aborting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await readdir(scratch)).toEqual([]);
  });
});
