import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type BuildEnginesOptions, buildEngines, type EngineBuildProgress } from '../../src/engines/build-engines.js';
import { readEngineManifest } from '../../src/engines/engine-manifest.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { sha256OfFile } from '../../src/files/digest.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import { FakeEngineAddon, nativeError } from '../support/fake-engine-addon.js';

const size = { height: 60, width: 108 };
const target = { kind: 'device', device: { name: 'NVIDIA H200', computeCapability: 90 } } as const;
const key = 'tensorrt-11.4.0.1-sm90-nvidia-h200';

let scratch: string;
let root: string;
let model: ModelFolder;
let count = 0;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-build-'));
  model = await openModelFolder('compact');
});
afterAll(() => rm(scratch, { recursive: true, force: true }));
beforeEach(() => {
  root = join(scratch, `${count++}`);
});

function build(addon: FakeEngineAddon, options: Partial<BuildEnginesOptions> = {}) {
  const builder = { addon, libraryVersion: '11.4.0.1' };
  return buildEngines({ model, sizes: [size], builder, target, root, ...options });
}

async function names(): Promise<string[]> {
  return (await readdir(join(root, 'compact', key))).sort();
}

const all = ['backbone-long-60x108', 'backbone-short-60x108', 'text-encoder', 'transformer-60x108'];
const files = all.flatMap((name) => [`${name}.engine`, `${name}.json`]);

it('writes each engine with its manifest and nothing else', async () => {
  const addon = new FakeEngineAddon();
  const result = await build(addon);
  expect(result).toMatchObject({ key, folder: join(root, 'compact', key) });
  expect(await names()).toEqual(files);
  for (const { path, manifest, reused } of result.engines) {
    expect(reused).toBe(false);
    expect(manifest.file.sha256).toBe(await sha256OfFile(path));
    expect(await readEngineManifest(path.replace(/engine$/, 'json'), '')).toEqual(manifest);
  }
  expect(addon.builds[0]).not.toHaveProperty('targets');
});

it('builds the text encoder once, not once a size', async () => {
  const addon = new FakeEngineAddon();
  await build(addon, { sizes: [size, { height: 64, width: 112 }, size] });
  expect(addon.builds).toHaveLength(7);
});

it('keeps one timing cache a key, shared by its engines', async () => {
  const addon = new FakeEngineAddon();
  await build(addon);
  expect(new Set(addon.builds.map(({ timingCache }) => timingCache))).toEqual(
    new Set([join(root, '.timing', `${key}.cache`)]),
  );
});

it('builds an unchanged key in an instant, and anew with force', async () => {
  const addon = new FakeEngineAddon();
  await build(addon);
  const began = performance.now();
  const again = await build(addon);
  expect(performance.now() - began).toBeLessThan(1000);
  expect(again.engines.every(({ reused }) => reused)).toBe(true);
  expect(addon.builds).toHaveLength(4);
  const forced = await build(addon, { force: true });
  expect(forced.engines.some(({ reused }) => reused)).toBe(false);
  expect(addon.builds).toHaveLength(8);
});

it('builds again what is damaged, of other limits or of another model', async () => {
  const addon = new FakeEngineAddon();
  const { engines } = await build(addon);
  const [text, short, long] = engines;
  await writeFile(text!.path, 'damaged');
  await rm(short!.path.replace(/engine$/, 'json'));
  const manifest = JSON.parse(await readFile(long!.path.replace(/engine$/, 'json'), 'utf8'));
  manifest.model.weights_sha256 = '0'.repeat(64);
  await writeFile(long!.path.replace(/engine$/, 'json'), JSON.stringify(manifest));
  expect((await build(addon)).engines.map(({ reused }) => reused)).toEqual([false, false, false, true]);
  // Sentences are no concern of a backbone.
  const other = await build(addon, { limits: { sentences: 3 } });
  expect(other.engines.map(({ reused }) => reused)).toEqual([false, true, true, false]);
});

it('gives the targets of an ahead-of-time build to the builder and to the key', async () => {
  const addon = new FakeEngineAddon('tensorrt-rtx');
  const result = await build(addon, { target: { kind: 'ahead-of-time', computeCapabilities: [86, 120] }, sizes: [] });
  expect(result.key).toBe('tensorrt-rtx-11.4.0.1-sm86-sm120');
  expect(addon.builds[0]!.targets).toEqual([86, 120]);
});

