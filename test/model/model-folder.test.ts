import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sha256 } from '../../src/files/digest.js';
import { besideTarget } from '../../src/files/partial-name.js';
import { GraphStore, graphFileName, isGraphFileName } from '../../src/model/graph-store.js';
import type { ModelDescription } from '../../src/model/model-description.js';
import { openModelFolder } from '../../src/model/model-folder.js';
import { weightOffsets } from '../../src/model/weight-layout.js';

const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));
const { swin, roberta, mttr } = JSON.parse(await readFile(join(goldens, 'config.json'), 'utf8'));
const architecture = {
  swin: { ...swin, depths: swin.depths.slice(0, 3), num_heads: swin.num_heads.slice(0, 3) },
  roberta,
  mttr,
};

let scratch: string;
let folder: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-model-'));
  folder = join(scratch, 'model');
  await mkdir(folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(scratch, { recursive: true });
});

/** A folder as `rvos import` writes it, but with zeros for weights. */
async function makeFolder(change: (model: ModelDescription) => void = () => {}): Promise<void> {
  const weights = new Uint8Array(weightOffsets(architecture, 'fp32').totalBytes);
  const tokenizer = await readFile(join(goldens, 'tokenizer/tokenizer.json'));
  await writeFile(join(folder, 'weights.bin'), weights);
  await writeFile(join(folder, 'tokenizer.json'), tokenizer);
  const model: ModelDescription = {
    format: 'rvos-model',
    version: 1,
    name: 'test',
    architecture,
    preprocessing: { short_side: 360, long_side: 640, antialias: true, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] },
    windows: { length: 24, overlap: 6 },
    tokenizer: { file: 'tokenizer.json', max_tokens: 512 },
    min_score: 0,
    precision: 'fp32',
    licence: 'Apache-2.0',
    provenance: { source: 'x.pth.tar', format: 'pytorch', bytes: 0, sha256: sha256('') },
    files: {
      'weights.bin': { bytes: weights.length, sha256: sha256(weights) },
      'tokenizer.json': { bytes: tokenizer.length, sha256: sha256(tokenizer) },
    },
  };
  change(model);
  await writeFile(join(folder, 'model.json'), JSON.stringify(model));
}

