import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { StoredEngines } from '../../src/backends/tensorrt/stored-engines.js';
import { VerifiedEngines } from '../../src/backends/tensorrt/verified-engines.js';
import { buildEngines } from '../../src/engines/build-engines.js';
import { readEngineManifest } from '../../src/engines/engine-manifest.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { isRight } from '../../src/engines/engine-verification.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import type { NativeDevice } from '../../src/native/tensorrt-addon.js';
import { OnnxStages, type SimulatedAddon, type StageRunner, simulatedAddon } from '../support/simulated-device.js';

/* Engines are compared with FP32 on the CPU before anybody relies on them: on the simulated device, whose stages are the engines'
 * graphs on ONNX Runtime, or what a wrong compilation would make of them. */

const size = { height: 72, width: 108 };
let addon: SimulatedAddon;
let device: NativeDevice;
let model: ModelFolder;
let scratch: string;
const stages = new OnnxStages();

beforeAll(async () => {
  addon = simulatedAddon();
  device = addon.devices()[0]!;
  model = await openModelFolder('compact');
  scratch = await mkdtemp(join(tmpdir(), 'rvos-verified-'));
});
afterEach(() => {
  addon.setStageRunner(stages.run);
});
afterAll(async () => {
  await stages.release();
  await rm(scratch, { recursive: true, force: true });
});

async function built(
  name: string,
): Promise<{ root: string; engines: VerifiedEngines; manifest: () => Promise<unknown> }> {
  const root = join(scratch, name);
  const builder = { addon, libraryVersion: addon.version };
  const made = await buildEngines({ model, sizes: [size], builder, target: { kind: 'device', device }, root });
  const host = { flavor: 'simulated', libraryVersion: addon.version, device } as const;
  const stored = new StoredEngines({ model, store: new EngineStore(root), host });
  const engines = new VerifiedEngines({ model, addon, device, engines: stored, command: () => 'rvos build' });
  const file = join(made.folder, 'transformer-72x108.json');
  return { root, engines, manifest: async () => (await readEngineManifest(file, '')).verified };
}

/** Stages as they are, but for one output of one stage. */
function spoiled(stage: RegExp, output: string, change: (value: number, index: number) => number): StageRunner {
  return async (call) => {
    const outputs = await stages.run(call);
    const tensor = outputs[output];
    if (!stage.test(call.engine) || !tensor) return outputs;
    const data = (tensor.data as Float32Array).map(change);
    return { ...outputs, [output]: { ...tensor, data } };
  };
}

describe('engines that nobody has run', () => {
  it('are verified when they are first asked for, once; what was found is in their manifests', async () => {
    const run = vi.fn(stages.run);
    addon.setStageRunner(run);
    const { engines, manifest, root } = await built('right');
    expect(await manifest()).toBeNull();
    const [first] = await Promise.all([engines.size(size), engines.size(size)]);
    expect(await manifest()).toMatchObject({ state: 'passed', device: device.name });
    const { mask_iou, score_error, text_error } = (await manifest()) as Record<string, number>;
    expect(mask_iou).toBeGreaterThan(0.99);
    expect(score_error).toBeLessThan(0.01);
    expect(text_error).toBeLessThan(0.005);
    const calls = run.mock.calls.length;
    // A text encoder, and two windows of two stages each; not twice.
    expect(calls).toBeLessThanOrEqual(8);
    expect(await engines.size(size)).toMatchObject({ size: first!.size });
    expect(run).toHaveBeenCalledTimes(calls);
    for (const name of ['text-encoder', 'backbone-short-72x108', 'backbone-long-72x108']) {
      const [key] = await new EngineStore(root).keyFolders(model);
      expect((await readEngineManifest(join(key!, `${name}.json`), '')).verified).toMatchObject({ state: 'passed' });
    }
  });

  it.each<[string, RegExp, string, (value: number, index: number) => number]>([
    ['scores', /transformer/, 'referred_score', (value) => 1 - value],
    ['scores that are no numbers', /transformer/, 'referred_score', () => Number.NaN],
    ['masks', /transformer/, 'all_mask_kernels', (value, i) => (i % 3 === 0 ? -value : value)],
    ['text features', /text-encoder/, 'text_features', (value) => value * 1.1],
  ])('are refused for wrong %s, then and later', async (what, stage, output, change) => {
    addon.setStageRunner(spoiled(stage, output, change));
    const { engines, manifest, root } = await built(what);
    const refused = expect.objectContaining({
      code: 'BAD_ENGINE',
      message: expect.stringMatching(/transformer-72x108\.engine computes something else than the model: refused/),
      hint: expect.stringMatching(/4333 and 4837.*rvos build --force/),
    });
    await expect(engines.size(size)).rejects.toEqual(refused);
    expect(await manifest()).toMatchObject({ state: 'refused' });
    // Without being run: the manifest says so.
    addon.setStageRunner(() => Promise.reject(new Error('not to be run')));
    const host = { flavor: 'simulated', libraryVersion: addon.version, device } as const;
    await expect(new EngineStore(root).findSize(model, size, host)).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  });
});

describe('figures', () => {
  it.each([
    [{ maskIou: 0.99, scoreError: 0.001, textError: 0.001 }, true],
    [{ maskIou: 0.5, scoreError: 0.001, textError: 0.001 }, false],
    [{ maskIou: 0.99, scoreError: 0.2, textError: 0.001 }, false],
    [{ maskIou: 0.99, scoreError: 0.001, textError: 0.1 }, false],
    [{ maskIou: Number.NaN, scoreError: 0, textError: 0 }, false],
    [{ maskIou: 1, scoreError: Number.NaN, textError: 0 }, false],
  ])('%j: right: %s', (figures, right) => expect(isRight(figures)).toBe(right));
});

it('a manifest of an earlier version has not been verified', async () => {
  const { root } = await built('earlier');
  const [key] = await new EngineStore(root).keyFolders(model);
  const file = join(key!, 'text-encoder.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  expect(manifest.verified).toBeNull();
  delete manifest.verified;
  await writeFile(file, JSON.stringify(manifest));
  expect((await readEngineManifest(file, '')).verified).toBeNull();
});