it('tells how far it is, engine by engine', async () => {
  const seen: EngineBuildProgress[] = [];
  await build(new FakeEngineAddon(), { onProgress: (progress) => seen.push(progress) });
  expect(new Set(seen.map(({ engine }) => engine))).toEqual(new Set(all));
  expect(seen.at(-1)).toMatchObject({ phase: 'Tactic selection', step: 3, steps: 3, number: 4, count: 4 });
});

it('stops within 2 s of an abort, and leaves nothing half-written', async () => {
  const addon = new FakeEngineAddon('tensorrt', 100);
  const controller = new AbortController();
  let aborted = 0;
  const onProgress = ({ number, step }: EngineBuildProgress) => {
    if (number !== 2 || step !== 1) return;
    aborted = performance.now();
    controller.abort();
  };
  await expect(build(addon, { signal: controller.signal, onProgress })).rejects.toMatchObject({ code: 'ABORTED' });
  expect(performance.now() - aborted).toBeLessThan(2000);
  expect(addon.cancelled).toBe(1);
  expect(await names()).toEqual(['text-encoder.engine', 'text-encoder.json']);
});

it('does not begin after an abort', async () => {
  const addon = new FakeEngineAddon();
  await expect(build(addon, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
  expect(addon.builds).toEqual([]);
});

it.each([
  ['BAD_GRAPH', 'ENGINE_BUILD_FAILED'],
  ['BAD_PROFILE', 'BAD_ARGUMENT'],
  ['BAD_TARGET', 'BAD_ARGUMENT'],
  ['BUILD_FAILED', 'ENGINE_BUILD_FAILED'],
  ['OUT_OF_MEMORY', 'OUT_OF_MEMORY'],
  ['DISK_FULL', 'DISK_FULL'],
  ['NOT_WRITABLE', 'OUTPUT_NOT_WRITABLE'],
  ['NO_DEVICE', 'BACKEND_UNAVAILABLE'],
] as const)('%s of the addon is %s to the user, in one line that names the engine', async (native, code) => {
  const addon = new FakeEngineAddon();
  addon.failure = nativeError(native, 'node Softmax_3: it\nwill not do');
  await expect(build(addon)).rejects.toMatchObject({
    code,
    message: 'engine text-encoder: node Softmax_3: it will not do',
    hint: expect.stringMatching(/^.+\.$/),
  });
  expect(await names()).toEqual([]);
});

it('a full disk is a typed error', async () => {
  const addon = new FakeEngineAddon();
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  addon.failure = full;
  await expect(build(addon)).rejects.toMatchObject({ code: 'DISK_FULL' });
});

it('a folder that cannot be made is a typed error', async () => {
  await writeFile(root, 'a file');
  await expect(build(new FakeEngineAddon())).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
});

it('two builds of one key at once leave engines that are whole', async () => {
  const builds = Array.from({ length: 4 }, (_, i) => build(new FakeEngineAddon('tensorrt', i), { force: true }));
  await Promise.all(builds);
  expect(await names()).toEqual(files);
  const host = { flavor: 'tensorrt', libraryVersion: '11.4.0.1', device: target.device } as const;
  const store = new EngineStore(root);
  await store.findTextEncoder(model, host);
  await store.findSize(model, size, host);
});

it('removes the build folder that a killed process left, once it is a day old', async () => {
  await build(new FakeEngineAddon());
  const [old, young] = ['.build-old', '.build-young'].map((name) => join(root, 'compact', key, name));
  await mkdir(old!);
  await mkdir(young!);
  const past = new Date(Date.now() - 25 * 3600_000);
  await utimes(old!, past, past);
  await build(new FakeEngineAddon(), { force: true });
  expect(await names()).toEqual(['.build-young', ...files]);
});

it('waits for a lock that another process holds, and takes one that nobody holds any more', async () => {
  await build(new FakeEngineAddon());
  const lock = join(root, 'compact', key, '.lock');
  await writeFile(lock, '');
  let done = false;
  const waiting = build(new FakeEngineAddon(), { force: true }).then(() => {
    done = true;
  });
  await sleep(300);
  expect(done).toBe(false);
  const past = new Date(Date.now() - 60_000);
  await utimes(lock, past, past);
  await waiting;
  await expect(stat(lock)).rejects.toThrow();
});

it('leaves the weights of the model as they were', async () => {
  const before = await stat(model.weightsPath);
  await build(new FakeEngineAddon());
  expect(await sha256OfFile(model.weightsPath)).toBe(model.weightsSha256);
  const after = await stat(model.weightsPath);
  expect([after.ino, after.nlink, after.size]).toEqual([before.ino, before.nlink, before.size]);
});