describe('openModelFolder', () => {
  it('opens a sound folder, also through a link, and gives what it describes', async () => {
    await makeFolder();
    await symlink(folder, join(scratch, 'link'));
    const model = await openModelFolder(join(scratch, 'link'));
    expect(model.path).toBe(folder);
    expect(model.architecture).toEqual(architecture);
    expect(model.preprocessing).toMatchObject({ shortSide: 360, longSide: 640, antialias: true });
    expect(model.windows).toEqual({ length: 24, overlap: 6 });
    expect(model.minScore).toBe(0);
    const tokenizer = await model.tokenizer();
    expect(tokenizer.prepare('The dog').ids).toEqual([0, 272, 589, 2]);
    expect(await model.tokenizer()).toBe(tokenizer);
  });

  it.each(['weights.bin', 'tokenizer.json'])('names %s when it is missing, cut or altered', async (name) => {
    await makeFolder();
    const path = join(folder, name);
    const bytes = await readFile(path);
    await openModelFolder(folder);
    const altered = Buffer.from(bytes);
    altered[100]! ^= 1;
    for (const wrong of [bytes.subarray(1), altered]) {
      await writeFile(path, wrong);
      await expect(openModelFolder(folder)).rejects.toMatchObject({
        code: 'BAD_MODEL_FOLDER',
        message: expect.stringContaining(path),
        hint: expect.stringContaining('rvos import'),
      });
    }
    await rm(path);
    await expect(openModelFolder(folder)).rejects.toMatchObject({
      code: 'BAD_MODEL_FOLDER',
      message: expect.stringContaining(`${name} is missing`),
    });
  });

  it.each<[string, (model: ModelDescription) => void]>([
    ['another format', (m) => Object.assign(m, { format: 'other' })],
    ['a later version', (m) => Object.assign(m, { version: 2 })],
    ['a file outside the folder', (m) => Object.assign(m.files, { '../weights.bin': m.files['weights.bin'] })],
    ['a tokenizer outside the folder', (m) => Object.assign(m.tokenizer, { file: '/etc/passwd' })],
    ['unlisted weights', (m) => delete m.files['weights.bin']],
    ['no checksum', (m) => Object.assign(m.files['weights.bin']!, { sha256: undefined })],
    ['zero deviation', (m) => Object.assign(m.preprocessing, { std: [0, 1, 1] })],
    ['an overlap as long as the window', (m) => Object.assign(m.windows, { overlap: 24 })],
    ['swapped sides', (m) => Object.assign(m.preprocessing, { short_side: 640, long_side: 360 })],
    ['more tokens than positions', (m) => Object.assign(m.tokenizer, { max_tokens: 513 })],
    [
      'heads that do not divide',
      (m) => Object.assign(m, { architecture: { ...architecture, mttr: { ...mttr, nheads: 7 } } }),
    ],
    [
      'another architecture',
      (m) => Object.assign(m, { architecture: { ...architecture, mttr: { ...mttr, num_queries: 11 } } }),
    ],
    [
      'an absurd architecture',
      (m) =>
        Object.assign(m, {
          architecture: { ...architecture, roberta: { ...roberta, hidden_size: 2 ** 20, vocab_size: 2 ** 20 } },
        }),
    ],
  ])('refuses a description with %s', async (_what, change) => {
    await makeFolder(change);
    await expect(openModelFolder(folder)).rejects.toMatchObject({ name: 'RvosError', code: 'BAD_MODEL_FOLDER' });
  });

  it.each(['', '{', 'null', '[]', `{"format":"rvos-model"}`, `${'['.repeat(2 ** 20)}]`])(
    'refuses a broken description',
    async (text) => {
      await writeFile(join(folder, 'model.json'), text);
      await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'BAD_MODEL_FOLDER' });
    },
  );

  it('tells an absent model from a folder that is none', async () => {
    await expect(openModelFolder(join(scratch, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(openModelFolder('no-such-model')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'BAD_MODEL_FOLDER' });
  });

  it('can be aborted', async () => {
    await makeFolder();
    await expect(openModelFolder(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('writes the backbone graph of a size beside the weights, once', async () => {
    await makeFolder();
    const model = await openModelFolder(folder);
    const clip = { frames: 3, height: 40, width: 56 };
    const [a, b] = await Promise.all([model.graphPath('backbone', clip), model.graphPath('backbone', clip)]);
    expect(a).toBe(b);
    expect(a).toMatch(/\/backbone-T3-40x56-[0-9a-f]{8}\.onnx$/);
    expect(isGraphFileName(a.slice(folder.length + 1))).toBe(true);
    expect((await readdir(folder)).sort()).toEqual([
      a.slice(folder.length + 1),
      'model.json',
      'tokenizer.json',
      'weights.bin',
    ]);
  });
});

describe('GraphStore', () => {
  const graph = Buffer.from('graph');
  const clip = { frames: 2, height: 8, width: 16 };
  const weights = Buffer.from('weights');
  const stored = () => ({ folder, bytes: weights.length, sha256: sha256(weights) });
  const store = () => new GraphStore(stored(), () => graph);

  beforeEach(async () => {
    await writeFile(join(folder, 'weights.bin'), weights);
  });

  it('replaces a file of the right name and wrong contents, and keeps a right one', async () => {
    const path = await store().path('transformer', clip);
    const { ino } = await stat(path);
    expect(await store().path('transformer', clip)).toBe(path);
    expect((await stat(path)).ino).toBe(ino);
    await writeFile(path, 'grapf');
    expect(await store().path('transformer', clip)).toBe(path);
    expect(await readFile(path)).toEqual(graph);
  });

  it('serves many processes at once', async () => {
    const paths = await Promise.all(Array.from({ length: 20 }, () => store().path('backbone', clip)));
    expect(new Set(paths).size).toBe(1);
    expect((await readdir(folder)).length).toBe(2);
  });

  it('removes what a killed process left half-written, and nothing else', async () => {
    const living = besideTarget(join(folder, 'backbone-T9-8x16-0123abcd.onnx'), 'partial');
    const dead = living.replace(/_\d+_\d*\./, '_999999999_1.');
    const users = dead.replace('backbone', 'notes');
    for (const path of [living, dead, users]) await writeFile(path, 'half');
    await store().path('backbone', clip);
    const left = (await readdir(folder)).map((name) => join(folder, name)).filter((path) => path.endsWith('.partial'));
    expect(left.sort()).toEqual([living, users].sort());
  });

  it('tries again after a failure', async () => {
    let calls = 0;
    const failing = new GraphStore(stored(), () => {
      if (calls++ === 0) throw new Error('first');
      return graph;
    });
    await expect(failing.path('backbone', clip)).rejects.toThrow('first');
    expect(await failing.path('backbone', clip)).toContain(folder);
  });

  describe('where the folder takes no graphs', () => {
    let cache: string;
    const cached = () => join(cache, 'graphs', sha256(weights));
    beforeEach(async () => {
      cache = join(scratch, 'cache');
      vi.stubEnv('RVOS_HOME', cache);
      // Links are refused by ONNX Runtime: a folder that holds one counts like a read-only one, also for root.
      await rename(join(folder, 'weights.bin'), join(scratch, 'elsewhere'));
      await symlink(join(scratch, 'elsewhere'), join(folder, 'weights.bin'));
    });

    it('uses the cache folder with a hard link to the weights', async () => {
      const path = await store().path('backbone', clip);
      expect(path.startsWith(cached())).toBe(true);
      const [a, b] = await Promise.all([stat(join(cached(), 'weights.bin')), stat(join(scratch, 'elsewhere'))]);
      expect(a.ino).toBe(b.ino);
      expect(await readdir(folder)).toEqual(['weights.bin']);
      expect(await store().path('backbone', clip)).toBe(path);
    });

    it('replaces weights in the cache that are not the model’s', async () => {
      await mkdir(cached(), { recursive: true });
      await writeFile(join(cached(), 'weights.bin'), 'WEIGHTS');
      await store().path('backbone', clip);
      expect(await readFile(join(cached(), 'weights.bin'))).toEqual(weights);
    });

    it('keeps a right copy', async () => {
      await mkdir(cached(), { recursive: true });
      await cp(join(scratch, 'elsewhere'), join(cached(), 'weights.bin'));
      const { ino } = await stat(join(cached(), 'weights.bin'));
      await store().path('backbone', clip);
      expect((await stat(join(cached(), 'weights.bin'))).ino).toBe(ino);
    });

    it('notices that the weights changed since they were checked', async () => {
      await writeFile(join(scratch, 'elsewhere'), 'WEIGHTS');
      await expect(store().path('backbone', clip)).rejects.toMatchObject({ code: 'BAD_MODEL_FOLDER' });
      expect(await readdir(cached())).toEqual([]);
    });

    it('says so when the cache folder cannot be made either', async () => {
      await writeFile(cache, 'a file');
      await expect(store().path('backbone', clip)).rejects.toMatchObject({
        code: 'OUTPUT_NOT_WRITABLE',
        hint: expect.stringContaining('RVOS_HOME'),
      });
    });
  });

  it('uses the cache folder that it is given for a model that an installer put there, and leaves that as it is', async () => {
    const installed = join(scratch, 'node_modules', 'rvos', 'models', 'small');
    await mkdir(installed, { recursive: true });
    await writeFile(join(installed, 'weights.bin'), weights);
    const other = join(scratch, 'other cache');
    const store = new GraphStore({ ...stored(), folder: installed }, () => graph, other);
    expect(await store.path('backbone', clip)).toContain(join(other, 'graphs'));
    expect(await readdir(installed)).toEqual(['weights.bin']);
    // One that came with it is used where it lies.
    const shipped = join(installed, graphFileName('transformer', clip, graph));
    await writeFile(shipped, graph);
    expect(await store.path('transformer', clip)).toBe(shipped);
  });

  it('uses the cache folder when the graph cannot be written beside the weights', async () => {
    vi.stubEnv('RVOS_HOME', join(scratch, 'cache'));
    // A folder of the graph's name stands for a read-only folder, which would not stop root.
    await mkdir(join(folder, graphFileName('backbone', clip, graph)));
    expect(await store().path('backbone', clip)).toContain(join(scratch, 'cache'));
  });
});
